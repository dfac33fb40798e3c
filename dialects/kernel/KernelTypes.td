// SPDX-License-Identifier: Apache-2.0
// Types of buffers: each says how its bytes lie, so that emitters, the memory planner and the packer agree.
#ifndef SINTER_DIALECTS_KERNEL_KERNELTYPES_TD
#define SINTER_DIALECTS_KERNEL_KERNELTYPES_TD

include "dialects/kernel/Kernel.td"
include "dialects/kernel/KernelAttributes.td"
include "mlir/IR/AttrTypeBase.td"

class Kernel_Type<string name, string typeMnemonic> : TypeDef<Kernel_Dialect, name> {
  let mnemonic = typeMnemonic;
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Kernel_Q8Type : TypeDef<Kernel_Dialect, "Q8"> {
  let mnemonic = "q8";
  let summary = "activations in 8 bits, blocks of 32 with a scale: the element of `!kernel.rows<576xq8>`";
}

def Kernel_RowsType : Kernel_Type<"Rows", "rows"> {
  let summary = "activations: `!kernel.rows<576xf32>`, one row a token of the step";
  let description = [{
    (rows, columns), dense, row after row; the element is f32, f16, bf16, q8, or i32 (numbers of experts and places).
    `!kernel.rows<8x768xf32>` has 8 rows of 768 for each row of the step: one for each of its experts, in the order
    of `!kernel.segments`.
    A row of q8 (columns a multiple of 32) is [i8 x columns] [f32 scale x columns/32]
    [f32 scale * sum of the block's integers x columns/32], padded to 64 bytes;
    an element is scale * integer, with integers from -127 to 127.
  }];
  let parameters = (ins "int64_t":$columns, "::mlir::Type":$element, "int64_t":$perRow);
  let builders = [TypeBuilder<(ins "int64_t":$columns, "::mlir::Type":$element),
                              [{ return $_get($_ctxt, columns, element, 1); }]>];
  let extraClassDeclaration = [{
    /// Distance of two rows in bytes.
    int64_t getRowBytes() const;
    bool isQuantized() const;
  }];
}

def Kernel_TableType : Kernel_Type<"Table", "table"> {
  let summary = "a small constant matrix, not packed: `!kernel.table<1x576xf32>` (norm scale, bias, positions)";
  let parameters = (ins "int64_t":$rows, "int64_t":$columns, "::mlir::Type":$element);
  let extraClassDeclaration = [{ int64_t getRowBytes() const; }];
}

def Kernel_SegmentsType : Kernel_Type<"Segments", "segments"> {
  let summary = "which dispatched rows each expert has: `!kernel.segments<8>`";
  let description = [{
    (experts + 1) i32: rows segments[e] to segments[e + 1] - 1 of dispatched activations (`!kernel.rows<2x576xf32>`)
    are those of expert e, in the order of the step's rows.
  }];
  let parameters = (ins "int64_t":$experts);
  let extraClassDeclaration = [{ int64_t getBytes() const { return (getExperts() + 1) * 4; } }];
}

def Kernel_WeightType : Kernel_Type<"Weight", "weight"> {
  let summary = "a packed matrix of a model, outputs x inputs: `!kernel.weight<960x576, q4_1>`";
  let description = [{ How the bytes lie is told by dialects/kernel/WeightLayout.h. }];
  let parameters = (ins "int64_t":$rows, "int64_t":$columns, "::sinter::kernel::WeightFormat":$format);
  let extraClassDeclaration = [{
    /// Of a format of floats; null of a quantised one.
    ::mlir::Type getElement() const;
  }];
}

def Kernel_CacheKType : Kernel_Type<"CacheK", "cache_k"> {
  let summary = "keys of one layer, heads x size of a head: `!kernel.cache_k<3x64xf16>`";
  let description = [{ In a slot: (head, token / 16, size, token % 16); see runtime/abi.h. }];
  let parameters = (ins "int64_t":$heads, "int64_t":$size, "::mlir::Type":$element);
}

def Kernel_CacheVType : Kernel_Type<"CacheV", "cache_v"> {
  let summary = "values of one layer: `!kernel.cache_v<3x64xf16>`";
  let description = [{ In a slot: (head, token, size). }];
  let parameters = (ins "int64_t":$heads, "int64_t":$size, "::mlir::Type":$element);
}

def Kernel_PartialType : Kernel_Type<"Partial", "partial"> {
  let summary = "attention over chunks of keys, not yet combined: `!kernel.partial<9x64, keys 256>`";
  let description = [{
    (row, ceil(step.cache_tokens / keys), getBytes()): for each query head, over the keys of the chunk:
    [heads][size] f32 weighted sums of values, [heads] f32 maxima of the scores in base-2 exponents,
    [heads] f32 sums of the weights. Chunks outside the reach of a row are not written.
  }];
  let parameters = (ins "int64_t":$heads, "int64_t":$size, "int64_t":$keys);
  let extraClassDeclaration = [{
    /// Of one row and chunk, padded to 64.
    int64_t getBytes() const;
  }];
}

#endif // SINTER_DIALECTS_KERNEL_KERNELTYPES_TD
