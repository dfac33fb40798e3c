// SPDX-License-Identifier: Apache-2.0
// Embedding lookup and matrix products with weights.
#ifndef SINTER_LM_LINEAR_TD
#define SINTER_LM_LINEAR_TD

include "dialects/lm/LmDialect.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Lm_EmbeddingOp : Lm_Op<"embedding", [Pure]> {
  let summary = "rows of a table: result[i] = table[ids[i] + offset]";
  let description = [{
    `lm.embedding %tokens, %table : (tensor<?xi32>, tensor<49152x576xf16>) -> tensor<?x576xf32>`.
    Learned positions are the same operation on positions; OPT's table starts at offset 2.
  }];
  let arguments = (ins Lm_Ids:$ids, Lm_Weight:$table, DefaultValuedAttr<I64Attr, "0">:$offset);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$ids `,` $table attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Lm_LinearOp : Lm_Op<"linear", [Pure]> {
  let summary = "result = input * weight^T + bias";
  let description = [{
    input (rows, in), weight (out, in) of any element type, bias (out), result (rows, out) f32.
    `lm.linear %x, %w bias %b : (tensor<?x576xf32>, tensor<960x576xf16>, tensor<960xf32>) -> tensor<?x960xf32>`
  }];
  let arguments = (ins Lm_Rows:$input, Lm_Weight:$weight, Optional<Lm_Vector>:$bias);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$input `,` $weight (`bias` $bias^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

#endif // SINTER_LM_LINEAR_TD
