// SPDX-License-Identifier: Apache-2.0
// Parameters, groups and the operations that only move rows and columns.
#ifndef SINTER_LM_GRAPH_TD
#define SINTER_LM_GRAPH_TD

include "dialects/lm/LmDialect.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"

class Lm_Order<string name, int value> : I32EnumAttrCase<name, value>;
def Lm_RowOrder : I32EnumAttr<"RowOrder", "how a file orders the rows of a weight", [
    Lm_Order<"plain", 0>,
    Lm_Order<"interleaved_halves", 1>,
    Lm_Order<"qkv_by_head", 2>]> {
  let cppNamespace = "::sinter::lm";
  let genSpecializedAttr = 0;
}

def Lm_SourceAttr : AttrDef<Lm_Dialect, "Source"> {
  let mnemonic = "source";
  let summary = "where the bytes of a parameter are in the model file";
  let description = [{
    `tensors` are stacked along the first dimension (one, normally). `transposed`: the file holds the matrix as
    (in, out), GPT-2's Conv1D. `firstRow`: the parameter starts at this row of the file's tensor (a part of a
    fused tensor), and has as many rows as its type says. `order`:
    * `plain`: as in the graph;
    * `interleaved_halves`: within each of `heads` heads of d rows, the file has rows 0, d/2, 1, d/2 + 1, ...
      where the graph has 0, 1, 2, ... (what llama.cpp's converter does to Llama's Q and K);
    * `qkv_by_head`: the file has q, k and v of head 0, then of head 1, ...; the graph has all q, all k, all v
      (GPT-NeoX, BLOOM).
  }];
  let parameters = (ins
    ArrayRefParameter<"::mlir::StringAttr">:$tensors,
    DefaultValuedParameter<"bool", "false">:$transposed,
    DefaultValuedParameter<"int64_t", "0">:$firstRow,
    DefaultValuedParameter<"::sinter::lm::RowOrder", "::sinter::lm::RowOrder::plain">:$order,
    DefaultValuedParameter<"int64_t", "0">:$heads);
  let assemblyFormat = "`<` struct(custom<TensorNames>($tensors), $transposed, $firstRow, $order, $heads) `>`";
}

def Lm_ParameterOp : Op<Lm_Dialect, "parameter", [Symbol]> {
  let summary = "declares a weight of the model";
  let description = [{
    The bytes are not in the IR: `source` says which tensors of the model file they are. Two layers that
    share a weight (tied embeddings) refer to the same parameter. A parameter with `parts` is theirs, stacked along
    the first dimension. One with a `value` (ALiBi's slopes) is a small constant that no file holds.

    ```mlir
    lm.parameter @blocks.0.attention.query : tensor<576x576x!lm.block<q4_1>> from <tensors = ["blk.0.attn_q.weight"]>
    ```
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    TypeAttrOf<Lm_Weight>:$type,
    OptionalAttr<Lm_SourceAttr>:$source,
    DefaultValuedAttr<BoolAttr, "true">:$trainable,
    OptionalAttr<TypedArrayAttrBase<FlatSymbolRefAttr, "symbols of parameters">>:$parts,
    OptionalAttr<DenseF32ArrayAttr>:$value);
  let assemblyFormat = "$sym_name `:` $type (`from` $source^)? (`parts` $parts^)? (`value` $value^)? attr-dict";
  let hasVerifier = 1;
}

def Lm_ReadOp : Lm_Op<"read", [Pure, Lm_Differentiable, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "the value of a parameter";
  let description = "`%w = lm.read @blocks.0.attention.query : tensor<576x576x!lm.block<q4_1>>`";
  let arguments = (ins FlatSymbolRefAttr:$parameter);
  let results = (outs Lm_Weight:$result);
  let assemblyFormat = "$parameter attr-dict `:` type($result)";
}

def Lm_SelectRowsOp : Lm_Op<"select_rows", [Pure, Lm_Differentiable]> {
  let summary = "gathers rows: result[i] = input[rows[i]]";
  let description = "`lm.select_rows %x, %rows : (tensor<?x576xf32>, tensor<?xi32>) -> tensor<?x576xf32>`. The pass `lm-select-logits` moves it up, so that only wanted positions are computed.";
  let arguments = (ins Lm_Rows:$input, Lm_Ids:$rows);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$input `,` $rows attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Lm_SliceOp : Lm_Op<"slice", [Pure, Lm_Differentiable]> {
  let summary = "columns [offset, offset + width of the result) of a tensor of rows";
  let arguments = (ins Lm_Rows:$input, I64Attr:$offset);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$input `from` $offset attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Lm_ConcatOp : Lm_Op<"concat", [Pure, Lm_Differentiable]> {
  let summary = "puts tensors of the same rows side by side, column after column";
  let arguments = (ins Variadic<Lm_Rows>:$inputs);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$inputs attr-dict `:` functional-type($inputs, $result)";
  let hasVerifier = 1;
}

def Lm_SelectRowsBackwardOp : Lm_Op<"select_rows_backward", [Pure, AllTypesMatch<["input", "result"]>]> {
  let summary = "scatters rows, adding: result[rows[i]] += gradient[i]; zeros elsewhere";
  let description = "The gradient of `lm.select_rows` by its input; `input` gives only the number of rows.";
  let arguments = (ins Lm_Rows:$gradient, Lm_Ids:$rows, Lm_Rows:$input);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$gradient `,` $rows `like` $input attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Lm_PadColumnsOp : Lm_Op<"pad_columns", [Pure]> {
  let summary = "columns [offset, offset + width of the input) are the input, the others zero: the gradient of lm.slice";
  let arguments = (ins Lm_Rows:$input, I64Attr:$offset);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$input `at` $offset attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Lm_AllReduceOp : Lm_Op<"all_reduce", [Pure, SameOperandsAndResultType]> {
  let summary = "the sum of a tensor over all ranks, which each of them gets";
  let description = [{
    Ranks are processes that run one function on sequences of their own (data-parallel training). Gradients of a loss add up
    over them as over micro-batches: rows weigh 1 / (targets that count on all ranks), so the sum is the gradient of the
    mean. Sums are in the order of the ranks, whoever computes them, so that all ranks get the same bits. Since addition is
    linear, a lowering may exchange once an update instead of once a micro-step. One rank: the input.
    `lm.all_reduce %dw {ranks = 2 : i64} : tensor<960x576xf32>`
  }];
  let arguments = (ins TensorOf<[F32]>:$input, I64Attr:$ranks);
  let results = (outs TensorOf<[F32]>:$result);
  let assemblyFormat = "$input attr-dict `:` type($result)";
  let hasVerifier = 1;
}

class Lm_Kind<string name, int value> : I32EnumAttrCase<name, value>;
def Lm_GroupKind : I32EnumAttr<"GroupKind", "what anchors a group, hence which kernel it becomes", [
    Lm_Kind<"matmul", 0>, Lm_Kind<"attention", 1>, Lm_Kind<"rows", 2>, Lm_Kind<"gather", 3>, Lm_Kind<"experts", 4>]> {
  let cppNamespace = "::sinter::lm";
  let genSpecializedAttr = 0;
}
def Lm_GroupKindAttr : EnumAttr<Lm_Dialect, Lm_GroupKind, "kind">;

def Lm_GroupOp : Lm_Op<"group", [SingleBlock, NoRegionArguments, RecursiveMemoryEffects]> {
  let summary = "operations that become one kernel";
  let description = [{
    Its meaning is that of its body: fusion passes decide what goes in and never change what is computed.
    The region uses values from outside freely.

    ```mlir
    %q, %k = lm.group matmul {
      %n = lm.rms_norm %x, %w ...
      ...
      lm.yield %a, %b : tensor<?x576xf32>, tensor<?x192xf32>
    } : tensor<?x576xf32>, tensor<?x192xf32>
    ```
  }];
  let arguments = (ins Lm_GroupKindAttr:$kind, OptionalAttr<StrAttr>:$label);
  let results = (outs Variadic<AnyType>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$kind ($label^)? $body attr-dict (`:` type($results)^)?";
  let hasVerifier = 1;
}

def Lm_YieldOp : Op<Lm_Dialect, "yield", [Pure, Terminator, ReturnLike, HasParent<"GroupOp">]> {
  let summary = "the results of a group";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
  let builders = [OpBuilder<(ins), [{ /* no values */ }]>];
}

#endif // SINTER_LM_GRAPH_TD
