// SPDX-License-Identifier: Apache-2.0
// --lm-differentiate: a loss becomes a loss and its gradients.
//
//   func.func @forward(...) -> tensor<f32>      func.func @forward(...) -> (tensor<f32>, tensor<8x4xf32>)
//     %w = lm.read @w                             %w = lm.read @w
//     ...                                 ->      ...
//     return %loss                                %dw = lm.linear_backward_weight ...
//                                                 return %loss, %dw
//
// The walk goes from the loss back and applies the rule of each operation (dialects/lm/*/Gradients.cpp);
// gradients of a value that is used several times are added.
#include "dialects/lm/Gradients.h"
#include "passes/Passes.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_DIFFERENTIATEPASS
#include "passes/Passes.h.inc"

namespace {

bool isReal(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && isa<FloatType, lm::BlockType>(type.getElementType());
}

/// The values of `body` that depend on a parameter that is trained.
llvm::DenseSet<Value> activeValues(Block &body) {
  llvm::DenseSet<Value> active;
  for (Operation &op : body) {
    bool isActive = llvm::any_of(op.getOperands(), [&](Value operand) { return active.contains(operand); });
    if (auto read = dyn_cast<lm::ReadOp>(op))
      isActive =
          SymbolTable::lookupNearestSymbolFrom<lm::ParameterOp>(read, read.getParameterAttr()).getTrainable();
    op.walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        isActive |= active.contains(operand);
    });
    for (Value result : op.getResults())
      if (isActive && isReal(result))
        active.insert(result);
  }
  return active;
}

struct DifferentiatePass : impl::DifferentiatePassBase<DifferentiatePass> {
  using Base::Base;

  void runOnOperation() override {
    auto forward = getOperation().lookupSymbol<func::FuncOp>(function);
    if (!forward || forward.isExternal()) {
      getOperation().emitError() << "expected a function " << function << " with a body, found none";
      return signalPassFailure();
    }
    if (failed(differentiate(forward)))
      signalPassFailure();
  }

  LogicalResult differentiate(func::FuncOp forward) {
    Block &body = forward.getBody().front();
    auto exit = cast<func::ReturnOp>(body.getTerminator());
    auto lossType = RankedTensorType::get({}, Float32Type::get(&getContext()));
    if (exit.getNumOperands() != 1 || exit.getOperand(0).getType() != lossType)
      return exit.emitOpError() << "expected a loss, one " << lossType << ", found "
                                << exit.getOperandTypes();
    lm::Gradients gradients(OpBuilder(exit), activeValues(body));
    if (!gradients.wants(exit.getOperand(0)))
      return exit.emitOpError("expected a loss that depends on a parameter that is trained");

    gradients.add(exit.getOperand(0), arith::ConstantOp::create(gradients.builder, exit.getLoc(),
                                                                DenseElementsAttr::get(lossType, 1.0f)));
    SmallVector<Operation *> order;
    for (Operation &op : body.without_terminator())
      if (llvm::any_of(op.getResults(), [&](Value result) { return gradients.wants(result); }))
        order.push_back(&op);
    llvm::MapVector<StringAttr, Value> byParameter;
    for (Operation *op : llvm::reverse(order)) {
      if (llvm::none_of(op->getResults(), [&](Value result) { return gradients.has(result); }))
        continue;
      auto differentiable = dyn_cast<lm::DifferentiableInterface>(op);
      if (!differentiable)
        return op->emitError() << "expected an operation with a rule of differentiation, found "
                               << op->getName();
      if (failed(differentiable.differentiate(gradients)))
        return failure();
      if (auto read = dyn_cast<lm::ReadOp>(op); read && failed(collect(read, gradients, byParameter)))
        return failure();
    }
    returnGradients(forward, exit, byParameter);
    for (auto attention : llvm::make_early_inc_range(body.getOps<lm::AttentionOp>()))
      if (!attention.getLogSumExp() && !attention.use_empty()) // nothing before it is trained
        lm::addLogSumExp(attention);
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(body)))
      if (isa<lm::AttentionOp>(op) && isOpTriviallyDead(&op)) // made again with its log_sum_exp
        op.erase();
    return success();
  }

  /// Adds the gradient of a read to that of its parameter.
  LogicalResult collect(lm::ReadOp read, lm::Gradients &gradients,
                        llvm::MapVector<StringAttr, Value> &byParameter) {
    if (isa<lm::BlockType>(cast<RankedTensorType>(read.getType()).getElementType()))
      return read.emitOpError() << "expected a parameter of f32, f16 or bf16 to train, found "
                                << read.getType() << "; mark it {trainable = false}";
    Value &sum = byParameter[read.getParameterAttr().getAttr()];
    Value gradient = gradients.of(read.getResult());
    sum = sum ? lm::AddOp::create(gradients.builder, read.getLoc(), sum, gradient) : gradient;
    return success();
  }

  void returnGradients(func::FuncOp forward, func::ReturnOp exit,
                       llvm::MapVector<StringAttr, Value> &byParameter) {
    SmallVector<Value> results(exit.getOperands());
    SmallVector<StringAttr> names;
    for (auto parameter : getOperation().getOps<lm::ParameterOp>())
      if (auto found = byParameter.find(parameter.getSymNameAttr()); found != byParameter.end()) {
        results.push_back(found->second);
        names.push_back(found->first);
      }
    exit.getOperandsMutable().assign(results);
    forward.setFunctionType(
        FunctionType::get(&getContext(), forward.getArgumentTypes(), ValueRange(results).getTypes()));
    for (auto [i, name] : llvm::enumerate(names))
      forward.setResultAttr(i + 1, "lm.gradient", FlatSymbolRefAttr::get(name));
  }
};

} // namespace
} // namespace sinter
