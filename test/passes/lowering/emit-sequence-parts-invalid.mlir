// Parts of sequences are tiles where they can be: the forward pass on GPUs, gradients there of rounded factors.
// RUN: split-file %s %t
// RUN: not sinter-opt %t/forward.mlir --kernel-emit-cpu 2>&1 | FileCheck %s --check-prefix=FORWARD
// RUN: sinter-opt %t/forward.mlir --kernel-emit-gpu | FileCheck %s --check-prefix=GPU
// RUN: not sinter-opt %t/backward.mlir --kernel-emit-cpu 2>&1 | FileCheck %s --check-prefix=BACKWARD
// RUN: not sinter-opt %t/backward.mlir --kernel-emit-gpu 2>&1 | FileCheck %s --check-prefix=EXACT

// FORWARD: error: 'kernel.self_attention' op expected whole sequences in tiles on processors, found 64 rows
// GPU: llvm.func @f
// BACKWARD: error: 'kernel.self_attention_backward' op expected whole sequences in tiles on processors, found 64 rows
// EXACT: error: 'kernel.self_attention_backward' op expected whole sequences in tiles where factors are not rounded, found 64 rows

//--- forward.mlir
kernel.func @f(%q: !kernel.rows<16xf32>, %o: !kernel.rows<16xf32>, %l: !kernel.rows<1xf32>) {
  kernel.self_attention query(%q : !kernel.rows<16xf32>) key(%q : !kernel.rows<16xf32>) value(%q : !kernel.rows<16xf32>)
      output(%o : !kernel.rows<16xf32>) log_sum(%l : !kernel.rows<1xf32>) schedule <rows_per_tile = 64> {heads = 1 : i64, kv_heads = 1 : i64, sequence = 128 : i64, scale = 1.0 : f64}
}
//--- backward.mlir
kernel.func @f(%g: !kernel.rows<16xf32>, %q: !kernel.rows<16xf32>, %o: !kernel.rows<16xf32>, %l: !kernel.rows<1xf32>, %a: !kernel.rows<16xf32>, %b: !kernel.rows<16xf32>, %c: !kernel.rows<16xf32>) {
  kernel.self_attention_backward gradient(%g : !kernel.rows<16xf32>) query(%q : !kernel.rows<16xf32>) key(%q : !kernel.rows<16xf32>) value(%q : !kernel.rows<16xf32>)
      output(%o : !kernel.rows<16xf32>) log_sum(%l : !kernel.rows<1xf32>) gradients(%a, %b, %c : !kernel.rows<16xf32>, !kernel.rows<16xf32>, !kernel.rows<16xf32>)
      schedule <rows_per_tile = 64> {heads = 1 : i64, kv_heads = 1 : i64, sequence = 128 : i64, scale = 1.0 : f64}
}
