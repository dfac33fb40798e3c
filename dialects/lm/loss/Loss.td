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

//===-- Balance of experts ------------------------------------------------------------------------------===//

def Lm_RouterVotesOp : Lm_Op<"router_votes", [Pure, SameVariadicOperandSize]> {
  let summary = "what routers chose: for each expert how often, then for each the sum of its probabilities";
  let description = [{
    For routers r: logits (rows, experts), chosen (rows, k); result (2 * experts), summed over rows and routers. The
    probabilities are the softmax over all experts. What depends on it has the rule of differentiation.
  }];
  let arguments = (ins Variadic<Lm_Rows>:$logits, Variadic<2DTensorOf<[I32]>>:$chosen);
  let results = (outs 1DTensorOf<[F32]>:$result);
  let assemblyFormat = "`logits` $logits `chosen` $chosen attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Lm_BalanceLossOp : Lm_Op<"balance_loss", [Pure, Lm_Differentiable]> {
  let summary = "a loss plus coefficient * experts * sum over experts of share chosen * mean probability";
  let description = [{
    Switch Transformer (arXiv:2101.03961), equations 4 to 6, over all routers together as transformers computes it:
    with n the number of rows of all logits, votes (2 * experts) as lm.router_votes gives them for these logits, share
    and mean are votes / n. The choice has no gradient, the probabilities have.
  }];
  let arguments = (ins 0DTensorOf<[F32]>:$loss, 1DTensorOf<[F32]>:$votes, Variadic<Lm_Rows>:$logits, F64Attr:$coefficient);
  let results = (outs 0DTensorOf<[F32]>:$result);
  let assemblyFormat = "$loss `,` $votes `,` $logits attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Lm_BalanceLossBackwardOp : Lm_Op<"balance_loss_backward", [Pure, AllTypesMatch<["logits", "result"]>]> {
  let summary = "gradient of lm.balance_loss by the logits of one of its `routers` routers";
  let description = "With c votes for each expert, p the softmax and f = coefficient * experts / (routers * rows)^2: gradient * f * p * (c - sum(p * c)).";
  let arguments = (ins 0DTensorOf<[F32]>:$gradient, 1DTensorOf<[F32]>:$votes, Lm_Rows:$logits, F64Attr:$coefficient,
                   I64Attr:$routers);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$gradient `,` $votes `,` $logits attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

#endif // SINTER_LM_LOSS_TD
