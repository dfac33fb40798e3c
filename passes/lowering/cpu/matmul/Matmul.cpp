// SPDX-License-Identifier: Apache-2.0
// kernel.matmul: geometry of tiles and groups, epilogues, and the choice of the form.
#include "passes/lowering/cpu/matmul/Matmul.h"

#include "passes/lowering/Anchors.h"
#include "passes/lowering/cpu/Emitters.h"
#include "passes/lowering/cpu/RowProgram.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace sinter::cpu {

Matmul::Matmul(Frame &frame, kernel::MatmulOp op)
    : frame(frame), e(frame.e), op(op), inputs(op.getInputs()), outputs(op.getOutputs()) {
  for (Value weight : op.getWeights()) {
    if (op.getTransposed())
      layouts.emplace_back(kernel::WeightFormat::F32, outputs, inputs);
    else
      layouts.emplace_back(cast<kernel::WeightType>(weight.getType()));
    weights.push_back(frame.buffer(weight));
  }
  columnsPerTile = scheduled(schedule() ? schedule().getColumnsPerTile() : 0, outputs);
  rowsPerTile = schedule() ? schedule().getRowsPerTile() : 0;
  for (auto range : op.getRanges().getOps<kernel::RangeOp>()) {
    int64_t group = range.getGroup();
    maxGroup = std::max(maxGroup, group);
    straddles |= columnsPerTile < outputs && (columnsPerTile % group || range.getBegin() % group);
  }
}

kernel::ScheduleAttr Matmul::schedule() { return op.getScheduleAttr(); }

void Matmul::forEachExpert(llvm::function_ref<void(Value, Value, Value, Value)> body) {
  if (!op.getExperts())
    return body(frame.begin, frame.end, e.constant(0), frame.domainRows(op.getDomain()));
  int64_t experts = op.getExpertCount();
  Value segments = frame.buffer(op.getExperts());
  e.loop(e.constant(0), e.constant(experts), 1, [&](Value expert) {
    auto segment = [&](int64_t next) {
      return e.integer(e.load(e.i32(), e.at(e.at(segments, expert, e.i32()), next, e.i32())));
    };
    Value rowBegin = segment(0), rowEnd = segment(1);
    // The first of this expert's tiles from `tile` on.
    auto columnTile = [&](Value tile) {
      return e.ceilDiv(e.max(e.sub(tile, expert), e.constant(0)), experts);
    };
    Value tileBegin = columnTile(frame.begin), tileEnd = columnTile(frame.end);
    e.ifThen(e.less(tileBegin, tileEnd), [&] {
      e.ifThen(e.less(rowBegin, rowEnd), [&] {
        expertColumn = e.mul(expert, outputs);
        body(tileBegin, tileEnd, rowBegin, rowEnd);
      });
    });
  });
}

Value Matmul::firstPanel(Value begin) {
  return e.div(expertColumn ? e.add(begin, expertColumn) : begin, kernel::panelRows);
}

Value Matmul::panelEnd(Value end) {
  if (straddles)
    end = e.min(e.add(end, maxGroup - 1), e.constant(outputs));
  if (expertColumn)
    end = e.add(end, expertColumn);
  return e.ceilDiv(end, kernel::panelRows);
}

int64_t Matmul::accumulatorColumns(int64_t columns) const {
  return llvm::alignTo(columns + (straddles ? maxGroup - 1 : 0), kernel::panelRows) + kernel::panelRows;
}

Value Matmul::panel(int64_t weight, Value index) {
  return e.atByte(weights[weight], e.mul(index, layouts[weight].panelBytes()));
}

Value Accumulators::at(Emitter &e, int64_t weight, Value row, Value column) const {
  return e.at(e.at(address, e.add(e.mul(row, rowStride), column), e.f32()), weight * weightStride, e.f32());
}

LogicalResult emitEpilogues(Matmul &m, const Accumulators &accumulators, Value panel, Value begin, Value end,
                            Value firstRow, Value rows) {
  Emitter &e = m.e;
  Value base = e.mul(panel, kernel::panelRows);
  if (m.expertColumn)
    base = e.sub(base, m.expertColumn);
  LogicalResult result = success();
  for (auto range : m.op.getRanges().getOps<kernel::RangeOp>()) {
    int64_t group = range.getGroup();
    Value rangeBegin = e.constant(range.getBegin()), rangeEnd = e.constant(range.getEnd());
    // The first group that begins at or after a column.
    auto groupAt = [&](Value column) {
      return e.ceilDiv(e.sub(e.max(e.min(column, rangeEnd), rangeBegin), rangeBegin), group);
    };
    e.loop(groupAt(begin), groupAt(end), 1, [&](Value index) {
      Value column = e.add(rangeBegin, e.mul(index, group));
      e.loop(e.constant(0), rows, 1, [&](Value row) {
        SmallVector<Value> arguments;
        for (size_t weight = 0; weight < m.weights.size(); ++weight)
          arguments.push_back(e.load(e.vec(group), accumulators.at(e, weight, row, e.sub(column, base))));
        arguments.push_back(e.add(firstRow, row));
        arguments.push_back(column);
        if (failed(emitGroup(m.frame, range.getBody(), arguments)))
          result = failure();
      });
    });
  }
  return result;
}

LogicalResult emitMatmul(Frame &frame, kernel::MatmulOp op) {
  if (failed(checkInputs(op)))
    return failure();
  Matmul m(frame, op);
  if ((op.getTransposed() || roundsFactors(op)) && !m.rowsPerTile)
    return op.emitOpError()
           << "expected a schedule with rows_per_tile for a transposed weight or factors of bf16";
  return m.rowsPerTile ? emitPrefillMatmul(m) : emitDecodeMatmul(m);
}

} // namespace sinter::cpu
