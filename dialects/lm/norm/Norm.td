// SPDX-License-Identifier: Apache-2.0
// Normalisations along a row, or along groups of columns of a row (one head).
#ifndef SINTER_LM_NORM_TD
#define SINTER_LM_NORM_TD

include "dialects/lm/LmDialect.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"

def Lm_RmsNormOp : Lm_Op<"rms_norm", [Pure, Lm_Differentiable, AllTypesMatch<["input", "result"]>]> {
  let summary = "x / sqrt(mean(x^2) + epsilon) * (weight + offset)";
  let description = [{
    Zhang and Sennrich 2019, arXiv:1910.07467. The mean runs over the row, or over each `group` consecutive
    columns (q and k norms run over a head); weight then has width `group` and serves every group.
    `offset` is 1 where the file stores weight - 1 (Gemma).
  }];
  let arguments = (ins Lm_Rows:$input, Optional<Lm_Vector>:$weight, F64Attr:$epsilon,
                       DefaultValuedAttr<F64Attr, "0.0">:$offset, OptionalAttr<I64Attr>:$group);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$input (`,` $weight^ `:` type($weight))? attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Lm_LayerNormOp : Lm_Op<"layer_norm", [Pure, Lm_Differentiable, AttrSizedOperandSegments, AllTypesMatch<["input", "result"]>]> {
  let summary = "(x - mean(x)) / sqrt(variance(x) + epsilon) * weight + bias";
  let description = [{
    Ba, Kiros and Hinton 2016, arXiv:1607.06450, biased variance. Groups as in `lm.rms_norm`, but weight and bias
    may also have the width of the whole row (StableLM has a weight of its own for every head).
  }];
  let arguments = (ins Lm_Rows:$input, Optional<Lm_Vector>:$weight, Optional<Lm_Vector>:$bias, F64Attr:$epsilon,
                       OptionalAttr<I64Attr>:$group);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$input (`weight` $weight^ `:` type($weight))? (`bias` $bias^ `:` type($bias))? attr-dict `:` type($result)";
  let hasVerifier = 1;
}

//===-- Backward: with x^ = (x - mean) * r normalised, g = gradient * weight and means over a group -----------===//

def Lm_RmsNormBackwardInputOp : Lm_Op<"rms_norm_backward_input", [Pure, AllTypesMatch<["gradient", "input", "result"]>]> {
  let summary = "gradient of lm.rms_norm by its input: r * (g - x^ * mean(g * x^)), r = 1 / sqrt(mean(x^2) + epsilon)";
  let arguments = (ins Lm_Rows:$gradient, Lm_Rows:$input, Optional<Lm_Vector>:$weight, F64Attr:$epsilon,
                       DefaultValuedAttr<F64Attr, "0.0">:$offset, OptionalAttr<I64Attr>:$group);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$gradient `,` $input (`,` $weight^ `:` type($weight))? attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Lm_RmsNormBackwardWeightOp : Lm_Op<"rms_norm_backward_weight", [Pure, AllTypesMatch<["gradient", "input"]>]> {
  let summary = "gradient of lm.rms_norm by its weight: the sum over rows and groups of gradient * x^";
  let arguments = (ins Lm_Rows:$gradient, Lm_Rows:$input, F64Attr:$epsilon, OptionalAttr<I64Attr>:$group);
  let results = (outs 1DTensorOf<[F32]>:$result);
  let assemblyFormat = "$gradient `,` $input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Lm_LayerNormBackwardInputOp : Lm_Op<"layer_norm_backward_input", [Pure, AllTypesMatch<["gradient", "input", "result"]>]> {
  let summary = "gradient of lm.layer_norm by its input: r * (g - mean(g) - x^ * mean(g * x^)), r = 1 / sqrt(variance + epsilon)";
  let arguments = (ins Lm_Rows:$gradient, Lm_Rows:$input, Optional<Lm_Vector>:$weight, F64Attr:$epsilon,
                       OptionalAttr<I64Attr>:$group);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$gradient `,` $input (`,` $weight^ `:` type($weight))? attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Lm_LayerNormBackwardWeightOp : Lm_Op<"layer_norm_backward_weight", [Pure, AllTypesMatch<["gradient", "input"]>]> {
  let summary = "gradient of lm.layer_norm by its weight: the sum of gradient * x^ over the rows, and over groups where they share it";
  let arguments = (ins Lm_Rows:$gradient, Lm_Rows:$input, F64Attr:$epsilon, OptionalAttr<I64Attr>:$group);
  let results = (outs 1DTensorOf<[F32]>:$result);
  let assemblyFormat = "$gradient `,` $input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

#endif // SINTER_LM_NORM_TD
