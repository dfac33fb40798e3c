// RUN: sinter-opt %s --lm-make-entries -verify-diagnostics

// expected-error @below {{expected a function forward, found none}}
module {
  func.func @other() { return }
}
