// SPDX-License-Identifier: Apache-2.0
// Losses.
#ifndef SINTER_LM_LOSS_TD
#define SINTER_LM_LOSS_TD

include "dialects/lm/LmDialect.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Lm_CrossEntropyOp : Lm_Op<"cross_entropy", [Pure, Lm_Differentiable]> {
  let summary = "mean over the rows with target >= 0 of log(sum(exp(logits))) - logits[target], in nats";
  let description = "logits (rows, vocabulary), targets (rows), result a scalar tensor. Rows with a negative target do not count; no such row: 0.";
  let arguments = (ins Lm_Rows:$logits, Lm_Ids:$targets);
  let results = (outs 0DTensorOf<[F32]>:$result);
  let assemblyFormat = "$logits `,` $targets attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Lm_CrossEntropyBackwardOp : Lm_Op<"cross_entropy_backward", [Pure, AllTypesMatch<["logits", "result"]>]> {
  let summary = "gradient of lm.cross_entropy by its logits: gradient / n * (softmax(logits) - onehot(target))";
  let description = "n rows count; the others get zeros. `gradient` is the scalar gradient of the loss itself.";
  let arguments = (ins 0DTensorOf<[F32]>:$gradient, Lm_Rows:$logits, Lm_Ids:$targets);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$gradient `,` $logits `,` $targets attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

#endif // SINTER_LM_LOSS_TD
