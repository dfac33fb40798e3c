// SPDX-License-Identifier: Apache-2.0
// kernel.matmul: geometry of tiles and chunks, epilogues, and the choice of the form.
#include "passes/lowering/gpu/Matmul.h"

#include "passes/lowering/Anchors.h"
#include "passes/lowering/gpu/Emitters.h"
#include "passes/lowering/gpu/MatmulTensor.h"
#include "passes/lowering/gpu/MatmulWarpgroup.h"
#include "passes/lowering/gpu/Region.h"

#include <numeric>

using namespace mlir;

namespace sinter::gpu {

/// Columns of a group that a chunk is made longer for.
constexpr int64_t longestGroup = 256;

Matmul::Matmul(Frame &frame, kernel::MatmulOp op, int64_t widestChunk)
    : frame(frame), e(frame.e), op(op), inputs(op.getInputs()), outputs(op.getOutputs()) {
  for (Value weight : op.getWeights()) {
    layouts.emplace_back(cast<kernel::WeightType>(weight.getType()));
    weights.push_back(frame.buffer(weight));
  }
  kernel::ScheduleAttr schedule = op.getScheduleAttr();
  columnsPerTile = schedule && schedule.getColumnsPerTile() ? schedule.getColumnsPerTile() : outputs;
  // Chunks of whole groups, where these are not too long: else each chunk computes the rest of its last
  // group, too.
  int64_t whole = kernel::panelRows;
  for (auto range : op.getRanges().getOps<kernel::RangeOp>())
    whole = std::min(std::lcm(whole, static_cast<int64_t>(range.getGroup())), 2 * longestGroup);
  if (whole <= longestGroup)
    widestChunk = std::max(whole, widestChunk / whole * whole);
  columnsPerChunk = std::min(columnsPerTile, widestChunk);
  for (auto range : op.getRanges().getOps<kernel::RangeOp>()) {
    int64_t group = range.getGroup(), begin = range.getBegin();
    maxGroup = std::max(maxGroup, group);
    straddles |= columnsPerTile < outputs && (columnsPerTile % group || begin % group);
    straddles |= columnsPerChunk < columnsPerTile && (columnsPerChunk % group || begin % group);
  }
}

int64_t Matmul::panelsPerChunk() const {
  int64_t columns = columnsPerChunk + (straddles ? maxGroup - 1 : 0);
  // A chunk may begin inside a panel: where tiles are no whole panels, or experts.
  bool begins = columnsPerChunk % kernel::panelRows || columnsPerTile % kernel::panelRows ||
                (op.getExperts() && outputs % kernel::panelRows);
  return llvm::divideCeil(columns, kernel::panelRows) + (begins ? 1 : 0);
}

void Matmul::forEachChunk(ChunkBody body) {
  auto chunks = [&](Value tile, Value rowBegin, Value rowEnd) {
    Value begin = e.mul(tile, columnsPerTile), end = e.min(e.add(begin, columnsPerTile), e.constant(outputs));
    Value isFirstTile = isFirstChunk;
    if (columnsPerChunk == columnsPerTile)
      return body(begin, end, rowBegin, rowEnd);
    e.loop(begin, end, columnsPerChunk, [&](Value first) {
      isFirstChunk = e.both(isFirstTile, e.equal(first, begin));
      body(first, e.min(e.add(first, columnsPerChunk), end), rowBegin, rowEnd);
      e.barrier();
    });
  };
  forEachTile(frame, op.getGrid(), [&](Value column, Value rowBegin, Value rowEnd, Value) {
    // Right where a tile has all rows, which is where it is asked for.
    isFirstChunk = e.equal(column, e.block());
    if (!op.getExperts())
      return chunks(column, rowBegin, rowEnd);
    int64_t experts = op.getExpertCount();
    Value expert = e.rem(column, experts), segments = e.at(frame.buffer(op.getExperts()), expert, e.i32());
    expertColumn = e.mul(expert, outputs);
    chunks(e.div(column, experts), e.load(e.i32(), segments), e.load(e.i32(), e.at(segments, 1, e.i32())));
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

Value Matmul::panel(int64_t weight, Value index) {
  return frame.farAt(weights[weight], index, layouts[weight].panelBytes());
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
  // What one range keeps in shared memory makes room for the next one's.
  int64_t before = m.frame.sharedBytes, most = before;
  for (auto range : m.op.getRanges().getOps<kernel::RangeOp>()) {
    if (m.frame.sharedBytes > before)
      e.barrier();
    most = std::max(most, m.frame.sharedBytes);
    m.frame.sharedBytes = before;
    int64_t group = range.getGroup(), known = std::gcd<int64_t>(range.getBegin(), group);
    int64_t place = std::gcd(known, m.expertColumn ? m.outputs : kernel::panelRows);
    SmallVector<int64_t> multiples(m.weights.size(), std::gcd(place, kernel::panelRows));
    multiples.append({1, known});
    Team team = Team::ofWarp(m.frame, teamSizeOf(range.getBody(), multiples));
    Value rangeBegin = e.constant(range.getBegin()), rangeEnd = e.constant(range.getEnd());
    // The first group that begins at or after a column.
    auto groupAt = [&](Value column) {
      return e.ceilDiv(e.sub(e.max(e.min(column, rangeEnd), rangeBegin), rangeBegin), group);
    };
    Value first = groupAt(begin), width = e.sub(groupAt(end), first), count = e.mul(width, rows);
    // All teams of a warp go round together: the last ones without anything to store.
    e.loop(e.constant(0), count, team.count, [&](Value turn) {
      Value item = e.add(turn, team.index), active = e.less(item, count);
      item = e.min(item, e.sub(count, 1));
      Value row = e.div(item, width),
            column = e.add(rangeBegin, e.mul(e.add(first, e.rem(item, width)), group));
      SmallVector<Value> arguments;
      for (size_t weight = 0; weight < m.weights.size(); ++weight)
        arguments.push_back(accumulators.at(e, weight, row, e.sub(column, base)));
      arguments.append({e.add(firstRow, row), column});
      if (failed(emitRegion(m.frame, range.getBody(), arguments, multiples, team, active)))
        result = failure();
    });
  }
  m.frame.sharedBytes = std::max(most, m.frame.sharedBytes);
  return result;
}

LogicalResult emitMatmul(Frame &frame, kernel::MatmulOp op) {
  if (failed(checkInputs(op)))
    return failure();
  if (!fitsTensorCores(op))
    return emitStreamedMatmul(frame, op);
  if (frame.e.architecture == Architecture::Sm90 && fitsWarpgroups(frame, op))
    return emitWarpgroupMatmul(frame, op);
  return emitTensorMatmul(frame, op);
}

} // namespace sinter::gpu
