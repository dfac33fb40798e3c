// y = x * w^T, the weight in blocks of 8 bits as in GGUF files.
func.func @matmul(%x: tensor<?x512xf32>, %w: tensor<256x512x!lm.block<q8_0>>) -> tensor<?x256xf32> {
  %y = lm.linear %x, %w : (tensor<?x512xf32>, tensor<256x512x!lm.block<q8_0>>) -> tensor<?x256xf32>
  return %y : tensor<?x256xf32>
}
