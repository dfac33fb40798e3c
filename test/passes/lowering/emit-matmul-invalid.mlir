// RUN: sinter-opt %s --split-input-file --verify-diagnostics --kernel-emit-cpu

kernel.func @matmul(%x: !kernel.rows<64xf32>, %w: !kernel.weight<16x64, q4_k>, %y: !kernel.rows<16xf32>) {
  // expected-error @below {{expected the inputs of a weight of format q4_k to be a multiple of 256, found 64}}
  kernel.matmul left(%x : !kernel.rows<64xf32>) weights(%w : !kernel.weight<16x64, q4_k>) over(rows) ranges {
    kernel.range 0 to 16 group 16 {
    ^bb0(%a: vector<16xf32>, %row: index, %c: index):
      kernel.yield
    }
  }
}

// -----
kernel.func @lookup(%w: !kernel.weight<16x40, q8_0>, %y: !kernel.rows<40xf32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    // expected-error @below {{expected the columns of a weight of format q8_0 to be a multiple of 32, found 40}}
    %v = kernel.lookup %w[%row] : !kernel.weight<16x40, q8_0>, vector<40xf32>
    kernel.store %v, %y[%row] : vector<40xf32>, !kernel.rows<40xf32>
  }
}
