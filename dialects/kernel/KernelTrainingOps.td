// SPDX-License-Identifier: Apache-2.0
// Anchors of a training step beyond those of inference: gradients of weights, sums over rows, losses, attention among
// the rows of the step and its backward pass, and what an update needs.
#ifndef SINTER_DIALECTS_KERNEL_KERNELTRAININGOPS_TD
#define SINTER_DIALECTS_KERNEL_KERNELTRAININGOPS_TD

include "dialects/kernel/KernelTypes.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Kernel_WeightGradientOp : Kernel_Anchor<"weight_gradient"> {
  let summary = "output[o, i] = (output[o, i] if step.adds) + sum over rows of gradient[row, o] * input[row, i]";
  let description = [{
    The gradient of a linear layer by its weight, written in the packed layout of the weight (f32): rows of the gradient
    are contiguous in o, as panels are. The sum goes through the rows in order, in blocks whose size depends on nothing
    but the shapes. With the attribute `kernel.bf16` both factors are rounded to bf16 first, as in kernel.matmul, or are
    rows of bf16. With `experts` the output is a stack of matrices and the rows are dispatched, as in kernel.matmul.
  }];
  let arguments = (ins Kernel_RowsType:$gradient, Kernel_RowsType:$input,
                       Arg<Kernel_WeightType, "", [MemRead, MemWrite]>:$output,
                       Optional<Kernel_SegmentsType>:$experts, OptionalAttr<Kernel_ScheduleAttr>:$schedule);
  let assemblyFormat = [{
    `gradient` `(` $gradient `:` type($gradient) `)` `input` `(` $input `:` type($input) `)`
    `output` `(` $output `:` type($output) `)` (`experts` `(` $experts^ `:` type($experts) `)`)?
    (`schedule` $schedule^)? attr-dict
  }];
  let extraClassDeclaration = [{
    int64_t getExpertCount() { return getExperts() ? getExperts().getType().getExperts() : 1; }
    /// Columns of the output and inputs a tile.
    int64_t getTileOutputs();
    int64_t getTileInputs();
  }];
  let hasVerifier = 1;
}

def Kernel_ColumnSumOp : Kernel_Anchor<"column_sum"> {
  let summary = "output[c mod w] = (output[c mod w] if step.adds) + sum over rows of input[row, c]; w is the output's width";
  let description = "The gradients of biases and norm weights. A tile is some columns and all rows, in order.";
  let arguments = (ins Kernel_RowsType:$input, Arg<Kernel_TableType, "", [MemRead, MemWrite]>:$output);
  let assemblyFormat = "`input` `(` $input `:` type($input) `)` `output` `(` $output `:` type($output) `)` attr-dict";
  let hasVerifier = 1;
}

def Kernel_ScatterOp : Kernel_Anchor<"scatter"> {
  let summary = "output[id of row + offset, :] += gradient[row, :], after zeros unless step.adds: the gradient of an embedding";
  let description = [{
    The id is the row's token, or its position with `positions`. A tile is some columns and all rows in order, so that
    equal ids add up in one order.
  }];
  let arguments = (ins Kernel_RowsType:$gradient, Arg<Kernel_WeightType, "", [MemRead, MemWrite]>:$output,
                       UnitAttr:$positions,
                       DefaultValuedAttr<I64Attr, "0">:$offset);
  let assemblyFormat = [{
    (`positions` $positions^)? `gradient` `(` $gradient `:` type($gradient) `)` `output` `(` $output `:` type($output) `)`
    attr-dict
  }];
  let hasVerifier = 1;
}

def Kernel_CrossEntropyOp : Kernel_Anchor<"cross_entropy"> {
  let summary = "cross-entropy of each row against step.targets; logits become their gradient, in place";
  let description = [{
    losses[row] = log(sum(exp(logits))) - logits[target], and logits = step.target_weight * (softmax(logits) -
    onehot(target)); both zero where the target is negative. With a label_smoothing e in step.update the one-hot vector
    is (1 - e) * onehot + e / columns; with a z_loss z the loss gains z * log(sum(exp(logits)))^2 (arXiv:2204.02311).
  }];
  let arguments = (ins Arg<Kernel_RowsType, "", [MemRead, MemWrite]>:$logits, Arg<Kernel_RowsType, "", [MemWrite]>:$losses);
  let assemblyFormat = [{
    `logits` `(` $logits `:` type($logits) `)` `losses` `(` $losses `:` type($losses) `)` attr-dict
  }];
  let hasVerifier = 1;
}

def Kernel_RouterVotesOp : Kernel_Anchor<"router_votes"> {
  let summary = "adds to output how often each expert was chosen, and behind that the sums of the experts' probabilities";
  let description = "output (2 * experts), one tile: rows are summed in order. Probabilities are the softmax over all experts.";
  let arguments = (ins Kernel_RowsType:$logits, Kernel_RowsType:$chosen, Arg<Kernel_TableType, "", [MemRead, MemWrite]>:$output);
  let assemblyFormat = [{
    `logits` `(` $logits `:` type($logits) `)` `chosen` `(` $chosen `:` type($chosen) `)`
    `output` `(` $output `:` type($output) `)` attr-dict
  }];
  let hasVerifier = 1;
}

def Kernel_BalanceGradientOp : Kernel_Anchor<"balance_gradient"> {
  let summary = "gradient of the balance loss by the logits of one of `routers` routers, as lm.balance_loss_backward";
  let description = "output = step.update.router_weight * coefficient * experts / (routers * rows)^2 * p * (c - sum(p * c)), c the first half of votes.";
  let arguments = (ins Kernel_RowsType:$logits, Kernel_TableType:$votes, Arg<Kernel_RowsType, "", [MemWrite]>:$output,
                       F64Attr:$coefficient, I64Attr:$routers);
  let assemblyFormat = [{
    `logits` `(` $logits `:` type($logits) `)` `votes` `(` $votes `:` type($votes) `)`
    `output` `(` $output `:` type($output) `)` attr-dict
  }];
  let hasVerifier = 1;
}

defvar Kernel_SelfAttentionAttributes = (ins
  I64Attr:$heads, I64Attr:$kv_heads, I64Attr:$sequence, F64Attr:$scale,
  DefaultValuedAttr<I64Attr, "0">:$window, DefaultValuedAttr<F64Attr, "0.0">:$softcap,
  DefaultValuedAttr<F64Attr, "0.0">:$dropout, OptionalAttr<Kernel_ScheduleAttr>:$schedule);

def Kernel_SelfAttentionOp : Kernel_Anchor<"self_attention", [AttrSizedOperandSegments]> {
  let summary = "attention of each row over the rows of its document before it, and itself";
  let description = [{
    Rows come in sequences of `sequence`; row i sees rows i - position[i] to i of its sequence (at most `window` of
    them). Scores as in kernel.attention. With a `site` (a number in a table) probabilities are multiplied by 0 or
    1 / (1 - dropout), as lm.attention says. log_sum (rows, heads) is log2 of the sum of 2^(score * log2(e)), which the
    backward pass reads. Never more than a block of scores is in memory.

    With the attribute `kernel.bf16` the factors of both products are rounded to bf16, to nearest even: rows of query,
    key and value, and weights 2^(score * log2(e) - m) times what dropout multiplies them by, for any m up to which scores
    of the row reach so far. Sums are f32, as are scores, maxima and log_sum, which is that of weights before they are
    rounded. A target may leave factors as they are: processors do.

    A tile is a head of a sequence, or of `rows_per_tile` rows of it, which divide the sequence (on GPUs alone).
  }];
  let arguments = !con((ins Kernel_RowsType:$query, Kernel_RowsType:$key, Kernel_RowsType:$value,
                            Optional<Kernel_TableType>:$slopes, Optional<Kernel_TableType>:$site, Arg<Kernel_RowsType, "", [MemWrite]>:$output,
                            Arg<Kernel_RowsType, "", [MemWrite]>:$log_sum),
                       Kernel_SelfAttentionAttributes);
  let assemblyFormat = [{
    `query` `(` $query `:` type($query) `)` `key` `(` $key `:` type($key) `)` `value` `(` $value `:` type($value) `)`
    (`slopes` `(` $slopes^ `:` type($slopes) `)`)? (`site` `(` $site^ `:` type($site) `)`)?
    `output` `(` $output `:` type($output) `)` `log_sum` `(` $log_sum `:` type($log_sum) `)`
    (`schedule` $schedule^)? attr-dict
  }];
  let extraClassDeclaration = [{
    int64_t getRowsPerTile();
    /// Whether a tile has all rows of a sequence.
    bool isWhole() { return getRowsPerTile() == static_cast<int64_t>(getSequence()); }
  }];
  let hasVerifier = 1;
}

def Kernel_SelfAttentionBackwardOp : Kernel_Anchor<"self_attention_backward", [AttrSizedOperandSegments]> {
  let summary = "gradients of kernel.self_attention by query, key and value";
  let description = [{
    Dao et al. 2022, arXiv:2205.14135, algorithm 4: probabilities are computed again from log_sum. A tile is a key head
    of a sequence with all its query heads: it writes all of its rows of the three gradients, in one order. With
    `rows_per_tile` (on GPUs alone, with `kernel.bf16`) a tile has so many of its rows: columns of the grid from 0 on write
    the gradients by these keys and values, columns from kv_heads on those by these queries.

    With `kernel.bf16` factors are rounded as in kernel.self_attention: rows of gradient, query, key and value, the
    probabilities (times what dropout multiplied them by) and the gradients by scaled products of query and key. The sum
    over gradient * output is of rows as they are.

    With `prepared` (and `kernel.bf16`) it takes two launches. The one that `prepares` writes the gradients by queries, and
    prepares rows of the gradient as bf16 and that sum (rows, heads); the other one reads them and writes the gradients by
    keys and values. Where factors stay as they are the first one does nothing, the other one all.
  }];
  let arguments = !con((ins Kernel_RowsType:$gradient, Kernel_RowsType:$query, Kernel_RowsType:$key,
                            Kernel_RowsType:$value, Optional<Kernel_TableType>:$slopes,
                            Optional<Kernel_TableType>:$site, Kernel_RowsType:$output,
                            Kernel_RowsType:$log_sum,
                            Arg<Optional<Kernel_RowsType>, "", [MemRead, MemWrite]>:$rounded_gradient,
                            Arg<Optional<Kernel_RowsType>, "", [MemRead, MemWrite]>:$dots, Arg<Kernel_RowsType, "", [MemWrite]>:$query_gradient,
                            Arg<Kernel_RowsType, "", [MemWrite]>:$key_gradient,
                            Arg<Kernel_RowsType, "", [MemWrite]>:$value_gradient),
                       Kernel_SelfAttentionAttributes, (ins UnitAttr:$prepares));
  let assemblyFormat = [{
    `gradient` `(` $gradient `:` type($gradient) `)`
    `query` `(` $query `:` type($query) `)` `key` `(` $key `:` type($key) `)` `value` `(` $value `:` type($value) `)`
    (`slopes` `(` $slopes^ `:` type($slopes) `)`)? (`site` `(` $site^ `:` type($site) `)`)?
    `output` `(` $output `:` type($output) `)` `log_sum` `(` $log_sum `:` type($log_sum) `)`
    (`prepared` `(` $rounded_gradient^ `,` $dots `:` type($rounded_gradient) `,` type($dots) `)`)?
    `gradients` `(` $query_gradient `,` $key_gradient `,` $value_gradient `:` type($query_gradient) `,`
    type($key_gradient) `,` type($value_gradient) `)` (`schedule` $schedule^)? attr-dict
  }];
  let extraClassDeclaration = [{
    int64_t getRowsPerTile();
    /// Whether a tile has all rows of a sequence.
    bool isWhole() { return getRowsPerTile() == static_cast<int64_t>(getSequence()); }
    /// Which gradients the launch writes where factors are rounded.
    bool makesQueries() { return !getDots() || getPrepares(); }
    bool makesKeys() { return !getDots() || !getPrepares(); }
  }];
  let hasVerifier = 1;
}

def Kernel_SquareSumOp : Kernel_Anchor<"square_sum"> {
  let summary = "output[b] = sum of the squares of numbers b * block to (b + 1) * block - 1 of the input's one row";
  let arguments = (ins Kernel_RowsType:$input, Arg<Kernel_RowsType, "", [MemWrite]>:$output, I64Attr:$block);
  let assemblyFormat = [{
    `input` `(` $input `:` type($input) `)` `output` `(` $output `:` type($output) `)` `block` $block attr-dict
  }];
  let hasVerifier = 1;
}

//===-- In the regions of kernel.rows --------------------------------------------------------------------------===//

def Kernel_DropoutOp : Kernel_Op<"dropout", [MemoryEffects<[MemRead]>]> {
  let summary = "what dropout multiplies columns of a row by: 0, or 1 / (1 - rate)";
  let description = [{
    The bits of dialects/lm/Dropout.h for step.seed, the site (a number in a table, so that layers share kernels), the row
    and the columns from `column` on. All are 1 where step.update.dropout is 0.
  }];
  let arguments = (ins Kernel_TableType:$site, Index:$row, Optional<Index>:$column, F64Attr:$rate);
  let results = (outs VectorOfRankAndType<[1], [F32]>:$result);
  let assemblyFormat = "$site `[` $row (`,` $column^)? `]` `rate` $rate attr-dict `:` type($site) `,` type($result)";
  let hasVerifier = 1;
}

//===-- In the regions of an update --------------------------------------------------------------------------===//

// The fields of struct sinter_update (runtime/training/TrainingAbi.h), in its order.
def Kernel_Hyperparameter : Kernel_Enum<"Hyperparameter", "a number that an update is given", [
  I32EnumAttrCase<"LearningRate", 0, "learning_rate">,
  I32EnumAttrCase<"Beta1", 1, "beta1">,
  I32EnumAttrCase<"Beta2", 2, "beta2">,
  I32EnumAttrCase<"Epsilon", 3, "epsilon">,
  I32EnumAttrCase<"WeightDecay", 4, "weight_decay">,
  I32EnumAttrCase<"Correction1", 5, "correction1">,
  I32EnumAttrCase<"Correction2", 6, "correction2">,
  I32EnumAttrCase<"GradientScale", 7, "gradient_scale">,
  I32EnumAttrCase<"MuonRate", 8, "muon_rate">,
  I32EnumAttrCase<"LabelSmoothing", 9, "label_smoothing">,
  I32EnumAttrCase<"ZLoss", 10, "z_loss">,
  I32EnumAttrCase<"RouterWeight", 11, "router_weight">,
  I32EnumAttrCase<"Dropout", 12, "dropout">,
  I32EnumAttrCase<"AverageShare", 13, "average_share">
]>;
def Kernel_HyperparameterAttr : Kernel_EnumAttr<Kernel_Hyperparameter, "hyperparameter">;

def Kernel_HyperOp : Kernel_Op<"hyper", [MemoryEffects<[MemRead]>]> {
  let summary = "a number of step.update";
  let arguments = (ins Kernel_HyperparameterAttr:$number);
  let results = (outs F32:$result);
  let assemblyFormat = "$number attr-dict";
}

#endif // SINTER_DIALECTS_KERNEL_KERNELTRAININGOPS_TD
