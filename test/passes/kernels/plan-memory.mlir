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

// Rows of experts are several for each row of the step; segments do not grow with the rows.
kernel.func @dispatch(%c: !kernel.rows<2xi32>, %p: !kernel.rows<2xi32>, %s: !kernel.segments<40>) {
  kernel.dispatch chosen(%c : !kernel.rows<2xi32>) places(%p : !kernel.rows<2xi32>) segments(%s : !kernel.segments<40>) over(rows)
}
kernel.func @multiply(%x: !kernel.rows<2x16xf32>, %w: !kernel.weight<640x16, f32>, %s: !kernel.segments<40>) {
  kernel.matmul left(%x : !kernel.rows<2x16xf32>) weights(%w : !kernel.weight<640x16, f32>)
      experts(%s : !kernel.segments<40>) over(rows) ranges {
    kernel.range 0 to 16 group 16 {
    ^bb0(%a: vector<16xf32>, %row: index, %column: index):
    }
  }
}

// 512 bytes of copies, 192 (164 rounded up) of segments; choices and places (64 each) live before the copies.
// CHECK: kernel.entry @experts rows 4 selected 4 arena 704
// CHECK: kernel.buffer arena offset 512 : !kernel.segments<40>
// CHECK: kernel.buffer arena offset 0 : !kernel.rows<2x16xf32>
kernel.entry @experts rows 4 selected 4 {
  %c = kernel.buffer arena : !kernel.rows<2xi32>
  %p = kernel.buffer arena : !kernel.rows<2xi32>
  %s = kernel.buffer arena : !kernel.segments<40>
  %x = kernel.buffer arena : !kernel.rows<2x16xf32>
  %w = kernel.buffer weight @w : !kernel.weight<640x16, f32>
  kernel.launch @dispatch(%c, %p, %s) : !kernel.rows<2xi32>, !kernel.rows<2xi32>, !kernel.segments<40>
  kernel.launch @multiply(%x, %w, %s) : !kernel.rows<2x16xf32>, !kernel.weight<640x16, f32>, !kernel.segments<40>
}
