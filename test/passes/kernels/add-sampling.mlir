// The entry sample draws tokens from the logits of all other entries, with room for as many rows as one of them selects.
// RUN: sinter-opt %s --kernel-add-sampling --split-input-file | FileCheck %s
// RUN: sinter-opt %s --split-input-file --pass-pipeline='builtin.module(kernel-add-sampling,kernel.entry(kernel-plan-memory))' | FileCheck %s --check-prefix=PLANNED

kernel.func @head(%l: !kernel.rows<50257xf32>) {
  kernel.rows over(selected) {
  ^bb0(%row: index):
    %zero = arith.constant dense<0.0> : vector<50257xf32>
    kernel.store %zero, %l[%row] : vector<50257xf32>, !kernel.rows<50257xf32>
  }
}
kernel.entry @prefill_f16 rows 512 selected 16 head 0 {
  %l = kernel.buffer logits : !kernel.rows<50257xf32>
  kernel.launch @head(%l) : !kernel.rows<50257xf32>
}
kernel.entry @decode_f16 rows 4 selected 4 head 0 {
  %l = kernel.buffer logits : !kernel.rows<50257xf32>
  kernel.launch @head(%l) : !kernel.rows<50257xf32>
}
// CHECK: kernel.func @sample_peaks(%[[L:.*]]: !kernel.rows<50257xf32>, %[[P:.*]]: !kernel.rows<197xf32>)
// CHECK-NEXT: kernel.peaks logits(%[[L]] : <50257xf32>) peaks(%[[P]] : <197xf32>)
// CHECK: kernel.func @sample_draw(
// CHECK-NEXT: kernel.sample
// CHECK: kernel.entry @sample rows 16 selected 16 {
// CHECK: %[[FROM:.*]] = kernel.buffer logits
// CHECK: %[[THROUGH:.*]] = kernel.buffer arena
// CHECK: %[[TO:.*]] = kernel.buffer drawn
// CHECK: kernel.launch @sample_peaks(%[[FROM]], %[[THROUGH]])
// CHECK: kernel.launch @sample_draw(%[[FROM]], %[[THROUGH]], %[[TO]])
// PLANNED: kernel.entry @sample rows 16 selected 16 arena 12608 {

// -----
// Without logits nothing is drawn.
// CHECK-LABEL: kernel.entry @step
kernel.entry @step rows 1 selected 1 {
}
// CHECK-NOT: kernel.entry @sample
