// RUN: not sinter-opt %s --kernel-emit-cpu=isa=sse2 2>&1 | FileCheck %s --check-prefix=ISA
// RUN: not sinter-opt %s --kernel-emit-cpu 2>&1 | FileCheck %s

// ISA: error: expected avx2, avx512, avx512bf16 or amx as instruction set, found sse2
// CHECK: error: 'vector.reduction' op expected a sum, product, maximum or minimum of f32
kernel.func @f(%x: !kernel.rows<8xf32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : !kernel.rows<8xf32>, vector<8xf32>
    %i = arith.fptosi %a : vector<8xf32> to vector<8xi32>
    %s = vector.reduction <xor>, %i : vector<8xi32> into i32
  }
}
