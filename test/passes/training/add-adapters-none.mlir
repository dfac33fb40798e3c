// A graph without linear layers has nothing to adapt.
// RUN: sinter-opt %s --lm-add-adapters=rank=2 --verify-diagnostics

// expected-error @below {{expected linear layers for adapters, found none}}
func.func @forward(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  return %x : tensor<?x8xf32>
}
