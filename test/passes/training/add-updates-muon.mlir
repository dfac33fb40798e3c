// Muon moves hidden matrices of whole panels, which come first in the images; AdamW the others, adapters too (whether
// their rows fill panels is a question of their rank). A matrix with more rows than columns is iterated from the other side.
// RUN: sinter-opt %s --kernel-add-updates | FileCheck %s

// CHECK: lm.parameter @adapter {{.*}}kernel.offset = 1792
// CHECK: lm.parameter @embedding {{.*}}kernel.offset
// CHECK: lm.parameter @odd {{.*}}kernel.offset
// CHECK: lm.parameter @tall {{.*}}kernel.offset = 0
// CHECK: lm.parameter @wide {{.*}}kernel.offset = 768
// CHECK-LABEL: kernel.entry @muon
// CHECK: kernel.launch @muon_momentum
// CHECK: kernel.launch @muon_square_sum
// CHECK: kernel.launch @muon_norm
// CHECK: kernel.launch @muon_load
// CHECK-COUNT-5: kernel.launch @muon_square_{{[0-9]+}}({{.*}}row_count = 64
// CHECK: kernel.launch @muon_store
// CHECK: kernel.launch @muon_move
// CHECK: kernel.launch @muon_others_decay
// CHECK: kernel.launch @muon_others_plain
lm.parameter @adapter : tensor<16x64xf32> {lm.adapter}
lm.parameter @embedding : tensor<20x8xf32>
lm.parameter @odd : tensor<20x16xf32>
lm.parameter @tall : tensor<48x16xf32>
lm.parameter @wide : tensor<16x64xf32>
lm.parameter @final_norm : tensor<8xf32>
