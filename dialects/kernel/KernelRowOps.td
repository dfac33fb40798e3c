// SPDX-License-Identifier: Apache-2.0
// Operations inside the regions of anchors: what touches buffers and the step.
#ifndef SINTER_DIALECTS_KERNEL_KERNELROWOPS_TD
#define SINTER_DIALECTS_KERNEL_KERNELROWOPS_TD

include "dialects/kernel/KernelTypes.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Kernel_F32Vector : VectorOfRankAndType<[1], [F32]>;
def Kernel_RowsOrTable : AnyTypeOf<[Kernel_RowsType, Kernel_TableType]>;
def Kernel_Cache : AnyTypeOf<[Kernel_CacheKType, Kernel_CacheVType]>;

def Kernel_YieldOp : Kernel_Op<"yield", [Pure, Terminator, ReturnLike,
                                         ParentOneOf<["RowsOp", "MatmulOp", "RangeOp"]>]> {
  let summary = "end of a region; in `lhs` of a matmul with the row of the left side";
  let arguments = (ins Variadic<Kernel_F32Vector>:$values);
  let builders = [OpBuilder<(ins), [{ /* no values */ }]>];
  let assemblyFormat = "($values^ `:` type($values))? attr-dict";
}

def Kernel_LoadOp : Kernel_Op<"load", [MemoryEffects<[MemRead]>]> {
  let summary = "columns of a row, widened to f32: a whole row, or as many as the vector has from `column` on";
  let arguments = (ins Kernel_RowsOrTable:$buffer, Index:$row, Optional<Index>:$column);
  let results = (outs Kernel_F32Vector:$result);
  let assemblyFormat = "$buffer `[` $row (`,` $column^)? `]` attr-dict `:` type($buffer) `,` type($result)";
  let hasVerifier = 1;
}

def Kernel_StoreOp : Kernel_Op<"store"> {
  let summary = "stores columns of a row, rounded to the element of the buffer (q8: quantised in blocks of 32)";
  let description = [{
    To q8: scale = largest magnitude / 127, integers round(x / scale) to the nearest, ties to even, as far as
    the blocks of 32 go; the sums are of the rounded integers.
  }];
  let arguments = (ins Kernel_F32Vector:$value, Arg<Kernel_RowsType, "", [MemWrite]>:$buffer, Index:$row,
                   Optional<Index>:$column);
  let assemblyFormat = "$value `,` $buffer `[` $row (`,` $column^)? `]` attr-dict `:` type($value) `,` type($buffer)";
  let hasVerifier = 1;
}

def Kernel_AppendOp : Kernel_Op<"append"> {
  let summary = "stores one head of the row's key or value in the cache, at the row's slot and position";
  let arguments = (ins Kernel_F32Vector:$value, Arg<Kernel_Cache, "", [MemWrite]>:$cache, Index:$row, Index:$head);
  let assemblyFormat = "$value `,` $cache `[` $row `,` $head `]` attr-dict `:` type($value) `,` type($cache)";
  let hasVerifier = 1;
}

def Kernel_LookupOp : Kernel_Op<"lookup", [MemoryEffects<[MemRead]>]> {
  let summary = "one row of a packed weight, dequantised: an embedding";
  let arguments = (ins Kernel_WeightType:$weight, Index:$index);
  let results = (outs Kernel_F32Vector:$result);
  let assemblyFormat = "$weight `[` $index `]` attr-dict `:` type($weight) `,` type($result)";
  let hasVerifier = 1;
}

def Kernel_CombineOp : Kernel_Op<"combine", [MemoryEffects<[MemRead]>]> {
  let summary = "puts the chunks of a partial attention together: one row of [heads x value size]";
  let description = [{ `window` is that of the attention. With M = max of the chunks' maxima: the sum of
    2^(max - M) * acc divided by the sum of 2^(max - M) * sum, over the chunks in the reach of the row. }];
  let arguments = (ins Kernel_PartialType:$partial, Index:$row, DefaultValuedAttr<I64Attr, "0">:$window);
  let results = (outs Kernel_F32Vector:$result);
  let assemblyFormat = "$partial `[` $row `]` (`window` $window^)? attr-dict `:` type($partial) `,` type($result)";
  let hasVerifier = 1;
}

def Kernel_ElementOp : Kernel_Op<"element", [MemoryEffects<[MemRead]>]> {
  let summary = "one number of a row: f32 as it is, i32 as an index";
  let arguments = (ins Kernel_RowsType:$buffer, Index:$row, I64Attr:$column);
  let results = (outs AnyTypeOf<[F32, Index]>:$result);
  let assemblyFormat = "$buffer `[` $row `,` $column `]` attr-dict `:` type($buffer) `,` type($result)";
  let hasVerifier = 1;
}

class Kernel_StepOp<string mnemonic, string what> : Kernel_Op<mnemonic, [Pure]> {
  let summary = what;
  let arguments = (ins Index:$row);
  let results = (outs Index:$result);
  let assemblyFormat = "$row attr-dict";
}
def Kernel_PositionOp : Kernel_StepOp<"position", "position of a row in its sequence, from 0">;
def Kernel_TokenOp : Kernel_StepOp<"token", "token id of a row">;
def Kernel_KeysOp : Kernel_StepOp<"keys", "1 + the largest position of the step, whatever the row">;
def Kernel_SelectedOp : Kernel_StepOp<"selected", "row of the step that is the given row of the selected ones">;

#endif // SINTER_DIALECTS_KERNEL_KERNELROWOPS_TD
