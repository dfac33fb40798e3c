// SPDX-License-Identifier: Apache-2.0
// Attention: over the rows of the step alone (training, scoring), or over a cache of earlier tokens.
#ifndef SINTER_LM_ATTENTION_TD
#define SINTER_LM_ATTENTION_TD

include "dialects/lm/LmDialect.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

defvar Lm_AttentionAttributes = (ins
  I64Attr:$heads, I64Attr:$kv_heads, F64Attr:$scale,
  OptionalAttr<I64Attr>:$window, OptionalAttr<F64Attr>:$softcap, OptionalAttr<DenseF32ArrayAttr>:$alibi);

// Dropout of probabilities; all three or none. The key's column is how far it is behind the row, the row's number
// row * heads + head (dialects/lm/Dropout.h).
defvar Lm_AttentionDropout = (ins Optional<Lm_Seed>:$seed, OptionalAttr<F64Attr>:$dropout, OptionalAttr<I64Attr>:$site);

def Lm_AttentionOp : Lm_Op<"attention", [Pure, Lm_Differentiable]> {
  let summary = "causal softmax attention among the rows of a step";
  let description = [{
    query (rows, heads * d), key (rows, kv_heads * d), value (rows, kv_heads * e), result (rows, heads * e). Row i
    sees row j when both belong to the same sequence and position[i] - window < position[j] <= position[i].
    Query head h reads key head h / (heads / kv_heads) (grouped queries, arXiv:2305.13245).
    score = scale * q.k, then softcap * tanh(score / softcap) (Gemma 2), then + alibi[h] * (position[j] - position[i])
    (arXiv:2108.12409), then softmax over j. The optional second result is the log of the sum of exp(score)
    (rows, heads), which the backward pass needs (arXiv:2205.14135). With a `seed` the probabilities are dropped with
    probability `dropout` behind the softmax, as lm.dropout does it.
  }];
  let arguments = !con((ins Lm_Rows:$query, Lm_Rows:$key, Lm_Rows:$value, Lm_Ids:$positions, Lm_Ids:$sequences),
                       Lm_AttentionDropout, Lm_AttentionAttributes);
  let results = (outs Lm_Rows:$result, Optional<Lm_Rows>:$log_sum_exp);
  let assemblyFormat = "$query `,` $key `,` $value `,` $positions `,` $sequences (`seed` $seed^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Lm_AppendOp : Lm_Op<"append", [Pure, AllTypesMatch<["cache", "result"]>]> {
  let summary = "the cache with the keys and values of this step's rows added to a layer";
  let arguments = (ins Lm_CacheType:$cache, Lm_Rows:$key, Lm_Rows:$value, Lm_Ids:$positions, Lm_Ids:$sequences,
                       I64Attr:$layer, I64Attr:$kv_heads);
  let results = (outs Lm_CacheType:$result);
  let assemblyFormat = "$cache `,` $key `,` $value `,` $positions `,` $sequences attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Lm_CachedAttentionOp : Lm_Op<"cached_attention", [Pure]> {
  let summary = "lm.attention over a layer's cache, which holds the step's own rows already";
  let arguments = !con((ins Lm_Rows:$query, Lm_CacheType:$cache, Lm_Ids:$positions, Lm_Ids:$sequences, I64Attr:$layer),
                       Lm_AttentionAttributes);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$query `,` $cache `,` $positions `,` $sequences attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Lm_AttentionBackwardOp : Lm_Op<"attention_backward", [Pure,
    AllTypesMatch<["query", "query_gradient"]>, AllTypesMatch<["key", "key_gradient"]>,
    AllTypesMatch<["value", "value_gradient"]>, AllTypesMatch<["gradient", "output"]>]> {
  let summary = "gradients of lm.attention by query, key and value";
  let description = [{
    Dao et al. 2022, arXiv:2205.14135, algorithm 4: probabilities are exp(score - log_sum_exp), computed again;
    with D = sum over the head of gradient * output (the
    result of lm.attention), the gradient of a score is p * (f * (gradient . value) - D), where f is 1 or what dropout
    multiplied the probability by.
  }];
  let arguments = !con((ins Lm_Rows:$gradient, Lm_Rows:$query, Lm_Rows:$key, Lm_Rows:$value, Lm_Rows:$output,
                            Lm_Rows:$log_sum_exp, Lm_Ids:$positions, Lm_Ids:$sequences), Lm_AttentionDropout,
                       Lm_AttentionAttributes);
  let results = (outs Lm_Rows:$query_gradient, Lm_Rows:$key_gradient, Lm_Rows:$value_gradient);
  let assemblyFormat = "$gradient `,` $query `,` $key `,` $value `,` $output `,` $log_sum_exp `,` $positions `,` $sequences (`seed` $seed^)? attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

#endif // SINTER_LM_ATTENTION_TD
