// RUN: not sinter-opt %s --lm-compare="pipeline=no-such-pass" 2>&1 | FileCheck %s

// CHECK: error: expected a pipeline of passes, found "no-such-pass"
func.func @forward(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  return %x : tensor<?x4xf32>
}
