// SPDX-License-Identifier: Apache-2.0
// Experts backwards. What has the shape (rows, k, width) lies sorted by expert, as forwards: gradients of
// dispatched rows are dispatched rows.
//
//   lm.combine_backward_input     rows: to the place of each choice goes its weight times the row
//   lm.combine_backward_weights   rows: products of a row with the dispatched rows of its choices
//   lm.route_backward             rows: softmax backwards, through the weights of the chosen
//   lm.expert_linear_backward_input   matmul experts, transposed; then perhaps the sum over choices
#include "passes/kernels/KernelBuilder.h"

#include "passes/fusion/Grouping.h"

using namespace mlir;

namespace sinter {

/// The choices of the route that made `weights`.
static FailureOr<Value> choicesOfWeights(Operation *op, Value weights) {
  auto group = weights.getDefiningOp<lm::GroupOp>();
  if (!group || !isa<lm::RouteOp>(group.getBody().front().front()))
    return op->emitOpError("expected the weights of lm.route"), failure();
  return Value(group.getResult(1));
}

FailureOr<LaunchedKernel> KernelBuilder::combineBackwardInput(lm::CombineBackwardInputOp op) {
  FailureOr<Value> chosen = choicesOfWeights(op, op.getWeights());
  if (failed(chosen))
    return failure();
  Value row = beginRows(domainOf(op.getGradient()))->getArgument(0);
  Value places = argument(buffers.places(*chosen)), weights = argument(buffers.rows(op.getWeights()));
  Value to = argument(buffers.rows(group.getResult(0))), gradient = loadRow(op.getGradient(), row);
  RowProgram program = rowProgram(row, lm::width(op.getGradient()));
  for (int64_t j = 0; j < lm::width(*chosen); ++j) {
    Value place = kernel::ElementOp::create(builder, loc, builder.getIndexType(), places, row, j);
    Value weight = kernel::ElementOp::create(builder, loc, builder.getF32Type(), weights, row, j);
    Value product =
        program.mul(gradient, vector::BroadcastOp::create(builder, loc, gradient.getType(), weight));
    kernel::StoreOp::create(builder, loc, product, to, place, Value());
  }
  kernel::YieldOp::create(builder, loc);
  return finish();
}

FailureOr<LaunchedKernel> KernelBuilder::combineBackwardWeights(lm::CombineBackwardWeightsOp op,
                                                                Value chosen) {
  Value row = beginRows(domainOf(op.getGradient()))->getArgument(0);
  Value places = argument(buffers.places(chosen)), from = argument(buffers.rows(op.getInput()));
  Value to = argument(buffers.rows(group.getResult(0))), gradient = loadRow(op.getGradient(), row);
  RowProgram program = rowProgram(row, lm::width(op.getGradient()));
  for (int64_t j = 0; j < lm::width(chosen); ++j) {
    Value place = kernel::ElementOp::create(builder, loc, builder.getIndexType(), places, row, j);
    Value dispatched =
        kernel::LoadOp::create(builder, loc, cast<VectorType>(gradient.getType()), from, place, Value());
    Value sum = vector::ReductionOp::create(builder, loc, vector::CombiningKind::ADD,
                                            program.mul(gradient, dispatched));
    kernel::StoreOp::create(builder, loc,
                            vector::BroadcastOp::create(builder, loc, vectorOf(1), sum).getResult(), to, row,
                            index(j));
  }
  kernel::YieldOp::create(builder, loc);
  return finish();
}

FailureOr<LaunchedKernel> KernelBuilder::routeBackward(lm::RouteBackwardOp op) {
  int64_t experts = lm::width(op.getLogits()), k = lm::width(op.getChosen());
  Value row = beginRows(domainOf(op.getLogits()))->getArgument(0);
  Value chosen = argument(buffers.rows(op.getChosen())), gradients = argument(buffers.rows(op.getGradient()));
  Value logits = loadRow(op.getLogits(), row);
  RowProgram program = rowProgram(row, experts);
  auto splat = [&](Value scalar) -> Value {
    return vector::BroadcastOp::create(builder, loc, vectorOf(experts), scalar);
  };
  auto sum = [&](Value vector) -> Value {
    return vector::ReductionOp::create(builder, loc, vector::CombiningKind::ADD, vector);
  };
  SmallVector<int32_t> numbers(experts);
  for (int64_t i = 0; i < experts; ++i)
    numbers[i] = static_cast<int32_t>(i);
  auto numberType = VectorType::get({experts}, builder.getI32Type());
  Value iota =
      arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(numberType, ArrayRef<int32_t>(numbers)));
  // The gradient of each expert's weight, zero where it was not chosen, and 1 where it was.
  Value gradient = program.constant(0, experts), isChosen = gradient;
  for (int64_t j = 0; j < k; ++j) {
    Value expert = kernel::ElementOp::create(builder, loc, builder.getIndexType(), chosen, row, j);
    Value number = arith::IndexCastOp::create(builder, loc, builder.getI32Type(), expert);
    Value wanted = vector::BroadcastOp::create(builder, loc, numberType, number);
    Value here = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, iota, wanted);
    Value weight = kernel::ElementOp::create(builder, loc, builder.getF32Type(), gradients, row, j);
    gradient = arith::SelectOp::create(builder, loc, here, splat(weight), gradient);
    isChosen = arith::SelectOp::create(builder, loc, here, program.constant(1, experts), isChosen);
  }
  Value maximum = vector::ReductionOp::create(builder, loc, vector::CombiningKind::MAXNUMF, logits);
  Value power = math::ExpOp::create(builder, loc,
                                    arith::SubFOp::create(builder, loc, logits, splat(maximum)).getResult());
  if (op.getNormalise()) // the softmax over the chosen alone
    power = program.mul(power, isChosen);
  Value p = arith::DivFOp::create(builder, loc, power, splat(sum(power)));
  Value mean = splat(sum(program.mul(p, gradient)));
  Value result = program.mul(p, arith::SubFOp::create(builder, loc, gradient, mean));
  kernel::StoreOp::create(builder, loc, result, argument(buffers.rows(group.getResult(0))), row, Value());
  kernel::YieldOp::create(builder, loc);
  return finish();
}

FailureOr<LaunchedKernel> KernelBuilder::expertBackwardInput(lm::ExpertLinearBackwardInputOp op,
                                                             Value dispatched) {
  auto type = cast<RankedTensorType>(op.getWeight().getType());
  int64_t experts = type.getDimSize(0), columns = type.getDimSize(2);
  int64_t width = groupWidth(columns, {});
  Value left = argument(buffers.rows(op.getGradient())), weight = argument(buffers.weight(op.getWeight()));
  auto anchor = kernel::MatmulOp::create(
      builder, loc, left, weight, argument(buffers.segments(op.getChosen(), experts)),
      /*transposed=*/true, domainOf(op.getChosen()), kernel::ScheduleAttr());
  builder.createBlock(&anchor.getRanges());
  auto range = kernel::RangeOp::create(builder, loc, 0, columns, width);
  Block *region =
      builder.createBlock(&range.getBody(), {},
                          {vectorOf(width), builder.getIndexType(), builder.getIndexType()}, {loc, loc, loc});
  kernel::StoreOp::create(builder, loc, region->getArgument(0), argument(dispatched), region->getArgument(1),
                          region->getArgument(2));
  kernel::YieldOp::create(builder, loc);
  return finish();
}

FailureOr<LaunchedKernel> KernelBuilder::sumOverChoices(Value chosen, Value dispatched, Value result) {
  Value row = beginRows(domainOf(chosen))->getArgument(0);
  Value places = argument(buffers.places(chosen)), from = argument(dispatched), sum;
  RowProgram program = rowProgram(row, lm::width(result));
  for (int64_t j = 0; j < lm::width(chosen); ++j) {
    Value place = kernel::ElementOp::create(builder, loc, builder.getIndexType(), places, row, j);
    Value vector = kernel::LoadOp::create(builder, loc, vectorOf(lm::width(result)), from, place, Value());
    sum = sum ? program.add(sum, vector) : vector;
  }
  kernel::StoreOp::create(builder, loc, sum, argument(buffers.rows(result)), row, Value());
  kernel::YieldOp::create(builder, loc);
  return finish();
}

/// Operations on each dispatched row: k of them for each row of the step, whichever they are.
FailureOr<LaunchedKernel> KernelBuilder::dispatchedRows() {
  Value result = group.getResult(0);
  int64_t k = cast<RankedTensorType>(result.getType()).getDimSize(1);
  Value row = beginRows(domainOf(result))->getArgument(0);
  Value first = arith::MulIOp::create(builder, loc, row, index(k));
  for (int64_t j = 0; j < k; ++j) {
    Value place = arith::AddIOp::create(builder, loc, first, index(j));
    RowProgram program = rowProgram(place, lm::width(result));
    for (Operation &op : group.getBody().front().without_terminator())
      if (!isa<lm::ReadOp>(op) && failed(program.emit(&op)))
        return failure();
    for (OpResult out : group->getResults())
      kernel::StoreOp::create(builder, loc, program.get(yielded(out)), argument(buffers.rows(out)), place,
                              Value());
  }
  kernel::YieldOp::create(builder, loc);
  return finish();
}

FailureOr<SmallVector<LaunchedKernel>> convertExpertGradients(lm::GroupOp group, EntryBuffers &buffers) {
  Operation *op = &group.getBody().front().front();
  while (isa<lm::ReadOp>(op))
    op = op->getNextNode();
  SmallVector<FailureOr<LaunchedKernel>> made;
  if (auto combine = dyn_cast<lm::CombineBackwardInputOp>(op)) {
    made.push_back(KernelBuilder(group, buffers).combineBackwardInput(combine));
  } else if (auto weights = dyn_cast<lm::CombineBackwardWeightsOp>(op)) {
    Value chosen = choicesOf(weights.getInput());
    if (!chosen)
      return weights.emitOpError("expected the results of lm.expert_linear"), failure();
    made.push_back(KernelBuilder(group, buffers).combineBackwardWeights(weights, chosen));
  } else if (auto route = dyn_cast<lm::RouteBackwardOp>(op)) {
    made.push_back(KernelBuilder(group, buffers).routeBackward(route));
  } else if (auto input = dyn_cast<lm::ExpertLinearBackwardInputOp>(op)) {
    Value result = group.getResult(0);
    bool sums = cast<RankedTensorType>(result.getType()).getRank() == 2;
    Value dispatched = sums ? buffers.dispatched(result, input.getChosen(), false) : buffers.rows(result);
    made.push_back(KernelBuilder(group, buffers).expertBackwardInput(input, dispatched));
    if (sums)
      made.push_back(KernelBuilder(group, buffers).sumOverChoices(input.getChosen(), dispatched, result));
  } else if (group.getKind() == lm::GroupKind::rows) {
    made.push_back(KernelBuilder(group, buffers).dispatchedRows());
  } else {
    return group.emitOpError("expected lm.route or lm.expert_linear in a group of experts"), failure();
  }
  return allOf(made);
}

} // namespace sinter
