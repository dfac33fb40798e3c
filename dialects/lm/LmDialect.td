// SPDX-License-Identifier: Apache-2.0
// The dialect `lm`, its types and the constraints its operations share.
#ifndef SINTER_LM_DIALECT_TD
#define SINTER_LM_DIALECT_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "dialects/lm/Interfaces.td"

def Lm_Dialect : Dialect {
  let name = "lm";
  let cppNamespace = "::sinter::lm";
  let summary = "The graph of a Transformer language model on tensors";
  let description = [{
    Operations at the level of the papers: embedding, linear, norm, rope, attention. There is no memory and
    no schedule here. Activations are `tensor<? x width x f32>`: a row for every token of a step, whatever
    sequence it belongs to; the step's positions (place of a row in its sequence) and sequences (number of
    the sequence) are tensors `? x i32` of the same rows, so that training batches, prompts and single
    decode steps are one graph. Weights never enter the IR: `lm.parameter` declares one by name, and
    `lm.read` gives it as a tensor value.
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
}

class Lm_Type<string name, string typeMnemonic, list<Trait> traits = []> : TypeDef<Lm_Dialect, name, traits> {
  let mnemonic = typeMnemonic;
}

//===-- Types -------------------------------------------------------------------------------------------===//

class Lm_Format<string name, int value> : I32EnumAttrCase<name, value>;
def Lm_BlockFormat : I32EnumAttr<"BlockFormat", "format of a quantised block, as ggml names it", [
    Lm_Format<"q4_0", 0>, Lm_Format<"q4_1", 1>, Lm_Format<"q5_0", 2>, Lm_Format<"q5_1", 3>,
    Lm_Format<"q8_0", 4>, Lm_Format<"q2_K", 5>, Lm_Format<"q3_K", 6>, Lm_Format<"q4_K", 7>,
    Lm_Format<"q5_K", 8>, Lm_Format<"q6_K", 9>]> {
  let cppNamespace = "::sinter::lm";
  let genSpecializedAttr = 0;
}

def Lm_BlockType : Lm_Type<"Block", "block"> {
  let summary = "element of a weight that is stored in quantised blocks along its last dimension";
  let description = [{
    `tensor<960x576x!lm.block<q4_1>>` is a matrix whose rows are stored as blocks of 32 (or 256) elements in
    the named format of ggml. Only parameters have this element type; arithmetic reads its decoded values.
  }];
  let parameters = (ins EnumParameter<Lm_BlockFormat>:$format);
  let assemblyFormat = "`<` $format `>`";
  let extraClassDeclaration = [{
    /// Elements a block: 32, or 256 for the K formats.
    int64_t getBlockElements();
    /// Bytes a block.
    int64_t getBlockBytes();
  }];
}

def Lm_CacheType : Lm_Type<"Cache", "cache"> {
  let summary = "keys and values of all earlier tokens of every layer and sequence";
  let description = "Opaque: its element type and layout (flat, ring, pages) are chosen at stage `memory`.";
}

//===-- Constraints -------------------------------------------------------------------------------------===//

def Lm_Rows : TensorOf<[F32]>;                              // (rows, width), f32
def Lm_LinearInput : TensorOf<[F32, F8E4M3FN, F8E5M2]>;     // the same, or numbers of 8 bits of a caller
def Lm_Ids : 1DTensorOf<[I32]>;                             // (rows), i32
def Lm_Seed : 1DTensorOf<[I32]>;                            // (2): a number of 64 bits, low half first
def Lm_WeightElement : AnyTypeOf<[F32, F16, BF16, F8E4M3FN, F8E5M2, Lm_BlockType]>;
def Lm_Weight : TensorOf<[F32, F16, BF16, F8E4M3FN, F8E5M2, Lm_BlockType]>;
def Lm_Vector : 1DTensorOf<[F32, F16, BF16, Lm_BlockType]>; // norm weights and biases

/// An operation that computes: it has a reference and a cost.
class Lm_Op<string mnemonic, list<Trait> traits = []> :
    Op<Lm_Dialect, mnemonic, !listconcat(traits, [DeclareOpInterfaceMethods<Lm_EvaluableInterface>,
                                                  DeclareOpInterfaceMethods<Lm_CostInterface>])>;

#endif // SINTER_LM_DIALECT_TD
