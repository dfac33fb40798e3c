// RUN: sinter-opt %s -split-input-file -verify-diagnostics --lm-compare="pipeline=canonicalize tolerance=-1"
// A tolerance that nothing meets: what a pass that changes numbers would hear.
// expected-error @below {{at element 0 of result 0 with 1 rows, found}}
func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %y = lm.silu %x : tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// expected-error @below {{expected a use that says what the integers of argument 0 mean, found none}}
func.func @forward(%x: tensor<?xi32>) -> tensor<?xi32> {
  return %x : tensor<?xi32>
}

// -----

// expected-error @below {{expected a tensor or a cache, found 'index'}}
func.func @forward(%x: index) -> index {
  return %x : index
}

// -----

func.func @forward(%x: tensor<?x4xf32>, %y: tensor<3x4xf32>) -> tensor<?x4xf32> {
  %z = lm.concat %x, %x : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x8xf32>
  // expected-error @below {{expected an operation with a reference, found math.exp}}
  %e = math.exp %x : tensor<?x4xf32>
  return %e : tensor<?x4xf32>
}
