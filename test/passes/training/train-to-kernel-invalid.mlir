// RUN: sinter-opt %s --split-input-file --lm-train-to-kernel --verify-diagnostics

// expected-error @below {{expected a function train with a body, found none}}
module {}

// -----
module {
  // expected-error @below {{expected one lm.cross_entropy to train by}}
  func.func @train(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
    return %x : tensor<?x8xf32>
  }
}
