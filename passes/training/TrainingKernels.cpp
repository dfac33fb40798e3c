// SPDX-License-Identifier: Apache-2.0
// Kernels that are one anchor: which buffers an operation reads and writes.
#include "passes/training/TrainingKernels.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace sinter {
namespace {

/// A kernel under construction: buffers become arguments.
class Anchor {
public:
  Anchor(Operation *op) : builder(op->getContext()), loc(op->getLoc()) {
    kernel.function = kernel::FuncOp::create(builder, loc, "kernel", builder.getFunctionType({}, {}),
                                             ArrayAttr(), ArrayAttr(), StringAttr());
    kernel.function->getBody().emplaceBlock();
    builder.setInsertionPointToStart(&kernel.function->getBody().front());
  }
  Value operator()(Value buffer) {
    if (!buffer)
      return {};
    Value &place = arguments[buffer];
    if (!place) {
      place = kernel.function->getBody().addArgument(buffer.getType(), loc);
      kernel.buffers.push_back(buffer);
    }
    return place;
  }
  LaunchedKernel finish() {
    kernel.function->setFunctionType(
        builder.getFunctionType(kernel.function->getBody().getArgumentTypes(), {}));
    return std::move(kernel);
  }

  OpBuilder builder;
  Location loc;

private:
  LaunchedKernel kernel;
  llvm::DenseMap<Value, Value> arguments;
};

/// The attributes that both directions of attention have in common.
struct AttentionAttributes {
  IntegerAttr heads, kvHeads, sequence, window;
  FloatAttr scale, softcap, dropout;

  template <typename OpT> AttentionAttributes(OpT op, OpBuilder &builder, int64_t rows) {
    heads = op.getHeadsAttr();
    kvHeads = op.getKvHeadsAttr();
    sequence = builder.getI64IntegerAttr(rows);
    window = builder.getI64IntegerAttr(op.getWindow().value_or(0));
    scale = op.getScaleAttr();
    softcap = op.getSoftcapAttr() ? op.getSoftcapAttr() : builder.getF64FloatAttr(0.0);
    dropout = op.getDropoutAttr() ? op.getDropoutAttr() : builder.getF64FloatAttr(0.0);
  }
};

} // namespace

FailureOr<LaunchedKernel> convertTrainingOp(Operation *op, EntryBuffers &buffers, GradientBuffer gradientOf,
                                            int64_t sequence, Value losses) {
  Anchor kernel(op);
  OpBuilder &builder = kernel.builder;
  Location loc = kernel.loc;
  auto rows = [&](Value value) { return kernel(buffers.rows(value)); };
  auto slopesOf = [&](auto attention) {
    return attention.getAlibi() ? kernel(buffers.constants(*attention.getAlibi())) : Value();
  };
  auto siteOf = [&](auto attention) {
    if (!attention.getSite())
      return Value();
    return kernel(buffers.constants({static_cast<float>(*attention.getSite())}));
  };
  bool known =
      llvm::TypeSwitch<Operation *, bool>(op)
          .Case<lm::CrossEntropyOp>([&](auto loss) {
            kernel::CrossEntropyOp::create(builder, loc, rows(loss.getLogits()), kernel(losses));
            return true;
          })
          .Case<lm::BalanceLossBackwardOp>([&](auto balance) {
            Value logits = rows(balance.getLogits()), votes = kernel(buffers.votes(balance.getVotes()));
            kernel::BalanceGradientOp::create(builder, loc, logits, votes, rows(balance.getResult()),
                                              balance.getCoefficientAttr(), balance.getRoutersAttr());
            return true;
          })
          .Case<lm::AttentionOp>([&](auto attention) {
            AttentionAttributes a(attention, builder, sequence);
            Value query = rows(attention.getQuery()), key = rows(attention.getKey()),
                  value = rows(attention.getValue());
            Value slopes = slopesOf(attention), site = siteOf(attention);
            Value output = rows(attention.getResult()), logSum = rows(attention.getLogSumExp());
            kernel::SelfAttentionOp::create(builder, loc, query, key, value, slopes, site, output, logSum,
                                            a.heads, a.kvHeads, a.sequence, a.scale, a.window, a.softcap,
                                            a.dropout, kernel::ScheduleAttr());
            return true;
          })
          .Case<lm::AttentionBackwardOp>([&](auto attention) {
            AttentionAttributes a(attention, builder, sequence);
            Value gradient = rows(attention.getGradient());
            Value query = rows(attention.getQuery()), key = rows(attention.getKey()),
                  value = rows(attention.getValue());
            Value slopes = slopesOf(attention), site = siteOf(attention);
            Value output = rows(attention.getOutput()), logSum = rows(attention.getLogSumExp());
            Value dq = rows(attention.getQueryGradient()), dk = rows(attention.getKeyGradient());
            Value dv = rows(attention.getValueGradient());
            kernel::SelfAttentionBackwardOp::create(builder, loc, gradient, query, key, value, slopes, site,
                                                    output, logSum, /*rounded_gradient=*/Value(),
                                                    /*dots=*/Value(), dq, dk, dv, a.heads, a.kvHeads,
                                                    a.sequence, a.scale, a.window, a.softcap, a.dropout,
                                                    kernel::ScheduleAttr(), UnitAttr());
            return true;
          })
          .Case<lm::LinearBackwardWeightOp>([&](auto linear) {
            Value gradient = rows(linear.getGradient()), input = rows(linear.getInput());
            kernel::WeightGradientOp::create(builder, loc, gradient, input,
                                             kernel(gradientOf(linear.getResult())), Value(),
                                             kernel::ScheduleAttr());
            return true;
          })
          .Case<lm::ExpertLinearBackwardWeightOp>([&](auto linear) {
            // Rows of the step were copied to their experts when these ran.
            bool plain = cast<RankedTensorType>(linear.getInput().getType()).getRank() == 2;
            Value gradient = rows(linear.getGradient());
            Value input = plain ? kernel(buffers.dispatched(linear.getInput(), linear.getChosen(), false))
                                : rows(linear.getInput());
            int64_t experts = cast<RankedTensorType>(linear.getResult().getType()).getDimSize(0);
            Value segments = kernel(buffers.segments(linear.getChosen(), experts));
            kernel::WeightGradientOp::create(builder, loc, gradient, input,
                                             kernel(gradientOf(linear.getResult())), segments,
                                             kernel::ScheduleAttr());
            return true;
          })
          .Case<lm::ColumnSumOp>([&](auto sum) {
            Value input = rows(sum.getInput());
            kernel::ColumnSumOp::create(builder, loc, input, kernel(gradientOf(sum.getResult())));
            return true;
          })
          .Case<lm::EmbeddingBackwardOp>([&](auto embedding) {
            auto function = op->getParentOfType<func::FuncOp>();
            bool positions = embedding.getIds() == function.getArgument(1);
            if (!positions && embedding.getIds() != function.getArgument(0))
              return false;
            Value gradient = rows(embedding.getGradient());
            kernel::ScatterOp::create(builder, loc, gradient, kernel(gradientOf(embedding.getResult())),
                                      positions, embedding.getOffset());
            return true;
          })
          .Default([](Operation *) { return false; });
  if (!known)
    return op->emitOpError("expected an operation that has a kernel in training"), failure();
  return kernel.finish();
}

LaunchedKernel convertRouterVotes(lm::RouterVotesOp votes, unsigned router, EntryBuffers &buffers) {
  Anchor kernel(votes);
  Value logits = kernel(buffers.rows(votes.getLogits()[router])),
        chosen = kernel(buffers.rows(votes.getChosen()[router]));
  kernel::RouterVotesOp::create(kernel.builder, kernel.loc, logits, chosen,
                                kernel(buffers.votes(votes.getResult())));
  return kernel.finish();
}

} // namespace sinter
