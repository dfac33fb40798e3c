// SPDX-License-Identifier: Apache-2.0
// Mixture of experts: a router chooses k experts a row, linear layers use the chosen expert's weight.
#ifndef SINTER_LM_EXPERTS_TD
#define SINTER_LM_EXPERTS_TD

include "dialects/lm/LmDialect.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Lm_RouteOp : Lm_Op<"route", [Pure, Lm_Differentiable]> {
  let summary = "the k most probable experts of each row, and how much each counts";
  let description = [{
    logits (rows, experts); weights (rows, k) f32, chosen (rows, k) i32, best first, equal ones in order of
    number. Probabilities are the softmax over all experts; `normalise` divides the k chosen by their sum (Mixtral, arXiv:2401.04088).
  }];
  let arguments = (ins Lm_Rows:$logits, I64Attr:$k, UnitAttr:$normalise);
  let results = (outs Lm_Rows:$weights, 2DTensorOf<[I32]>:$chosen);
  let assemblyFormat = "$logits attr-dict `:` type($logits) `->` type($weights) `,` type($chosen)";
  let hasVerifier = 1;
}

def Lm_ExpertLinearOp : Lm_Op<"expert_linear", [Pure, Lm_Differentiable]> {
  let summary = "result[r, j] = weight[chosen[r, j]] * input[r] (or input[r, j])";
  let description = "weight (experts, out, in); chosen (rows, k); input (rows, in) or (rows, k, in); result (rows, k, out).";
  let arguments = (ins Lm_Rows:$input, Lm_Weight:$weight, 2DTensorOf<[I32]>:$chosen);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$input `,` $weight `,` $chosen attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Lm_CombineOp : Lm_Op<"combine", [Pure, Lm_Differentiable]> {
  let summary = "result[r] = sum over j of weights[r, j] * input[r, j]";
  let description = "input (rows, k, width), weights (rows, k), result (rows, width).";
  let arguments = (ins Lm_Rows:$input, Lm_Rows:$weights);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$input `,` $weights attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

//===-- Backward ----------------------------------------------------------------------------------------===//

def Lm_RouteBackwardOp : Lm_Op<"route_backward", [Pure, AllTypesMatch<["logits", "result"]>]> {
  let summary = "gradient of lm.route by its logits, through the weights of the chosen experts";
  let description = "gradient (rows, k) of the weights; the choice itself has no gradient.";
  let arguments = (ins Lm_Rows:$gradient, Lm_Rows:$logits, 2DTensorOf<[I32]>:$chosen, UnitAttr:$normalise);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$gradient `,` $logits `,` $chosen attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Lm_ExpertLinearBackwardInputOp : Lm_Op<"expert_linear_backward_input", [Pure]> {
  let summary = "gradient of lm.expert_linear by its input";
  let description = "gradient (rows, k, out), weight (experts, out, in), chosen (rows, k), result (rows, k, in), or (rows, in) summed over k.";
  let arguments = (ins Lm_Rows:$gradient, Lm_Weight:$weight, 2DTensorOf<[I32]>:$chosen);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$gradient `,` $weight `,` $chosen attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Lm_ExpertLinearBackwardWeightOp : Lm_Op<"expert_linear_backward_weight", [Pure]> {
  let summary = "gradient of lm.expert_linear by its weight: result[chosen[r, j]] += gradient[r, j]^T * input[r] (or input[r, j])";
  let arguments = (ins Lm_Rows:$gradient, Lm_Rows:$input, 2DTensorOf<[I32]>:$chosen);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$gradient `,` $input `,` $chosen attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Lm_CombineBackwardInputOp : Lm_Op<"combine_backward_input", [Pure]> {
  let summary = "gradient of lm.combine by its input: result[r, j] = weights[r, j] * gradient[r]";
  let arguments = (ins Lm_Rows:$gradient, Lm_Rows:$weights);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$gradient `,` $weights attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Lm_CombineBackwardWeightsOp : Lm_Op<"combine_backward_weights", [Pure]> {
  let summary = "gradient of lm.combine by its weights: result[r, j] = input[r, j] . gradient[r]";
  let arguments = (ins Lm_Rows:$gradient, Lm_Rows:$input);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$gradient `,` $input attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

#endif // SINTER_LM_EXPERTS_TD
