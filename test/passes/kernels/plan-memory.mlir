// Buffers that live at the same time do not overlap; one that is no longer read gives its place to the next.
// RUN: sinter-opt %s --pass-pipeline="builtin.module(kernel.entry(kernel-plan-memory))" | FileCheck %s

kernel.func @copy(%in: !kernel.rows<16xf32>, %out: !kernel.rows<16xf32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    %0 = kernel.load %in[%row] : !kernel.rows<16xf32>, vector<16xf32>
    kernel.store %0, %out[%row] : vector<16xf32>, !kernel.rows<16xf32>
  }
}

// 16 columns of 4 bytes, 4 rows: 256 bytes a buffer, and never more than two alive.
// CHECK: kernel.entry @step rows 4 selected 4 arena 512
// CHECK: %[[A:.*]] = kernel.buffer arena offset 0
// CHECK: %[[B:.*]] = kernel.buffer arena offset 256
// CHECK: %[[C:.*]] = kernel.buffer arena offset 0
// CHECK: kernel.launch @copy(%[[A]], %[[B]])
// CHECK: kernel.launch @copy(%[[B]], %[[C]])
kernel.entry @step rows 4 selected 4 {
  %a = kernel.buffer arena : !kernel.rows<16xf32>
  %b = kernel.buffer arena : !kernel.rows<16xf32>
  %c = kernel.buffer arena : !kernel.rows<16xf32>
  kernel.launch @copy(%a, %b) : !kernel.rows<16xf32>, !kernel.rows<16xf32>
  kernel.launch @copy(%b, %c) : !kernel.rows<16xf32>, !kernel.rows<16xf32>
}

// Arguments and results of a function are the caller's memory.
// CHECK: kernel.entry @function rows 4 selected 4 arena 256
// CHECK: kernel.buffer arena {argument = 0 : i64} :
// CHECK: kernel.buffer arena offset 0 :
// CHECK: kernel.buffer arena {result = 0 : i64} :
kernel.entry @function rows 4 selected 4 {
  %a = kernel.buffer arena {argument = 0 : i64} : !kernel.rows<16xf32>
  %b = kernel.buffer arena : !kernel.rows<16xf32>
  %c = kernel.buffer arena {result = 0 : i64} : !kernel.rows<16xf32>
  kernel.launch @copy(%a, %b) : !kernel.rows<16xf32>, !kernel.rows<16xf32>
  kernel.launch @copy(%b, %c) : !kernel.rows<16xf32>, !kernel.rows<16xf32>
}
