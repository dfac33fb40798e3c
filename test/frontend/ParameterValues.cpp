// SPDX-License-Identifier: Apache-2.0
// The meaning of lm.source, number by number.
#include "test/frontend/ParameterValues.h"

#include <cassert>

using namespace mlir;

namespace sinter {
namespace {

/// The row of the file that is row `row` of a graph's matrix of `rows`, before firstRow is added.
int64_t fileRow(lm::SourceAttr source, int64_t row, int64_t rows) {
  int64_t heads = source.getHeads();
  switch (source.getOrder()) {
  case lm::RowOrder::plain:
    return row;
  case lm::RowOrder::interleaved_halves: {
    int64_t size = rows / heads, half = row % size / (size / 2), place = row % (size / 2);
    return row / size * size + 2 * place + half;
  }
  case lm::RowOrder::qkv_by_head: {
    int64_t size = rows / 3 / heads, part = row / (heads * size), head = row / size % heads;
    return (3 * head + part) * size + row % size;
  }
  }
  return -1;
}

lm::Tensor readParameter(lm::ParameterOp parameter, const WeightSource &weights) {
  auto type = cast<RankedTensorType>(parameter.getType());
  lm::SourceAttr source = *parameter.getSource();
  lm::Tensor result(type.getShape());
  // Matrices of one stack, or one matrix; a vector is a matrix of one column.
  int64_t columns = type.getRank() == 1 ? 1 : type.getShape().back();
  int64_t matrices = type.getRank() == 3 ? type.getDimSize(0) : 1;
  int64_t rows = type.getNumElements() / columns / matrices;
  int64_t tensors = source.getTensors().size();
  if (tensors > 1 && type.getRank() == 1) { // a vector a head
    matrices = tensors;
    rows /= tensors;
  }
  std::vector<float> stored;
  for (int64_t m = 0; m < matrices; ++m) {
    StringRef name = source.getTensors()[tensors == 1 ? 0 : m].getValue();
    const Weight *weight = weights.find(std::string_view(name));
    assert(weight && "importing found it");
    stored.resize(weight->rowCount() * weight->rowLength());
    decodeRows(*weight, 0, weight->rowCount(), stored.data());
    int64_t ofMatrix = stored.size() / (tensors == 1 ? matrices : 1), base = tensors == 1 ? m * ofMatrix : 0;
    int64_t fileRows = ofMatrix / columns;
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < columns; ++c) {
        int64_t row = source.getFirstRow() + fileRow(source, r, rows);
        int64_t from = source.getTransposed() ? c * fileRows + row : row * columns + c;
        result.values[(m * rows + r) * columns + c] = stored[base + from];
      }
  }
  return result;
}

} // namespace

lm::Parameters readParameters(ModuleOp module, const WeightSource &weights) {
  lm::Parameters values;
  for (auto parameter : module.getOps<lm::ParameterOp>())
    if (parameter.getSource())
      values[parameter.getSymName()] = std::make_shared<const lm::Datum>(readParameter(parameter, weights));
  return values;
}

} // namespace sinter
