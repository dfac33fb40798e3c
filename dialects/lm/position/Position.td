// SPDX-License-Identifier: Apache-2.0
// Position encodings: rotary angles and their application, sinusoids. (ALiBi is an attribute of attention,
// learned positions are lm.embedding.)
#ifndef SINTER_LM_POSITION_TD
#define SINTER_LM_POSITION_TD

include "dialects/lm/LmDialect.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Lm_DynamicNtkAttr : AttrDef<Lm_Dialect, "DynamicNtk"> {
  let mnemonic = "dynamic_ntk";
  let summary = "frequencies that change with the length of the sequence";
  let description = [{
    For length n = 1 + the largest position of the step, n > length: the frequencies are base'^(-2i/dim) with
    base' = base * (factor * n / length - (factor - 1))^(dim / (dim - 2)); else those of the operation.
  }];
  let parameters = (ins "::mlir::FloatAttr":$base, "::mlir::FloatAttr":$factor, "int64_t":$length, "int64_t":$dim);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Lm_RopeAnglesOp : Lm_Op<"rope_angles", [Pure]> {
  let summary = "cosines and sines of position * frequency, times `factor`";
  let description = [{
    Su et al. 2021, arXiv:2104.09864. positions (rows), results (rows, frequencies). The angle is rounded to f32 as
    transformers does (f32 position * f32 frequency). All scalings that only change the frequencies (linear,
    llama3, YaRN) are in `frequencies`; `factor` is YaRN's and longrope's attention factor. `long_frequencies`
    are used instead when the largest position of the step is at least `long_from` (longrope).
    ```mlir
    %cos, %sin = lm.rope_angles %positions {frequencies = array<f32: ...>} : tensor<?xi32> -> tensor<?x32xf32>
    ```
  }];
  let arguments = (ins Lm_Ids:$positions, DenseF32ArrayAttr:$frequencies,
                       DefaultValuedAttr<F64Attr, "1.0">:$factor,
                       OptionalAttr<DenseF32ArrayAttr>:$long_frequencies, OptionalAttr<I64Attr>:$long_from,
                       OptionalAttr<F64Attr>:$long_factor,
                       OptionalAttr<Lm_DynamicNtkAttr>:$dynamic);
  let results = (outs Lm_Rows:$cos, Lm_Rows:$sin);
  let assemblyFormat = "$positions attr-dict `:` type($positions) `->` type($cos) `,` type($sin)";
  let hasVerifier = 1;
}

def Lm_RopeOp : Lm_Op<"rope", [Pure, Lm_Differentiable, AllTypesMatch<["input", "result"]>]> {
  let summary = "rotates pairs of columns of every head by the step's angles";
  let description = [{
    input (rows, heads * head_dim); cos, sin (rows, r) with 2r <= head_dim: the first 2r columns of each head
    turn, the others pass (partial rotary). Pairs are (i, i + r), or (2i, 2i + 1) when `interleaved`:
    y[i] = x[i] cos[i] - x[i'] sin[i], y[i'] = x[i'] cos[i] + x[i] sin[i].
  }];
  let arguments = (ins Lm_Rows:$input, Lm_Rows:$cos, Lm_Rows:$sin, I64Attr:$head_dim, UnitAttr:$interleaved);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$input `,` $cos `,` $sin attr-dict `:` type($result) `,` type($cos) `,` type($sin)";
  let hasVerifier = 1;
}

def Lm_SinusoidsOp : Lm_Op<"sinusoids", [Pure]> {
  let summary = "fixed position encodings: sines in the first half of the columns, cosines in the second";
  let description = "Vaswani et al. 2017, arXiv:1706.03762, in fairseq's order: frequency i is base^(-i / (width/2 - 1)); position + offset is encoded.";
  let arguments = (ins Lm_Ids:$positions, DefaultValuedAttr<F64Attr, "10000.0">:$base, DefaultValuedAttr<I64Attr, "0">:$offset);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$positions attr-dict `:` type($positions) `->` type($result)";
  let hasVerifier = 1;
}

#endif // SINTER_LM_POSITION_TD
