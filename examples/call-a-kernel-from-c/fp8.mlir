// Numbers of 8 bits: f8E4M3FN has 3 bits of mantissa and goes up to 448, f8E5M2 has 2 and goes up to 57344. Weights are packed from
// such numbers or rounded from f32; scales, if a model has some, are the caller's to multiply.
//
//   sinter kernel fp8.mlir -o eight                          # for CPUs
//   sinter kernel fp8.mlir --target=cuda:sm_90a -o eight     # wgmma of e4m3: both sides as they are

// Rows that the caller has rounded to 8 bits, too. In C: void project(const uint8_t *x, const void *w, float *y, int64_t rows).
func.func @project(%x: tensor<?x96xf8E4M3FN>, %w: tensor<80x96xf8E4M3FN>) -> tensor<?x80xf32> {
  %y = lm.linear %x, %w : (tensor<?x96xf8E4M3FN>, tensor<80x96xf8E4M3FN>) -> tensor<?x80xf32>
  return %y : tensor<?x80xf32>
}

// Rows of f32: processors multiply them as they are, GPUs round them to f16.
func.func @gated(%x: tensor<?x64xf32>, %gate: tensor<96x64xf8E5M2>, %up: tensor<96x64xf8E5M2>, %down: tensor<64x96xf8E5M2>)
    -> tensor<?x64xf32> {
  %g = lm.linear %x, %gate : (tensor<?x64xf32>, tensor<96x64xf8E5M2>) -> tensor<?x96xf32>
  %u = lm.linear %x, %up : (tensor<?x64xf32>, tensor<96x64xf8E5M2>) -> tensor<?x96xf32>
  %s = lm.silu %g : tensor<?x96xf32>
  %h = lm.mul %s, %u : tensor<?x96xf32>
  %d = lm.linear %h, %down : (tensor<?x96xf32>, tensor<64x96xf8E5M2>) -> tensor<?x64xf32>
  %y = lm.add %x, %d : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
