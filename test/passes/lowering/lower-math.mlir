// RUN: sinter-opt %s --lower-math | FileCheck %s
// Functions become arithmetic on vectors of the same length: nothing of math is left but what is one instruction.

// CHECK-LABEL: func.func @exp
// CHECK-NOT: math.exp
// CHECK: math.roundeven {{.*}} : vector<8xf32>
// CHECK-COUNT-9: math.fma {{.*}} : vector<8xf32>
// CHECK: return
func.func @exp(%x: vector<8xf32>) -> vector<8xf32> {
  %y = math.exp %x : vector<8xf32>
  return %y : vector<8xf32>
}

// Angles are reduced in f64.
// CHECK-LABEL: func.func @cos
// CHECK-NOT: math.cos
// CHECK: arith.extf {{.*}} : vector<3xf32> to vector<3xf64>
// CHECK: math.roundeven {{.*}} : vector<3xf64>
// CHECK: arith.truncf {{.*}} : vector<3xf64> to vector<3xf32>
// CHECK: return
func.func @cos(%x: vector<3xf32>) -> vector<3xf32> {
  %y = math.cos %x : vector<3xf32>
  return %y : vector<3xf32>
}

// CHECK-LABEL: func.func @others
// CHECK-NOT: math.{{tanh|erf|log|exp2|sin}}
// CHECK: return
func.func @others(%x: f32) -> f32 {
  %a = math.tanh %x : f32
  %b = math.erf %a : f32
  %c = math.log %b : f32
  %d = math.exp2 %c : f32
  %e = math.sin %d : f32
  return %e : f32
}
