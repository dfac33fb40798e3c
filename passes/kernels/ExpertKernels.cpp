// SPDX-License-Identifier: Apache-2.0
// Groups of a mixture of experts. In memory the rows of the step are sorted by expert: a value (rows, k,
// width) of the graph lies as `!kernel.rows<k x width>` in that order, so that each expert is one matmul over
// neighbouring rows.
//
//   %w, %c = lm.route %logits       ->   route (weights, choices), dispatch (places, segments)
//   %h = lm.expert_linear %x, ...   ->   rows (copies %x to its places, after the prologue), matmul experts
//   %y = lm.expert_linear %h, ...   ->   matmul experts
//   %z = lm.combine %y, %w          ->   the sum over j of w[row, j] * y[place j], in the rows that read it
//
// The sum over a row's experts goes from the most probable to the least, whatever else the step holds.
#include "passes/kernels/KernelBuilder.h"

#include "passes/fusion/Grouping.h"

using namespace mlir;

namespace sinter {

Value choicesOf(Value value) {
  Operation *op = definingOpThroughGroups(value);
  if (auto linear = dyn_cast_or_null<lm::ExpertLinearOp>(op))
    return linear.getChosen();
  if (!op || !isRowwise(op))
    return {};
  return choicesOf(op->getOperand(0));
}

FailureOr<LaunchedKernel> KernelBuilder::route(lm::RouteOp op) {
  kernel::RouteOp::create(
      builder, loc, argument(buffers.rows(op.getLogits())), argument(buffers.rows(group.getResult(0))),
      argument(buffers.rows(group.getResult(1))), domainOf(op.getLogits()), op.getNormalise());
  return finish();
}

FailureOr<LaunchedKernel> KernelBuilder::dispatch(Value chosen, int64_t experts) {
  kernel::DispatchOp::create(builder, loc, argument(buffers.rows(chosen)), argument(buffers.places(chosen)),
                             argument(buffers.segments(chosen, experts)), domainOf(chosen));
  return finish();
}

FailureOr<LaunchedKernel> KernelBuilder::gather(lm::ExpertLinearOp first, bool quantised) {
  Value left = first.getInput(), chosen = first.getChosen();
  SmallVector<Operation *> prologue, epilogue;
  split(left, prologue, epilogue);
  Value row = beginRows(domainOf(chosen))->getArgument(0);
  RowProgram program = rowProgram(row, lm::width(left));
  if (failed(emitRowOps(program, prologue, row)))
    return failure();
  for (OpResult out : group->getResults())
    if (Value inner = yielded(out); llvm::is_contained(prologue, inner.getDefiningOp()))
      storeRow(out, program.get(inner), row);
  Value vector = program.get(left);
  Value places = argument(buffers.places(chosen)), to = argument(buffers.dispatched(left, chosen, quantised));
  for (int64_t j = 0; j < lm::width(chosen); ++j) {
    Value place = kernel::ElementOp::create(builder, loc, builder.getIndexType(), places, row, j);
    kernel::StoreOp::create(builder, loc, vector, to, place, Value());
  }
  kernel::YieldOp::create(builder, loc);
  return finish();
}

FailureOr<LaunchedKernel> KernelBuilder::expertMatmul(ArrayRef<lm::ExpertLinearOp> linears, bool quantised) {
  lm::ExpertLinearOp first = linears.front();
  Value left = first.getInput(), chosen = first.getChosen();
  SmallVector<Operation *> prologue, epilogue;
  split(left, prologue, epilogue);
  Value leftBuffer;
  if (cast<RankedTensorType>(left.getType()).getRank() == 2)
    leftBuffer = argument(buffers.dispatched(left, chosen, quantised));
  else
    leftBuffer = argument(quantised ? buffers.quantised(left) : buffers.rows(left));
  SmallVector<Value> weights;
  for (lm::ExpertLinearOp linear : linears)
    weights.push_back(argument(buffers.weight(linear.getWeight())));
  int64_t experts = cast<RankedTensorType>(first.getWeight().getType()).getDimSize(0);
  auto anchor =
      kernel::MatmulOp::create(builder, loc, leftBuffer, weights, argument(buffers.segments(chosen, experts)),
                               /*transposed=*/false, domainOf(chosen), kernel::ScheduleAttr());
  builder.createBlock(&anchor.getRanges());
  int64_t columns = lm::width(first.getResult()), width = groupWidth(columns, epilogue);
  auto range = kernel::RangeOp::create(builder, loc, 0, columns, width);
  SmallVector<Type> types(linears.size(), vectorOf(width));
  types.append({builder.getIndexType(), builder.getIndexType()});
  Block *region = builder.createBlock(&range.getBody(), {}, types, SmallVector<Location>(types.size(), loc));
  Value row = region->getArgument(linears.size()), column = region->getArgument(linears.size() + 1);
  RowProgram program = columnProgram(row, column, width);
  for (auto [number, linear] : llvm::enumerate(linears))
    program.set(lm::ExpertLinearOp(linear).getResult(), region->getArgument(number));
  if (failed(emitColumnOps(program, epilogue, row, column, width)))
    return failure();
  kernel::YieldOp::create(builder, loc);
  return finish();
}

LogicalResult KernelBuilder::combineExperts(lm::CombineOp op, RowProgram &program, Value row) {
  Value chosen = choicesOf(op.getInput());
  if (!chosen)
    return op.emitOpError("expected to combine the results of lm.expert_linear");
  Value places = argument(buffers.places(chosen)), weights = argument(buffers.rows(op.getWeights())), sum;
  VectorType type = vectorOf(lm::width(op.getResult()));
  for (int64_t j = 0; j < lm::width(chosen); ++j) {
    Value place = kernel::ElementOp::create(builder, loc, builder.getIndexType(), places, row, j);
    Value weight = kernel::ElementOp::create(builder, loc, builder.getF32Type(), weights, row, j);
    Value vector =
        kernel::LoadOp::create(builder, loc, type, argument(buffers.rows(op.getInput())), place, Value());
    Value product = program.mul(vector, vector::BroadcastOp::create(builder, loc, type, weight));
    sum = sum ? program.add(sum, product) : product;
  }
  program.set(op.getResult(), sum);
  return success();
}

FailureOr<SmallVector<LaunchedKernel>> convertExperts(lm::GroupOp group, EntryBuffers &buffers) {
  SmallVector<FailureOr<LaunchedKernel>> made;
  Block &body = group.getBody().front();
  if (auto route = dyn_cast<lm::RouteOp>(body.front())) {
    made.push_back(KernelBuilder(group, buffers).route(route));
    made.push_back(KernelBuilder(group, buffers).dispatch(group.getResult(1), lm::width(route.getLogits())));
  } else {
    SmallVector<lm::ExpertLinearOp> linears(body.getOps<lm::ExpertLinearOp>());
    if (linears.empty())
      return convertExpertGradients(group, buffers);
    lm::ExpertLinearOp first = linears.front();
    bool quantised = buffers.form == kernel::Form::Prefill;
    for (lm::ExpertLinearOp linear : linears) {
      if (linear.getInput() != first.getInput() || linear.getChosen() != first.getChosen())
        return linear.emitOpError("expected all expert layers of a group to read one input and one choice"),
               failure();
      quantised &= isQuantised(cast<RankedTensorType>(linear.getWeight().getType()).getElementType());
    }
    if (cast<RankedTensorType>(first.getInput().getType()).getRank() == 2)
      made.push_back(KernelBuilder(group, buffers).gather(first, quantised));
    else if (choicesOf(first.getInput()) != first.getChosen())
      return first.emitOpError("expected an input of rank 3 to come from experts of the same choice"),
             failure();
    made.push_back(KernelBuilder(group, buffers).expertMatmul(linears, quantised));
  }
  return allOf(made);
}

} // namespace sinter
