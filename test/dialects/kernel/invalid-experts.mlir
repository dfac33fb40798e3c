// RUN: sinter-opt %s --split-input-file --verify-diagnostics

kernel.func @f(%x: !kernel.rows<8xf32>, %w: !kernel.weight<16x8, f32>, %s: !kernel.segments<2>) {
  // expected-error @below {{expected a buffer of dispatched rows as left side of experts, found a region lhs}}
  kernel.matmul weights(%w : !kernel.weight<16x8, f32>) experts(%s : !kernel.segments<2>) over(rows) lhs {
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : !kernel.rows<8xf32>, vector<8xf32>
    kernel.yield %a : vector<8xf32>
  } ranges {
    kernel.range 0 to 8 group 8 {
    ^bb0(%a: vector<8xf32>, %row: index, %column: index):
    }
  }
}

// -----
kernel.func @f(%x: !kernel.rows<2x8xf32>, %w: !kernel.weight<16x8, f32>, %s: !kernel.segments<3>) {
  // expected-error @below {{expected weights whose rows are a multiple of the 3 experts, found '!kernel.weight<16x8, f32>'}}
  kernel.matmul left(%x : !kernel.rows<2x8xf32>) weights(%w : !kernel.weight<16x8, f32>)
      experts(%s : !kernel.segments<3>) over(rows) ranges {
    kernel.range 0 to 5 group 5 {
    ^bb0(%a: vector<5xf32>, %row: index, %column: index):
    }
  }
}

// -----
kernel.func @f(%l: !kernel.rows<8xf16>, %w: !kernel.rows<2xf32>, %c: !kernel.rows<2xi32>) {
  // expected-error @below {{expected logits and weights of f32 and choices of i32, found '!kernel.rows<8xf16>', '!kernel.rows<2xf32>' and '!kernel.rows<2xi32>'}}
  kernel.route logits(%l : !kernel.rows<8xf16>) weights(%w : !kernel.rows<2xf32>) chosen(%c : !kernel.rows<2xi32>) over(rows)
}

// -----
kernel.func @f(%l: !kernel.rows<2xf32>, %w: !kernel.rows<3xf32>, %c: !kernel.rows<3xi32>) {
  // expected-error @below {{expected as many weights as choices, at most the 2 experts, found 3 and 3}}
  kernel.route logits(%l : !kernel.rows<2xf32>) weights(%w : !kernel.rows<3xf32>) chosen(%c : !kernel.rows<3xi32>) over(rows)
}

// -----
kernel.func @f(%c: !kernel.rows<2xi32>, %p: !kernel.rows<3xi32>, %s: !kernel.segments<4>) {
  // expected-error @below {{expected choices and places of one type, with i32 as element, found '!kernel.rows<2xi32>' and '!kernel.rows<3xi32>'}}
  kernel.dispatch chosen(%c : !kernel.rows<2xi32>) places(%p : !kernel.rows<3xi32>) segments(%s : !kernel.segments<4>) over(rows)
}

// -----
kernel.func @f(%x: !kernel.rows<32xq8>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    // expected-error @below {{expected a buffer of f32 or i32, found '!kernel.rows<32xq8>'}}
    %a = kernel.element %x[%row, 0] : !kernel.rows<32xq8>, f32
  }
}

// -----
kernel.func @f(%x: !kernel.rows<2xi32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    // expected-error @below {{expected a result of type 'index', found 'f32'}}
    %a = kernel.element %x[%row, 0] : !kernel.rows<2xi32>, f32
  }
}

// -----
kernel.func @f(%x: !kernel.rows<2xi32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    // expected-error @below {{expected a column from 0 to 1, found 2}}
    %a = kernel.element %x[%row, 2] : !kernel.rows<2xi32>, index
  }
}

// -----
kernel.func @f(%x: !kernel.rows<2xi32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    // expected-error @below {{expected a buffer of f32, f16 or bf16, found '!kernel.rows<2xi32>'; q8 is read by matmul only, i32 by kernel.element}}
    %a = kernel.load %x[%row] : !kernel.rows<2xi32>, vector<2xf32>
  }
}

// -----
kernel.func @f(%x: !kernel.rows<2xf32>, %y: !kernel.rows<2xi32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : !kernel.rows<2xf32>, vector<2xf32>
    // expected-error @below {{expected a buffer of f32, f16, bf16 or q8, found '!kernel.rows<2xi32>'}}
    kernel.store %a, %y[%row] : vector<2xf32>, !kernel.rows<2xi32>
  }
}
