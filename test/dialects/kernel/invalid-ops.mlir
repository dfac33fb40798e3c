// RUN: sinter-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{expected no results, found 1; a kernel writes to its buffers}}
kernel.func @f(%x: !kernel.rows<8xf32>) -> f32 {
  kernel.rows over(rows) {
  ^bb0(%row: index):
  }
}

// -----
// expected-error @below {{expected argument 0 to be a buffer, found 'f32'}}
kernel.func @f(%x: f32) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
  }
}

// -----
// expected-error @below {{expected one anchor (kernel.matmul, kernel.attention, kernel.rows, ...) in the body and nothing else}}
kernel.func @f(%x: !kernel.rows<8xf32>) {
  %zero = arith.constant 0 : index
}

// -----
kernel.func @f(%x: !kernel.rows<8xf32>) {
  // expected-error @below {{expected columns that are a multiple of the group, found columns 8, group 3}}
  kernel.rows over(rows) columns 8 group 3 {
  ^bb0(%row: index, %column: index):
  }
}

// -----
kernel.func @f(%x: !kernel.rows<8xf32>) {
  // expected-error @below {{expected columns_per_tile to be a multiple of the group, found 6, group 4}}
  kernel.rows over(rows) columns 8 group 4 schedule<columns_per_tile = 6> {
  ^bb0(%row: index, %column: index):
  }
}

// -----
kernel.func @f(%x: !kernel.rows<8xf32>) {
  // expected-error @below {{expected the region's arguments to be the row: ('index'), found ('index', 'index')}}
  kernel.rows over(rows) {
  ^bb0(%row: index, %column: index):
  }
}

// -----
kernel.func @f(%x: !kernel.rows<8xf32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : !kernel.rows<8xf32>, vector<8xf32>
    kernel.store %a, %x[%row] : vector<8xf32>, !kernel.rows<8xf32>
    // expected-error @below {{expected no load from a buffer after a store to it in the same region}}
    %b = kernel.load %x[%row] : !kernel.rows<8xf32>, vector<8xf32>
  }
}

// -----
kernel.func @f(%x: !kernel.rows<8xf32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    %c = arith.constant true
    // expected-error @below {{expected straight-line code in a region of kernel.rows, found an operation with a region}}
    scf.if %c {
    }
  }
}

// -----
kernel.func @f(%x: !kernel.rows<8xf32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    // expected-error @below {{expected operations of arith, math, vector or kernel on values in a region of kernel.rows}}
    %p = llvm.mlir.zero : !llvm.ptr
  }
}

// -----
kernel.func @f(%x: !kernel.rows<8xf32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : !kernel.rows<8xf32>, vector<8xf32>
    // expected-error @below {{expected no values, found 1}}
    kernel.yield %a : vector<8xf32>
  }
}

// -----
kernel.func @f(%x: !kernel.rows<8xf32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    // expected-error @below {{expected a vector of 8 elements, as a row of the buffer has, found 4}}
    %a = kernel.load %x[%row] : !kernel.rows<8xf32>, vector<4xf32>
  }
}

// -----
kernel.func @f(%x: !kernel.rows<8xf32>) {
  kernel.rows over(rows) columns 8 group 8 {
  ^bb0(%row: index, %column: index):
    // expected-error @below {{expected a vector of at most 8 elements, as a row of the buffer has, found 16}}
    %a = kernel.load %x[%row, %column] : !kernel.rows<8xf32>, vector<16xf32>
  }
}

// -----
kernel.func @f(%x: !kernel.rows<32xq8>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    // expected-error @below {{expected a buffer of f32, f16 or bf16, found '!kernel.rows<32xq8>'; q8 is read by matmul only, i32 by kernel.element}}
    %a = kernel.load %x[%row] : !kernel.rows<32xq8>, vector<32xf32>
  }
}

// -----
kernel.func @f(%x: !kernel.rows<16xf32>, %y: !kernel.rows<32xq8>) {
  kernel.rows over(rows) columns 32 group 16 {
  ^bb0(%row: index, %column: index):
    %a = kernel.load %x[%row] : !kernel.rows<16xf32>, vector<16xf32>
    // expected-error @below {{expected a multiple of 32 elements for a buffer of q8, found 16}}
    kernel.store %a, %y[%row, %column] : vector<16xf32>, !kernel.rows<32xq8>
  }
}

// -----
kernel.func @f(%x: !kernel.rows<16xf32>, %k: !kernel.cache_k<2x32xf16>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : !kernel.rows<16xf32>, vector<16xf32>
    // expected-error @below {{expected a vector of 32 elements, one head of the cache, found 16}}
    kernel.append %a, %k[%row, %row] : vector<16xf32>, !kernel.cache_k<2x32xf16>
  }
}

// -----
kernel.func @f(%w: !kernel.weight<8x32, f32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    // expected-error @below {{expected a vector of 32 elements, one row of the weight, found 16}}
    %a = kernel.lookup %w[%row] : !kernel.weight<8x32, f32>, vector<16xf32>
  }
}

// -----
kernel.func @f(%p: !kernel.partial<2x16, keys 16>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    // expected-error @below {{expected a vector of 32 elements, all heads of the partial attention, found 16}}
    %a = kernel.combine %p[%row] : !kernel.partial<2x16, keys 16>, vector<16xf32>
  }
}

// -----
kernel.func @f(%p: !kernel.partial<2x16, keys 16>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    // expected-error @below {{expected a window of 0 (none) or more, found -1}}
    %a = kernel.combine %p[%row] window -1 : !kernel.partial<2x16, keys 16>, vector<32xf32>
  }
}
