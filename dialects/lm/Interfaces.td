// SPDX-License-Identifier: Apache-2.0
// What every operation answers about itself beside its verifier: what it computes, what it costs, how it differentiates.
#ifndef SINTER_LM_INTERFACES_TD
#define SINTER_LM_INTERFACES_TD

include "mlir/IR/OpBase.td"

def Lm_EvaluableInterface : OpInterface<"EvaluableInterface"> {
  let cppNamespace = "::sinter::lm";
  let description = "What the operation computes, by naive loops in f64: Reference.cpp of its family.";
  let methods = [InterfaceMethod<
    "Computes the results from the operands, both in `evaluation`; or emits a located error.",
    "::llvm::LogicalResult", "evaluate", (ins "::sinter::lm::Evaluation &":$evaluation)>];
}

def Lm_CostInterface : OpInterface<"CostInterface"> {
  let cppNamespace = "::sinter::lm";
  let description = "How much the operation computes and moves: Cost.cpp of its family.";
  let methods = [InterfaceMethod<"Operations and bytes for a step of the given size.",
    "::sinter::lm::Cost", "cost", (ins "const ::sinter::lm::Step &":$step)>];
}

def Lm_DifferentiableInterface : OpInterface<"DifferentiableInterface"> {
  let cppNamespace = "::sinter::lm";
  let description = "The operation's rule of differentiation: Gradients.cpp of its family. An operation without it has none.";
  let methods = [InterfaceMethod<
    "Adds to the gradients of the operands what the gradients of the results give them.",
    "::llvm::LogicalResult", "differentiate", (ins "::sinter::lm::Gradients &":$gradients)>];
}

/// For the list of traits of an operation that has a rule.
def Lm_Differentiable : DeclareOpInterfaceMethods<Lm_DifferentiableInterface>;

#endif // SINTER_LM_INTERFACES_TD
