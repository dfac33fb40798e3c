// SPDX-License-Identifier: Apache-2.0
// From groups to kernels: which kernels compute a group. Attention is made here; the others have a file each.
#include "passes/kernels/GroupToKernel.h"

#include "passes/fusion/Grouping.h"
#include "passes/kernels/KernelBuilder.h"

#include <numeric>

using namespace mlir;

namespace sinter {

FailureOr<LaunchedKernel> KernelBuilder::attention() {
  auto op = cast<lm::CachedAttentionOp>(group.getBody().front().front());
  int64_t heads = op.getHeads(), kvHeads = op.getKvHeads(), layer = op.getLayer();
  int64_t keySize = lm::width(op.getQuery()) / heads, valueSize = lm::width(op.getResult()) / heads;
  Value result = group.getResult(0);
  Value query = argument(buffers.rows(op.getQuery()));
  Value keys = argument(buffers.cacheK(layer, kvHeads, keySize));
  Value values = argument(buffers.cacheV(layer, kvHeads, valueSize));
  Value slopes = op.getAlibi() ? argument(buffers.constants(*op.getAlibi())) : Value();
  Value output = argument(buffers.form == kernel::Form::Decode ? buffers.partial(result, heads, valueSize)
                                                               : buffers.rows(result));
  kernel::AttentionOp::create(
      builder, loc, query, keys, values, slopes, output,
      kernel::FormAttr::get(builder.getContext(), buffers.form), builder.getI64IntegerAttr(heads),
      op.getScaleAttr(), builder.getI64IntegerAttr(op.getWindow().value_or(0)),
      op.getSoftcapAttr() ? op.getSoftcapAttr() : builder.getF64FloatAttr(0.0), kernel::ScheduleAttr());
  if (buffers.usesOf(result).quantised)
    kernel.notQuantised.push_back(result);
  return finish();
}

FailureOr<SmallVector<LaunchedKernel>> allOf(MutableArrayRef<FailureOr<LaunchedKernel>> made) {
  SmallVector<LaunchedKernel> kernels;
  for (FailureOr<LaunchedKernel> &kernel : made) {
    if (failed(kernel))
      return failure();
    kernels.push_back(std::move(*kernel));
  }
  return kernels;
}

/// Whether something reads `value` that does not take whole rows (which are put together from partial results
/// as they are read): the caller, or a program on heads.
static bool isReadByColumns(Value value) {
  return llvm::any_of(value.getUsers(), [](Operation *user) {
    auto group = user->getParentOfType<lm::GroupOp>();
    return !group || (group.getKind() == lm::GroupKind::rows &&
                      llvm::any_of(group.getBody().front(), [](Operation &op) {
                        return headWidth(&op) != 0 || isa<lm::SliceOp>(op);
                      }));
  });
}

FailureOr<SmallVector<LaunchedKernel>> convertGroup(lm::GroupOp group, EntryBuffers &buffers) {
  if (group.getKind() == lm::GroupKind::experts)
    return convertExperts(group, buffers);
  // In training every operation on the rows of experts may stand by itself.
  auto form = group->getParentOfType<func::FuncOp>()->getAttrOfType<StringAttr>("lm.form");
  for (OpResult out : group->getResults())
    if (auto type = dyn_cast<RankedTensorType>(out.getType()); type && type.getRank() == 3) {
      if (form && form.getValue() == "train" && group.getKind() == lm::GroupKind::rows)
        return convertExpertGradients(group, buffers);
      return group.emitOpError(
                 "expected operations on the rows of experts to be in the group of the layers that make "
                 "them"),
             failure();
    }
  FailureOr<LaunchedKernel> main = failure();
  KernelBuilder kernel(group, buffers);
  switch (group.getKind()) {
  case lm::GroupKind::matmul:
    main = kernel.matmul();
    break;
  case lm::GroupKind::attention:
    main = kernel.attention();
    break;
  case lm::GroupKind::gather:
    main = kernel.rows();
    break;
  case lm::GroupKind::rows: {
    int64_t width = 0;
    group.walk([&](Operation *op) {
      if (int64_t head = headWidth(op))
        width = head;
      else if (auto slice = dyn_cast<lm::SliceOp>(op))
        width = std::gcd(lm::width(slice.getResult()), 32);
    });
    main = width ? kernel.columns(width) : kernel.rows();
    break;
  }
  case lm::GroupKind::experts:
    llvm_unreachable("converted before");
  }
  if (failed(main))
    return failure();
  SmallVector<Value> notQuantised = main->notQuantised;
  SmallVector<LaunchedKernel> kernels;
  kernels.push_back(std::move(*main));
  if (group.getKind() == lm::GroupKind::attention && buffers.partialOf(group.getResult(0)) &&
      isReadByColumns(group.getResult(0))) {
    FailureOr<LaunchedKernel> second = KernelBuilder(group, buffers).combine(group.getResult(0));
    if (failed(second))
      return failure();
    kernels.push_back(std::move(*second));
  }
  for (Value value : notQuantised) {
    FailureOr<LaunchedKernel> second = KernelBuilder(group, buffers).quantise(value);
    if (failed(second))
      return failure();
    kernels.push_back(std::move(*second));
  }
  return kernels;
}

FailureOr<LaunchedKernel> quantiseArgument(lm::GroupOp group, Value value, EntryBuffers &buffers) {
  return KernelBuilder(group, buffers).quantise(value);
}

} // namespace sinter
