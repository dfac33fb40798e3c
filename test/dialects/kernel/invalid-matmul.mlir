// RUN: sinter-opt %s --split-input-file --verify-diagnostics

kernel.func @f(%x: !kernel.rows<32xf32>) {
  // expected-error @below {{expected at least one weight, found none}}
  "kernel.matmul"(%x) <{domain = #kernel<domain rows>, operandSegmentSizes = array<i32: 1, 0, 0>}> ({}, {
    ^bb0:
  }) : (!kernel.rows<32xf32>) -> ()
}

// -----
kernel.func @f(%x: !kernel.rows<32xf32>, %w: !kernel.weight<8x32, f32>, %u: !kernel.weight<16x32, f32>) {
  // expected-error @below {{expected all weights to have the shape of the first, found '!kernel.weight<8x32, f32>' and '!kernel.weight<16x32, f32>'}}
  kernel.matmul left(%x : !kernel.rows<32xf32>) weights(%w, %u : !kernel.weight<8x32, f32>, !kernel.weight<16x32, f32>) over(rows) ranges {
    %zero = arith.constant 0 : index
  }
}

// -----
kernel.func @f(%w: !kernel.weight<8x32, f32>) {
  // expected-error @below {{expected either a buffer as left side or a region lhs}}
  kernel.matmul weights(%w : !kernel.weight<8x32, f32>) over(rows) ranges {
    %zero = arith.constant 0 : index
  }
}

// -----
kernel.func @f(%x: !kernel.rows<32xf16>, %w: !kernel.weight<8x32, f16>) {
  // expected-error @below {{expected weights of 8 bits for fast_accumulation, found '!kernel.weight<8x32, f16>'}}
  kernel.matmul left(%x : !kernel.rows<32xf16>) weights(%w : !kernel.weight<8x32, f16>) over(rows) fast_accumulation ranges {
    %zero = arith.constant 0 : index
  }
}

// -----
kernel.func @f(%x: !kernel.rows<16xf32>, %w: !kernel.weight<8x32, f32>) {
  // expected-error @below {{expected the left side to have 32 columns, as many as the weights, found 16}}
  kernel.matmul left(%x : !kernel.rows<16xf32>) weights(%w : !kernel.weight<8x32, f32>) over(rows) ranges {
    %zero = arith.constant 0 : index
  }
}

// -----
kernel.func @f(%x: !kernel.rows<32xf32>, %w: !kernel.weight<8x32, f32>) {
  // expected-error @below {{expected the region lhs to be one block that ends with kernel.yield}}
  kernel.matmul weights(%w : !kernel.weight<8x32, f32>) over(rows) lhs {
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : !kernel.rows<32xf32>, vector<32xf32>
  } ranges {
    %zero = arith.constant 0 : index
  }
}

// -----
kernel.func @f(%x: !kernel.rows<32xf32>, %w: !kernel.weight<8x32, f32>) {
  kernel.matmul weights(%w : !kernel.weight<8x32, f32>) over(rows) lhs {
  ^bb0(%row: index):
    // expected-error @below {{expected 'vector<32xf32>', found nothing}}
    kernel.yield
  } ranges {
    %zero = arith.constant 0 : index
  }
}

// -----
kernel.func @f(%x: !kernel.rows<32xf32>, %w: !kernel.weight<8x32, f32>) {
  kernel.matmul weights(%w : !kernel.weight<8x32, f32>) over(rows) lhs {
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : !kernel.rows<32xf32>, vector<32xf32>
    // expected-error @below {{expected the region lhs to store to another buffer than the matmul loads: several threads compute the same row}}
    kernel.store %a, %x[%row] : vector<32xf32>, !kernel.rows<32xf32>
    kernel.yield %a : vector<32xf32>
  } ranges {
    %zero = arith.constant 0 : index
  }
}

// -----
kernel.func @f(%x: !kernel.rows<32xf32>, %s: !kernel.rows<32xf32>, %w: !kernel.weight<32x32, f32>) {
  kernel.matmul weights(%w : !kernel.weight<32x32, f32>) over(rows) lhs {
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : !kernel.rows<32xf32>, vector<32xf32>
    // expected-error @below {{expected the region lhs to store to another buffer than the matmul loads: several threads compute the same row}}
    kernel.store %a, %s[%row] : vector<32xf32>, !kernel.rows<32xf32>
    kernel.yield %a : vector<32xf32>
  } ranges {
    kernel.range 0 to 32 group 32 {
    ^bb0(%acc: vector<32xf32>, %row: index, %column: index):
      %b = kernel.load %s[%row, %column] : !kernel.rows<32xf32>, vector<32xf32>
      %y = arith.addf %acc, %b : vector<32xf32>
      kernel.store %y, %x[%row, %column] : vector<32xf32>, !kernel.rows<32xf32>
    }
  }
}

// -----
kernel.func @f(%x: !kernel.rows<32xf32>, %w: !kernel.weight<8x32, f32>) {
  kernel.matmul left(%x : !kernel.rows<32xf32>) weights(%w : !kernel.weight<8x32, f32>) over(rows) ranges {
    // expected-error @below {{expected only kernel.range in the ranges of a matmul}}
    %zero = arith.constant 0 : index
  }
}

// -----
kernel.func @f(%x: !kernel.rows<32xf32>, %w: !kernel.weight<8x32, f32>) {
  kernel.matmul left(%x : !kernel.rows<32xf32>) weights(%w : !kernel.weight<8x32, f32>) over(rows) ranges {
    // expected-error @below {{expected the range to begin at column 0, found 4}}
    kernel.range 4 to 8 group 4 {
    ^bb0(%acc: vector<4xf32>, %row: index, %column: index):
    }
  }
}

// -----
kernel.func @f(%x: !kernel.rows<32xf32>, %w: !kernel.weight<8x32, f32>) {
  // expected-error @below {{expected the ranges to cover all 8 columns, found 4}}
  kernel.matmul left(%x : !kernel.rows<32xf32>) weights(%w : !kernel.weight<8x32, f32>) over(rows) ranges {
    kernel.range 0 to 4 group 4 {
    ^bb0(%acc: vector<4xf32>, %row: index, %column: index):
    }
  }
}

// -----
kernel.func @f(%x: !kernel.rows<32xf32>, %w: !kernel.weight<8x32, f32>) {
  kernel.matmul left(%x : !kernel.rows<32xf32>) weights(%w : !kernel.weight<8x32, f32>) over(rows) ranges {
    // expected-error @below {{expected a range of one or more whole groups, found 0 to 8 group 3}}
    kernel.range 0 to 8 group 3 {
    ^bb0(%acc: vector<3xf32>, %row: index, %column: index):
    }
  }
}

// -----
kernel.func @f(%x: !kernel.rows<32xf32>, %w: !kernel.weight<8x32, f32>) {
  kernel.matmul left(%x : !kernel.rows<32xf32>) weights(%w : !kernel.weight<8x32, f32>) over(rows) ranges {
    // expected-error @below {{expected the region's arguments to be an accumulator a weight, the row and the first column: ('vector<8xf32>', 'index', 'index'), found ('vector<4xf32>', 'index', 'index')}}
    kernel.range 0 to 8 group 8 {
    ^bb0(%acc: vector<4xf32>, %row: index, %column: index):
    }
  }
}
