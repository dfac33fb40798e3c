// A mixture of experts: the choice, the sorting of rows, copies of the rows after their norm, one matmul for gate and up,
// one for down, and the sum over the experts in the program on rows that reads it.
// RUN: sinter-opt %s --lm-to-kernel=cache-types=f32 --split-input-file --verify-diagnostics | FileCheck %s

// CHECK-LABEL: kernel.entry @decode_f32
// CHECK: kernel.launch @matmul_0(
// CHECK: kernel.launch @experts_1(%[[LOGITS:.*]], %[[WEIGHTS:.*]], %[[CHOSEN:.*]]) :
// CHECK: kernel.launch @experts_2(%[[CHOSEN]], %[[PLACES:.*]], %[[SEGMENTS:.*]]) :
// CHECK: kernel.launch @experts_3(%{{.*}}, %{{.*}}, %[[PLACES]], %[[COPIES:.*]]) :
// CHECK: kernel.launch @experts_4(%[[COPIES]], %{{.*}}, %{{.*}}, %[[SEGMENTS]], %[[INNER:.*]]) :
// CHECK: kernel.launch @experts_5(%[[INNER]], %{{.*}}, %[[SEGMENTS]], %[[OUTER:.*]]) :
// CHECK: kernel.launch @rows_6(%[[PLACES]], %[[WEIGHTS]], %[[OUTER]], %{{.*}}, %{{.*}}) :
// CHECK: kernel.func @experts_1(
// CHECK: kernel.route normalise
// CHECK: kernel.func @experts_2(
// CHECK: kernel.dispatch
// CHECK: kernel.func @experts_3(
// CHECK: kernel.rows
// CHECK: %[[P0:.*]] = kernel.element %{{.*}}, 0] : <2xi32>, index
// CHECK: kernel.store %{{.*}}[%[[P0]]] : vector<8xf32>, <2x8xf32>
// CHECK: %[[P1:.*]] = kernel.element %{{.*}}, 1] : <2xi32>, index
// CHECK: kernel.store %{{.*}}[%[[P1]]] : vector<8xf32>, <2x8xf32>
// CHECK: kernel.func @experts_4(
// CHECK: kernel.matmul left(%{{.*}} : !kernel.rows<2x8xf32>) weights(%{{.*}}, %{{.*}} : !kernel.weight<60x8, f32>, !kernel.weight<60x8, f32>) experts(%{{.*}} : !kernel.segments<5>)
// CHECK: kernel.store %{{.*}} : vector<12xf32>, <2x12xf32>
// CHECK: kernel.func @experts_5(
// CHECK: kernel.matmul left(%{{.*}} : !kernel.rows<2x12xf32>)
lm.parameter @norm : tensor<8xf32>
lm.parameter @router : tensor<5x8xf32>
lm.parameter @gate : tensor<5x12x8xf32>
lm.parameter @up : tensor<5x12x8xf32>
lm.parameter @down : tensor<5x8x12xf32>
func.func @decode(%x: tensor<?x8xf32>) -> tensor<?x8xf32> attributes {lm.form = "decode"} {
  %norm = lm.read @norm : tensor<8xf32>
  %wr = lm.read @router : tensor<5x8xf32>
  %wg = lm.read @gate : tensor<5x12x8xf32>
  %wu = lm.read @up : tensor<5x12x8xf32>
  %wd = lm.read @down : tensor<5x8x12xf32>
  %l = lm.group matmul {
    %0 = lm.linear %x, %wr : (tensor<?x8xf32>, tensor<5x8xf32>) -> tensor<?x5xf32>
    lm.yield %0 : tensor<?x5xf32>
  } : tensor<?x5xf32>
  %w, %c = lm.group experts {
    %0, %1 = lm.route %l {k = 2 : i64, normalise} : tensor<?x5xf32> -> tensor<?x2xf32>, tensor<?x2xi32>
    lm.yield %0, %1 : tensor<?x2xf32>, tensor<?x2xi32>
  } : tensor<?x2xf32>, tensor<?x2xi32>
  %h = lm.group experts {
    %n = lm.rms_norm %x, %norm : tensor<8xf32> {epsilon = 1.0e-5 : f64} : tensor<?x8xf32>
    %g = lm.expert_linear %n, %wg, %c : (tensor<?x8xf32>, tensor<5x12x8xf32>, tensor<?x2xi32>) -> tensor<?x2x12xf32>
    %u = lm.expert_linear %n, %wu, %c : (tensor<?x8xf32>, tensor<5x12x8xf32>, tensor<?x2xi32>) -> tensor<?x2x12xf32>
    %a = lm.silu %g : tensor<?x2x12xf32>
    %0 = lm.mul %a, %u : tensor<?x2x12xf32>
    lm.yield %0 : tensor<?x2x12xf32>
  } : tensor<?x2x12xf32>
  %d = lm.group experts {
    %0 = lm.expert_linear %h, %wd, %c : (tensor<?x2x12xf32>, tensor<5x8x12xf32>, tensor<?x2xi32>) -> tensor<?x2x8xf32>
    lm.yield %0 : tensor<?x2x8xf32>
  } : tensor<?x2x8xf32>
  %y = lm.group rows {
    %0 = lm.combine %d, %w : (tensor<?x2x8xf32>, tensor<?x2xf32>) -> tensor<?x8xf32>
    %1 = lm.add %x, %0 : tensor<?x8xf32>
    lm.yield %1 : tensor<?x8xf32>
  } : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

lm.parameter @gate : tensor<5x12x8xf32>
func.func @decode(%x: tensor<?x8xf32>, %y: tensor<?x8xf32>, %c: tensor<?x2xi32>) -> tensor<?x2x12xf32> attributes {lm.form = "decode"} {
  %w = lm.read @gate : tensor<5x12x8xf32>
  %h = lm.group experts {
    %0 = lm.expert_linear %x, %w, %c : (tensor<?x8xf32>, tensor<5x12x8xf32>, tensor<?x2xi32>) -> tensor<?x2x12xf32>
    // expected-error @below {{expected all expert layers of a group to read one input and one choice}}
    %1 = lm.expert_linear %y, %w, %c : (tensor<?x8xf32>, tensor<5x12x8xf32>, tensor<?x2xi32>) -> tensor<?x2x12xf32>
    %2 = lm.mul %0, %1 : tensor<?x2x12xf32>
    lm.yield %2 : tensor<?x2x12xf32>
  } : tensor<?x2x12xf32>
  return %h : tensor<?x2x12xf32>
}

// -----

lm.parameter @down : tensor<5x8x12xf32>
func.func @decode(%h: tensor<?x2x12xf32>, %c: tensor<?x2xi32>) -> tensor<?x2x8xf32> attributes {lm.form = "decode"} {
  %w = lm.read @down : tensor<5x8x12xf32>
  %d = lm.group experts {
    // expected-error @below {{expected an input of rank 3 to come from experts of the same choice}}
    %0 = lm.expert_linear %h, %w, %c : (tensor<?x2x12xf32>, tensor<5x8x12xf32>, tensor<?x2xi32>) -> tensor<?x2x8xf32>
    lm.yield %0 : tensor<?x2x8xf32>
  } : tensor<?x2x8xf32>
  return %d : tensor<?x2x8xf32>
}

// -----

func.func @decode(%d: tensor<?x2x8xf32>, %w: tensor<?x2xf32>) -> tensor<?x8xf32> attributes {lm.form = "decode"} {
  %y = lm.group rows {
    // expected-error @below {{expected to combine the results of lm.expert_linear}}
    %0 = lm.combine %d, %w : (tensor<?x2x8xf32>, tensor<?x2xf32>) -> tensor<?x8xf32>
    lm.yield %0 : tensor<?x8xf32>
  } : tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// Without a group that makes them, elementwise operations on experts' rows have no kernel.
func.func @decode(%d: tensor<?x2x8xf32>) -> tensor<?x2x8xf32> attributes {lm.form = "decode"} {
  // expected-error @below {{expected operations on the rows of experts to be in the group of the layers that make them}}
  %y = lm.group rows {
    %0 = lm.silu %d : tensor<?x2x8xf32>
    lm.yield %0 : tensor<?x2x8xf32>
  } : tensor<?x2x8xf32>
  return %y : tensor<?x2x8xf32>
}
