// SPDX-License-Identifier: Apache-2.0
// When position encodings are valid.
#include "dialects/lm/LmDialect.h"

using namespace mlir;
using namespace sinter::lm;

LogicalResult RopeAnglesOp::verify() {
  int64_t count = getFrequencies().size();
  if (failed(checkShape(*this, getCos(), "the cosines", 2, count)) ||
      failed(checkShape(*this, getSin(), "the sines", 2, count)))
    return failure();
  if (getLongFrequencies().has_value() != getLongFrom().has_value())
    return emitOpError("expected long_frequencies and long_from together, found one of them");
  if (getLongFrequencies() && static_cast<int64_t>(getLongFrequencies()->size()) != count)
    return emitOpError() << "expected " << count << " long_frequencies, found "
                         << getLongFrequencies()->size();
  if (getDynamic() && getDynamic()->getDim() != 2 * count)
    return emitOpError() << "expected dynamic dim " << 2 * count << ", found " << getDynamic()->getDim();
  return success();
}

LogicalResult RopeOp::verify() {
  int64_t head = getHeadDim();
  if (head <= 0 || width(getInput()) % head)
    return emitOpError() << "expected a head_dim that divides the " << width(getInput()) << " columns, found "
                         << head;
  if (width(getCos()) != width(getSin()) || 2 * width(getCos()) > head)
    return emitOpError() << "expected equally many cosines and sines, at most " << head / 2 << ", found "
                         << width(getCos()) << " and " << width(getSin());
  return success();
}

LogicalResult SinusoidsOp::verify() {
  int64_t columns = width(getResult());
  return columns >= 4 && columns % 2 == 0
             ? success()
             : emitOpError() << "expected an even width of at least 4, found " << columns;
}
