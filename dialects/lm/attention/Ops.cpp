// SPDX-License-Identifier: Apache-2.0
// When attention and the cache's operations are valid.
#include "dialects/lm/LmDialect.h"

using namespace mlir;
using namespace sinter::lm;

/// Checks what both forms of attention share: head counts, window, softcap, slopes.
template <typename AttentionLikeOp> static LogicalResult checkHeads(AttentionLikeOp op) {
  int64_t heads = op.getHeads(), kvHeads = op.getKvHeads();
  if (heads <= 0 || kvHeads <= 0 || heads % kvHeads)
    return op.emitOpError() << "expected kv_heads to divide heads, found " << kvHeads << " and " << heads;
  if (width(op.getQuery()) % heads)
    return op.emitOpError() << "expected a query width divisible by " << heads << " heads, found "
                            << width(op.getQuery());
  if (op.getWindow() && static_cast<int64_t>(*op.getWindow()) <= 0)
    return op.emitOpError() << "expected a window of at least one token, found " << *op.getWindow();
  if (op.getSoftcap() && !(op.getSoftcap()->convertToDouble() > 0))
    return op.emitOpError() << "expected softcap > 0, found " << op.getSoftcap()->convertToDouble();
  if (op.getAlibi() && static_cast<int64_t>(op.getAlibi()->size()) != heads)
    return op.emitOpError() << "expected an alibi slope for each of " << heads << " heads, found "
                            << op.getAlibi()->size();
  return success();
}

/// Checks keys and values of the step's own rows, and `output`, which attention gives.
template <typename Attention> static LogicalResult checkShapes(Attention op, Value output, StringRef name) {
  if (failed(checkHeads(op)))
    return failure();
  int64_t heads = op.getHeads(), kvHeads = op.getKvHeads(), values = width(op.getValue());
  if (failed(checkShape(op, op.getKey(), "the key", 2, kvHeads * (width(op.getQuery()) / heads))))
    return failure();
  if (values % kvHeads)
    return op.emitOpError() << "expected a value width divisible by " << kvHeads << " kv_heads, found "
                            << values;
  if (bool(op.getSeed()) != op.getDropout().has_value() || bool(op.getSeed()) != op.getSite().has_value())
    return op.emitOpError("expected a seed, dropout and site together or none of them");
  if (op.getSeed() &&
      failed(checkDropout(op, op.getSeed(), op.getDropout()->convertToDouble(), *op.getSite())))
    return failure();
  if (op.getLogSumExp() && failed(checkShape(op, op.getLogSumExp(), "log_sum_exp", 2, heads)))
    return failure();
  return checkShape(op, output, name, 2, values / kvHeads * heads);
}

LogicalResult AttentionOp::verify() { return checkShapes(*this, getResult(), "the result"); }

LogicalResult AppendOp::verify() {
  int64_t kvHeads = getKvHeads();
  if (static_cast<int64_t>(getLayer()) < 0)
    return emitOpError() << "expected a layer >= 0, found " << getLayer();
  if (kvHeads <= 0 || width(getKey()) % kvHeads || width(getValue()) % kvHeads)
    return emitOpError() << "expected kv_heads to divide the widths " << width(getKey()) << " and "
                         << width(getValue()) << ", found " << kvHeads;
  return success();
}

LogicalResult CachedAttentionOp::verify() {
  if (failed(checkHeads(*this)))
    return failure();
  if (width(getResult()) % static_cast<int64_t>(getHeads()))
    return emitOpError() << "expected a result width divisible by " << getHeads() << " heads, found "
                         << width(getResult());
  return success();
}

LogicalResult AttentionBackwardOp::verify() { return checkShapes(*this, getOutput(), "the output"); }
