// RUN: sinter-opt %s --split-input-file --verify-diagnostics
// What kernel.peaks and kernel.sample refuse.

kernel.func @f(%l: !kernel.rows<300xf32>, %p: !kernel.rows<3xf32>) {
  // expected-error @below {{expected logits of f32 and 2 peaks of f32, one a chunk of logits, found '!kernel.rows<300xf32>' and '!kernel.rows<3xf32>'}}
  kernel.peaks logits(%l : !kernel.rows<300xf32>) peaks(%p : !kernel.rows<3xf32>)
}

// -----
kernel.func @f(%l: !kernel.rows<262144xf16>, %p: !kernel.rows<256xf32>, %t: !kernel.rows<1xi32>) {
  // expected-error @below {{expected logits of f32 and 256 peaks of f32, one a chunk of logits, found '!kernel.rows<262144xf16>' and '!kernel.rows<256xf32>'}}
  kernel.sample logits(%l : !kernel.rows<262144xf16>) peaks(%p : !kernel.rows<256xf32>) drawn(%t : !kernel.rows<1xi32>)
}

// -----
kernel.func @f(%l: !kernel.rows<300xf32>, %p: !kernel.rows<2xf32>, %t: !kernel.rows<1xf32>) {
  // expected-error @below {{expected drawn tokens of type !kernel.rows<1xi32>, found '!kernel.rows<1xf32>'}}
  kernel.sample logits(%l : !kernel.rows<300xf32>) peaks(%p : !kernel.rows<2xf32>) drawn(%t : !kernel.rows<1xf32>)
}
