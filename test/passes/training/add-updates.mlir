// Matrices come first in the images, so that decay is one launch; each begins at a multiple of 64 numbers.
// RUN: sinter-opt %s --kernel-add-updates | FileCheck %s

// CHECK: module attributes {kernel.decay_floats = 256 : i64, kernel.image_floats = 320 : i64, kernel.trained_floats = 320 : i64}
// CHECK: lm.parameter @final_norm {{.*}}kernel.offset = 256
// CHECK: lm.parameter @w {{.*}}kernel.offset = 0
// CHECK: kernel.func @square_sum
// CHECK: kernel.entry @norm
// CHECK: kernel.func @adamw_decay
// CHECK: kernel.hyper weight_decay
// CHECK: kernel.func @adamw_plain
// CHECK-NOT: kernel.hyper weight_decay
// CHECK: kernel.entry @adamw rows 1
// CHECK: kernel.buffer state1 offset 1024 : !kernel.rows<64xf32>
// CHECK: kernel.entry @sgd
// CHECK: kernel.func @average_parameters(%[[P:.*]]: !kernel.rows<320xf32>, %[[A:.*]]: !kernel.rows<320xf32>)
// CHECK: %[[SHARE:.*]] = kernel.hyper average_share
// CHECK: kernel.store {{.*}}, %[[A]]
// CHECK-NOT: kernel.store
// CHECK: kernel.entry @average rows 1
// CHECK: kernel.buffer weight offset 0 : !kernel.rows<320xf32>
// CHECK: kernel.buffer average offset 0 : !kernel.rows<320xf32>
// CHECK: kernel.func @exchange_parameters
// CHECK: kernel.entry @exchange rows 1
lm.parameter @final_norm : tensor<8xf32>
lm.parameter @w : tensor<20x8xf32>
