// A matmul of a decode step takes all rows in one tile; one of a prompt is cut into rows too. Tiles hold whole groups.
// RUN: sinter-opt %s --kernel-choose-schedules | FileCheck %s
// RUN: sinter-opt %s --kernel-choose-schedules | sinter-opt --kernel-choose-schedules=gpu=true | FileCheck %s --check-prefix=GPU

// CHECK-LABEL: kernel.func @few
// CHECK: schedule <columns_per_tile = 48>
// GPU: schedule <columns_per_tile = 48>
kernel.func @few(%x: !kernel.rows<32xf32>, %w: !kernel.weight<96x32, f32>, %y: !kernel.rows<96xf32>) {
  kernel.matmul left(%x : !kernel.rows<32xf32>) weights(%w : !kernel.weight<96x32, f32>) over(rows) ranges {
    kernel.range 0 to 96 group 24 {
    ^bb0(%sum: vector<24xf32>, %row: index, %column: index):
      kernel.store %sum, %y[%row, %column] : vector<24xf32>, !kernel.rows<96xf32>
    }
  }
}
// CHECK-LABEL: kernel.func @many
// CHECK: schedule <rows_per_tile = 96, columns_per_tile = 64>
// GPU: schedule <rows_per_tile = 64, columns_per_tile = 64>
kernel.func @many(%x: !kernel.rows<32xf32>, %w: !kernel.weight<96x32, f32>, %y: !kernel.rows<96xf32>) {
  kernel.matmul left(%x : !kernel.rows<32xf32>) weights(%w : !kernel.weight<96x32, f32>) over(rows) ranges {
    kernel.range 0 to 96 group 16 {
    ^bb0(%sum: vector<16xf32>, %row: index, %column: index):
      kernel.store %sum, %y[%row, %column] : vector<16xf32>, !kernel.rows<96xf32>
    }
  }
}
// A GPU's tile of a weight's gradient is 64 outputs by 64 inputs.
// CHECK-LABEL: kernel.func @gradient
// CHECK-NOT: schedule
// GPU-LABEL: kernel.func @gradient
// GPU: schedule <columns_per_tile = 64, tile_columns = 64>
kernel.func @gradient(%g: !kernel.rows<96xf32>, %x: !kernel.rows<32xf32>, %w: !kernel.weight<96x32, f32>) {
  kernel.weight_gradient gradient(%g : !kernel.rows<96xf32>) input(%x : !kernel.rows<32xf32>) output(%w : !kernel.weight<96x32, f32>)
}
kernel.entry @decode_f32 rows 16 selected 16 {
  %x = kernel.buffer arena : !kernel.rows<32xf32>
  %w = kernel.buffer weight @w : !kernel.weight<96x32, f32>
  %y = kernel.buffer arena : !kernel.rows<96xf32>
  kernel.launch @few(%x, %w, %y) : !kernel.rows<32xf32>, !kernel.weight<96x32, f32>, !kernel.rows<96xf32>
}
