// SPDX-License-Identifier: Apache-2.0
// Normalisations along a row, or along groups of columns of a row (one head).
#ifndef SINTER_LM_NORM_TD
#define SINTER_LM_NORM_TD

include "dialects/lm/LmDialect.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"

def Lm_RmsNormOp : Lm_Op<"rms_norm", [Pure, AllTypesMatch<["input", "result"]>]> {
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

def Lm_LayerNormOp : Lm_Op<"layer_norm", [Pure, AttrSizedOperandSegments, AllTypesMatch<["input", "result"]>]> {
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

#endif // SINTER_LM_NORM_TD
