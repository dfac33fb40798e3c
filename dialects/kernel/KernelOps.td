// SPDX-License-Identifier: Apache-2.0
// Kernels and steps: kernel.func with its anchors (matmul, attention, rows), kernel.entry with its launches.
#ifndef SINTER_DIALECTS_KERNEL_KERNELOPS_TD
#define SINTER_DIALECTS_KERNEL_KERNELOPS_TD

include "dialects/kernel/KernelTypes.td"
include "mlir/Interfaces/FunctionInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/SymbolInterfaces.td"

class Kernel_Op<string mnemonic, list<Trait> traits = []> : Op<Kernel_Dialect, mnemonic, traits>;

def Kernel_AnyBuffer : AnyTypeOf<[Kernel_RowsType, Kernel_TableType, Kernel_WeightType, Kernel_CacheKType,
                                  Kernel_CacheVType, Kernel_PartialType, Kernel_SegmentsType], "a buffer of the kernel dialect">;

def Kernel_AnchorOpInterface : OpInterface<"AnchorOpInterface"> {
  let cppNamespace = "::sinter::kernel";
  let description = [{ The one operation of a kernel that says what it computes. }];
  let methods = [InterfaceMethod<"How a launch is cut into tiles.", "::sinter::kernel::Grid", "getGrid">];
}

def Kernel_FuncOp : Kernel_Op<"func", [IsolatedFromAbove, NoTerminator, SingleBlock, FunctionOpInterface]> {
  let summary = "one kernel: buffers in the order of the launch, and one anchor";
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<FunctionType>:$function_type,
                   OptionalAttr<DictArrayAttr>:$arg_attrs, OptionalAttr<DictArrayAttr>:$res_attrs,
                   OptionalAttr<StrAttr>:$sym_visibility);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::mlir::Region *getCallableRegion() { return &getBody(); }
    ::llvm::ArrayRef<::mlir::Type> getArgumentTypes() { return getFunctionType().getInputs(); }
    ::llvm::ArrayRef<::mlir::Type> getResultTypes() { return getFunctionType().getResults(); }
    /// The operation that says what the kernel computes.
    AnchorOpInterface getAnchor();
  }];
}

class Kernel_Anchor<string mnemonic, list<Trait> traits = []>
    : Kernel_Op<mnemonic, !listconcat(traits, [
        HasParent<"FuncOp">, DeclareOpInterfaceMethods<Kernel_AnchorOpInterface>])>;

def Kernel_RowsOp : Kernel_Anchor<"rows", [SingleBlock, SingleBlockImplicitTerminator<"YieldOp">]> {
  let summary = "a program for each row (reduce, then map), or for each group of columns of each row";
  let description = [{
    Without `columns` the region has one argument, the row, and computes on vectors as long as a row:
    elementwise operations, `vector.reduction`, loads and stores; these are emitted as loops over chunks.
    With `columns C group G` it runs for each group of G columns and has two arguments, row and first column.

    ```mlir
    kernel.rows over(rows) {
    ^bb0(%row: index):
      %x = kernel.load %in[%row] : !kernel.rows<576xf32>, vector<576xf32>
      %y = math.exp %x : vector<576xf32>
      kernel.store %y, %out[%row] : vector<576xf32>, !kernel.rows<576xf32>
    }
    ```
  }];
  let arguments = (ins Kernel_DomainAttr:$domain, OptionalAttr<I64Attr>:$columns, OptionalAttr<I64Attr>:$group,
                   OptionalAttr<Kernel_ScheduleAttr>:$schedule);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    `over` `(` $domain `)` (`columns` $columns^ `group` $group)? (`schedule` $schedule^)? attr-dict-with-keyword $body
  }];
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
}

def Kernel_MatmulOp : Kernel_Anchor<"matmul", [AttrSizedOperandSegments, NoTerminator]> {
  let summary = "rows times packed weights, with a prologue on the left side and epilogues on column ranges";
  let description = [{
    acc[row, column] = sum over k of left[row, k] * weight[column, k]. The left side is a buffer (`left`), or
    what the region `lhs` yields for a row (vector of the weights' inputs, f32), made once a thread and row.
    `lhs` may store (a new residual): on the processor every thread that computes the row makes such a store,
    with the same value, on GPUs the blocks of the first columns. It must not go to a buffer that the matmul
    loads.
    Several weights of one shape give several accumulators (gate and up).
    With `transposed` the product is with the transposed weight, acc[row, column] = sum over k of left[row, k] *
    weight[k, column]: the gradient of a linear layer by its input (f32 only).
    With `experts` each weight is a stack of matrices, one an expert, and the rows of `left` (and those that the
    ranges get) are dispatched: rows segments[e] to segments[e + 1] - 1 are multiplied by matrix e.
    With the attribute `kernel.bf16` both factors are rounded to bf16, to nearest even, before they are multiplied; sums
    are f32.
    With `kernel.split_k` = n on GPUs n blocks sum a part of K each, where tiles are few. The parts are added in their
    order, by the one that is done last, which has the epilogue, or, where the blocks are a cluster, by each for a share
    of the rows. Numbers depend on n alone.
    With `fast_accumulation` (weights of 8 bits) tensor cores may sum all of K, with as many bits as they keep, as
    cuBLASLt's CUBLASLT_MATMUL_DESC_FAST_ACCUM and PyTorch's use_fast_accum let them: about 14 bits on sm_90a. Without
    it they sum 128 columns of K, and f32 additions do the rest. Ignored where sums are f32 anyway.
    Each `kernel.range` in `ranges` handles part of the columns; together they cover each column once, in order.
  }];
  let arguments = (ins Optional<Kernel_RowsType>:$left, Variadic<Kernel_WeightType>:$weights,
                   Optional<Kernel_SegmentsType>:$experts, UnitAttr:$transposed, Kernel_DomainAttr:$domain,
                   OptionalAttr<Kernel_ScheduleAttr>:$schedule, UnitAttr:$fast_accumulation);
  let regions = (region AnyRegion:$lhs, SizedRegion<1>:$ranges);
  let assemblyFormat = [{
    (`left` `(` $left^ `:` type($left) `)`)? (`transposed` $transposed^)? `weights` `(` $weights `:` type($weights) `)`
    (`experts` `(` $experts^ `:` type($experts) `)`)? `over` `(` $domain `)` (`fast_accumulation` $fast_accumulation^)?
    (`schedule` $schedule^)? attr-dict-with-keyword (`lhs` $lhs^)? `ranges` $ranges
  }];
  let extraClassDeclaration = [{
    /// Inputs (length of a row of the left side) and outputs (columns of one accumulator).
    int64_t getInputs();
    int64_t getOutputs();
    /// Matrices in a weight: 1 without experts.
    int64_t getExpertCount();
    /// Parts of K that tiles of their own sum: kernel.split_k, or 1.
    int64_t getSplits();
  }];
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
}

def Kernel_RangeOp : Kernel_Op<"range", [HasParent<"MatmulOp">, SingleBlock,
                                         SingleBlockImplicitTerminator<"YieldOp">]> {
  let summary = "epilogue of a matmul for columns begin to end - 1, a group at a time";
  let description = [{
    The region has an accumulator a weight (vector of `group` f32), the row and the first column of the group.
  }];
  let arguments = (ins I64Attr:$begin, I64Attr:$end, I64Attr:$group);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$begin `to` $end `group` $group attr-dict-with-keyword $body";
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
}

def Kernel_AttentionOp : Kernel_Anchor<"attention"> {
  let summary = "attention of each row over the keys and values in its cache slot, up to its own position";
  let description = [{
    softmax over keys t <= position of: cap(scale * q.k) - slope * (position - t), then the weighted sum of
    values. `window` w keeps t > position - w; `softcap` c maps s to c * tanh(s / c); `slopes` (ALiBi) has one
    number a query head. Query heads are neighbours: head h uses key head h / (heads / key heads).
    The keys and values of the step's own rows are in the cache already. Queries are f32, in prefill also of the
    cache's type.

    The result is rows of [heads x value size], or (decode only) a `!kernel.partial`, cut into chunks of keys
    that run in parallel and are put together by `kernel.combine`.
  }];
  let arguments = (ins Kernel_RowsType:$query, Kernel_CacheKType:$keys, Kernel_CacheVType:$values,
                   Optional<Kernel_TableType>:$slopes,
                   Arg<AnyTypeOf<[Kernel_RowsType, Kernel_PartialType]>, "", [MemWrite]>:$output,
                   Kernel_FormAttr:$form, I64Attr:$heads, F64Attr:$scale,
                   DefaultValuedAttr<I64Attr, "0">:$window, DefaultValuedAttr<F64Attr, "0.0">:$softcap,
                   OptionalAttr<Kernel_ScheduleAttr>:$schedule);
  let assemblyFormat = [{
    $form `heads` $heads `scale` $scale (`window` $window^)? (`softcap` $softcap^)?
    `query` `(` $query `:` type($query) `)` `keys` `(` $keys `:` type($keys) `)`
    `values` `(` $values `:` type($values) `)` (`slopes` `(` $slopes^ `:` type($slopes) `)`)?
    `output` `(` $output `:` type($output) `)` (`schedule` $schedule^)? attr-dict
  }];
  let hasVerifier = 1;
}

def Kernel_RouteOp : Kernel_Anchor<"route"> {
  let summary = "the k most probable experts of each row, best first, and how much each counts";
  let description = [{
    Of equal logits the first counts as the greater. A weight is the softmax over all experts, or with `normalise`
    over the chosen ones.
  }];
  let arguments = (ins Kernel_RowsType:$logits, Arg<Kernel_RowsType, "", [MemWrite]>:$weights,
                   Arg<Kernel_RowsType, "", [MemWrite]>:$chosen,
                   Kernel_DomainAttr:$domain, UnitAttr:$normalise);
  let assemblyFormat = [{
    (`normalise` $normalise^)? `logits` `(` $logits `:` type($logits) `)` `weights` `(` $weights `:` type($weights) `)`
    `chosen` `(` $chosen `:` type($chosen) `)` `over` `(` $domain `)` attr-dict
  }];
  let hasVerifier = 1;
}

def Kernel_DispatchOp : Kernel_Anchor<"dispatch"> {
  let summary = "sorts the rows by their experts: places[row, j] is the dispatched row of the j-th expert of a row";
  let description = [{
    A counting sort in one tile: a dispatched row depends on nothing but the choices, and the rows of an expert stay
    in order.
  }];
  let arguments = (ins Kernel_RowsType:$chosen, Arg<Kernel_RowsType, "", [MemWrite]>:$places,
                   Arg<Kernel_SegmentsType, "", [MemWrite]>:$segments,
                   Kernel_DomainAttr:$domain);
  let assemblyFormat = [{
    `chosen` `(` $chosen `:` type($chosen) `)` `places` `(` $places `:` type($places) `)`
    `segments` `(` $segments `:` type($segments) `)` `over` `(` $domain `)` attr-dict
  }];
  let hasVerifier = 1;
}

def Kernel_EntryOp : Kernel_Op<"entry", [Symbol, IsolatedFromAbove, NoTerminator, SingleBlock]> {
  let summary = "a step: buffers, and launches in order";
  let description = [{
    `head_begin` is the number of the first launch that computes logits of the selected rows.
    The memory pass gives arena buffers their offsets and sets `arena_bytes`.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, I64Attr:$max_rows, I64Attr:$max_selected,
                   OptionalAttr<I64Attr>:$head_begin, OptionalAttr<I64Attr>:$arena_bytes);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $sym_name `rows` $max_rows `selected` $max_selected (`head` $head_begin^)? (`arena` $arena_bytes^)?
    attr-dict-with-keyword $body
  }];
}

def Kernel_BufferOp : Kernel_Op<"buffer", [Pure, HasParent<"EntryOp">]> {
  let summary = "a buffer that launches use";
  let description = [{
    A `weight` or table names its parameter; a cache names its layer; an `arena` buffer has an `offset` (bytes)
    once memory is planned. `kernel.buffer weight @name : T`, `kernel.buffer cache_k layer 3 : T`.
    An arena buffer with `rows` has that many rows, and not the entry's (logits of a chunk). In training `weight`,
    `gradient` and the optimizer's `state0` and `state1` may be a part of their image, one row of f32 from `offset` on.
  }];
  let arguments = (ins Kernel_SpaceAttr:$space, OptionalAttr<FlatSymbolRefAttr>:$parameter,
                   OptionalAttr<I64Attr>:$layer, OptionalAttr<I64Attr>:$offset, OptionalAttr<I64Attr>:$rows);
  let results = (outs Kernel_AnyBuffer:$buffer);
  let builders = [OpBuilder<(ins "::mlir::Type":$buffer, "Space":$space, "::mlir::FlatSymbolRefAttr":$parameter,
                                 "::mlir::IntegerAttr":$layer, "::mlir::IntegerAttr":$offset),
                            [{ build($_builder, $_state, buffer, space, parameter, layer, offset, ::mlir::IntegerAttr()); }]>];
  let assemblyFormat = [{
    $space ($parameter^)? (`layer` $layer^)? (`offset` $offset^)? (`rows` $rows^)? attr-dict `:` type($buffer)
  }];
  let hasVerifier = 1;
}

def Kernel_LaunchOp : Kernel_Op<"launch", [HasParent<"EntryOp">, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "runs a kernel on buffers, after all launches before it";
  let description = [{
    In training a launch may run on some rows, `row_count` from `first_row` on; then its buffers of activations begin
    there, but for those that have `rows` of their own. `adds`: gradients are added to in the first micro-step too.
    `in_loss`: the loss depends on it. `fills_logits`: after it the logits of the rows are there.
  }];
  let arguments = (ins FlatSymbolRefAttr:$callee, Variadic<Kernel_AnyBuffer>:$buffers,
                   OptionalAttr<I64Attr>:$first_row, OptionalAttr<I64Attr>:$row_count, UnitAttr:$adds, UnitAttr:$in_loss,
                   UnitAttr:$fills_logits);
  let builders = [OpBuilder<(ins "::mlir::FlatSymbolRefAttr":$callee, "::mlir::ValueRange":$buffers), [{
    $_state.addOperands(buffers);
    $_state.getOrAddProperties<Properties>().callee = callee;
  }]>];
  let assemblyFormat = "$callee `(` $buffers `)` attr-dict `:` type($buffers)";
}

include "dialects/kernel/KernelRowOps.td"
include "dialects/kernel/KernelSamplingOps.td"
include "dialects/kernel/KernelTrainingOps.td"

#endif // SINTER_DIALECTS_KERNEL_KERNELOPS_TD
