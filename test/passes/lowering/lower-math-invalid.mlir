// RUN: sinter-opt %s --lower-math -split-input-file --verify-diagnostics

func.func @f(%x: f32) -> f32 {
  // expected-error @below {{expected an operation of math that CPUs have or that lower-math knows}}
  %y = math.atan %x : f32
  return %y : f32
}

// -----

func.func @f(%x: f32, %y: f32) -> f32 {
  // expected-error @below {{expected an operation of math that CPUs have or that lower-math knows}}
  %z = arith.remf %x, %y : f32
  return %z : f32
}
