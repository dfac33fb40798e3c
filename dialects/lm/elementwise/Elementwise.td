// SPDX-License-Identifier: Apache-2.0
// Operations on each element alone.
#ifndef SINTER_LM_ELEMENTWISE_TD
#define SINTER_LM_ELEMENTWISE_TD

include "dialects/lm/LmDialect.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"

class Lm_Unary<string mnemonic, string formula> : Lm_Op<mnemonic, [Pure, Lm_Differentiable, Elementwise, SameOperandsAndResultType]> {
  let summary = formula;
  let arguments = (ins Lm_Rows:$input);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$input attr-dict `:` type($result)";
}

def Lm_SiluOp : Lm_Unary<"silu", "x * sigmoid(x)">;
def Lm_ReluOp : Lm_Unary<"relu", "max(x, 0)">;
def Lm_SigmoidOp : Lm_Unary<"sigmoid", "1 / (1 + exp(-x))">;
def Lm_TanhOp : Lm_Unary<"tanh", "tanh(x)">;
def Lm_GeluOp : Lm_Unary<"gelu", "x * Phi(x) = x / 2 * (1 + erf(x / sqrt 2)), Hendrycks and Gimpel 2016, arXiv:1606.08415">;
def Lm_GeluTanhOp : Lm_Unary<"gelu_tanh", "x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))">;
def Lm_QuickGeluOp : Lm_Unary<"quick_gelu", "x * sigmoid(1.702 x)">;

class Lm_Binary<string mnemonic, string formula, list<Trait> traits> :
    Lm_Op<mnemonic, !listconcat(traits, [Pure, Lm_Differentiable, Elementwise, SameOperandsAndResultType])> {
  let summary = formula;
  let arguments = (ins Lm_Rows:$lhs, Lm_Rows:$rhs);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($result)";
}

def Lm_AddOp : Lm_Binary<"add", "a + b", [Commutative]>;
def Lm_MulOp : Lm_Binary<"mul", "a * b", [Commutative]>;

def Lm_ScaleOp : Lm_Op<"scale", [Pure, Lm_Differentiable, Elementwise, SameOperandsAndResultType]> {
  let summary = "x * factor";
  let arguments = (ins Lm_Rows:$input, F64Attr:$factor);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$input attr-dict `:` type($result)";
  let hasFolder = 1;
}

def Lm_SoftcapOp : Lm_Op<"softcap", [Pure, Lm_Differentiable, Elementwise, SameOperandsAndResultType]> {
  let summary = "cap * tanh(x / cap), as Gemma 2 limits its logits";
  let arguments = (ins Lm_Rows:$input, F64Attr:$cap);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$input attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Lm_ClampOp : Lm_Op<"clamp", [Pure, Lm_Differentiable, Elementwise, SameOperandsAndResultType]> {
  let summary = "x limited to [-limit, limit], as MPT and OLMo may limit queries, keys and values";
  let arguments = (ins Lm_Rows:$input, F64Attr:$limit);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$input attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Lm_DropoutOp : Lm_Op<"dropout", [Pure, Lm_Differentiable, AllTypesMatch<["input", "result"]>]> {
  let summary = "x / (1 - rate), or 0 with probability `rate` (Srivastava et al. 2014)";
  let description = [{
    What is dropped depends on the seed, the site (a number for each such operation of a graph), the row and the column
    alone: dialects/lm/Dropout.h. The gradient is therefore the same operation on the gradient.
    `lm.dropout %x seed %s {rate = 0.1 : f64, site = 3 : i64} : tensor<?x576xf32>, tensor<2xi32>`
  }];
  let arguments = (ins Lm_Rows:$input, Lm_Seed:$seed, F64Attr:$rate, I64Attr:$site);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$input `seed` $seed attr-dict `:` type($result) `,` type($seed)";
  let hasVerifier = 1;
}

//===-- Backward: gradient times the derivative at the input --------------------------------------------------===//

class Lm_UnaryBackward<string mnemonic, string derivative> :
    Lm_Op<mnemonic # "_backward", [Pure, Elementwise, SameOperandsAndResultType]> {
  let summary = "gradient * (" # derivative # "): the gradient of lm." # mnemonic;
  let arguments = (ins Lm_Rows:$gradient, Lm_Rows:$input);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$gradient `,` $input attr-dict `:` type($result)";
}

def Lm_SiluBackwardOp : Lm_UnaryBackward<"silu", "s * (1 + x * (1 - s)), s = sigmoid(x)">;
def Lm_ReluBackwardOp : Lm_UnaryBackward<"relu", "1 where x > 0, else 0">;
def Lm_SigmoidBackwardOp : Lm_UnaryBackward<"sigmoid", "s * (1 - s), s = sigmoid(x)">;
def Lm_TanhBackwardOp : Lm_UnaryBackward<"tanh", "1 - tanh(x)^2">;
def Lm_GeluBackwardOp : Lm_UnaryBackward<"gelu", "Phi(x) + x * exp(-x^2 / 2) / sqrt(2 pi)">;
def Lm_GeluTanhBackwardOp : Lm_UnaryBackward<"gelu_tanh", "(1 + t) / 2 + x / 2 * (1 - t^2) * sqrt(2 / pi) * (1 + 0.134145 x^2), t = tanh(sqrt(2 / pi) * (x + 0.044715 x^3))">;
def Lm_QuickGeluBackwardOp : Lm_UnaryBackward<"quick_gelu", "s * (1 + 1.702 x * (1 - s)), s = sigmoid(1.702 x)">;

def Lm_SoftcapBackwardOp : Lm_Op<"softcap_backward", [Pure, Elementwise, SameOperandsAndResultType]> {
  let summary = "gradient * (1 - tanh(x / cap)^2): the gradient of lm.softcap";
  let arguments = (ins Lm_Rows:$gradient, Lm_Rows:$input, F64Attr:$cap);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$gradient `,` $input attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Lm_ClampBackwardOp : Lm_Op<"clamp_backward", [Pure, Elementwise, SameOperandsAndResultType]> {
  let summary = "gradient where |x| <= limit, else 0: the gradient of lm.clamp";
  let arguments = (ins Lm_Rows:$gradient, Lm_Rows:$input, F64Attr:$limit);
  let results = (outs Lm_Rows:$result);
  let assemblyFormat = "$gradient `,` $input attr-dict `:` type($result)";
  let hasVerifier = 1;
}

#endif // SINTER_LM_ELEMENTWISE_TD
