// SPDX-License-Identifier: Apache-2.0
// kernel.matmul: geometry of tiles and chunks, epilogues, and the choice of the form.
#include "passes/lowering/gpu/matmul/Matmul.h"

#include "passes/lowering/Anchors.h"
#include "passes/lowering/gpu/Emitters.h"
#include "passes/lowering/gpu/RegionPlan.h"
#include "passes/lowering/gpu/Warpgroup.h"
#include "passes/lowering/gpu/matmul/MatmulFloat.h"
#include "passes/lowering/gpu/matmul/MatmulHalf.h"
#include "passes/lowering/gpu/matmul/MatmulMaps.h"
#include "passes/lowering/gpu/matmul/MatmulTensor.h"
#include "passes/lowering/gpu/matmul/MatmulWarpgroup.h"
#include "passes/lowering/gpu/matmul/SplitK.h"
#include "passes/lowering/gpu/matmul/TileStores.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <numeric>

using namespace mlir;

namespace sinter::gpu {

/// Columns of a group that a chunk is made longer for.
constexpr int64_t longestGroup = 256;

Matmul::Matmul(Frame &frame, kernel::MatmulOp op, int64_t widestChunk)
    : frame(frame), e(frame.e), op(op), inputs(op.getInputs()), outputs(op.getOutputs()),
      splits(op.getSplits()), isClustered(splitsInCluster(op, frame.e.architecture)) {
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

int64_t Matmul::groupsPerChunk(kernel::RangeOp range) const {
  auto isMultiple = [&](int64_t column) { return column % columnsPerChunk == 0; };
  bool isWhole = isMultiple(range.getBegin()) && isMultiple(range.getEnd()) && isMultiple(columnsPerTile) &&
                 columnsPerChunk % range.getGroup() == 0 && !straddles;
  return isWhole ? columnsPerChunk / range.getGroup() : 0;
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
  kernel::Grid grid = op.getGrid();
  if (isClustered) {
    grid.columns /= splits;
    split = clusterRank(e);
  }
  forEachTile(frame, grid, [&](Value column, Value rowBegin, Value rowEnd, Value) {
    // Right where a tile has all rows, which is where it is asked for.
    isFirstChunk = e.equal(column, e.block());
    if (splits > 1 && !isClustered) {
      split = e.rem(column, splits);
      column = e.div(column, splits);
    }
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

/// Parts differ by one step at most.
static Value firstStep(Emitter &e, Value split, int64_t splits, int64_t steps) {
  return e.div(e.mul(split, steps), splits);
}

Value Matmul::stepsOfSplit(int64_t steps) {
  if (splits == 1)
    return e.constant(steps);
  return e.sub(firstStep(e, e.add(split, 1), splits, steps), firstStep(e, split, splits, steps));
}

Value Matmul::stepOfSplit(Value number, int64_t steps) {
  return splits == 1 ? number : e.add(firstStep(e, split, splits, steps), number);
}

Value Accumulators::at(Emitter &e, int64_t weight, Value row, Value column) const {
  return e.at(e.at(address, e.add(e.mul(row, rowStride), column), e.f32()), weight * weightStride, e.f32());
}

namespace {

/// What the arguments of a range's program are multiples of; `known`: its columns.
SmallVector<int64_t> multiplesOf(Matmul &m, int64_t known) {
  int64_t place = std::gcd(known, m.op.getExperts() ? m.outputs : kernel::panelRows);
  SmallVector<int64_t> multiples(m.weights.size(), std::gcd(place, kernel::panelRows));
  multiples.append({1, known});
  return multiples;
}

/// The epilogue of one range of columns, for a chunk's accumulators.
class RangeEpilogue {
public:
  RangeEpilogue(Matmul &m, const Accumulators &accumulators, kernel::RangeOp range, Value base)
      : m(m), e(m.e), accumulators(accumulators), range(range), base(base), group(range.getGroup()),
        known(std::gcd<int64_t>(range.getBegin(), group)), multiples(multiplesOf(m, known)) {
    team = Team::ofWarp(m.frame, teamSizeOf(range.getBody(), multiples));
  }

  LogicalResult emit(Value begin, Value end, Value firstRow, Value rows);

private:
  LogicalResult emitWhole(int64_t width, Value begin, Value firstRow, Value rows);
  LogicalResult emitSent(int64_t step, Value mine, Value begin, Value column, Value firstRow);
  /// Of row `row` and `further` ones behind it, a constant of addresses.
  LogicalResult emitGroup(Value firstRow, Value row, Value column, Value active, int64_t further = 0);
  /// Whether the program reads rows in memory, which must be there.
  bool readsRows();
  bool isShort();

  Matmul &m;
  Emitter &e;
  const Accumulators &accumulators;
  kernel::RangeOp range;
  Value base; // column of the first accumulator
  int64_t group, known;
  SmallVector<int64_t> multiples;
  Team team;
};

LogicalResult RangeEpilogue::emitGroup(Value firstRow, Value row, Value column, Value active,
                                       int64_t further) {
  SmallVector<Value> arguments;
  for (size_t weight = 0; weight < m.weights.size(); ++weight)
    arguments.push_back(e.at(accumulators.at(e, weight, row, e.sub(column, base)),
                             further * accumulators.rowStride, e.f32()));
  arguments.append({e.add(e.add(firstRow, row), further), column});
  return emitRegion(m.frame, range.getBody(), arguments, multiples, team, active);
}

bool RangeEpilogue::readsRows() {
  return llvm::any_of(range.getBody().front(), [](Operation &op) {
    return isa<kernel::KernelDialect>(op.getDialect()) && !isa<kernel::StoreOp, kernel::YieldOp>(op);
  });
}

bool RangeEpilogue::isShort() {
  constexpr int64_t fewOperations = 6;
  return static_cast<int64_t>(range.getBody().front().getOperations().size()) <= fewOperations &&
         !readsRows();
}

/// A tile that has all its rows, whose stores go by tensor maps.
LogicalResult RangeEpilogue::emitSent(int64_t step, Value mine, Value begin, Value column, Value firstRow) {
  LogicalResult result = success();
  auto emitTurn = [&](Value row, int64_t further) {
    if (failed(emitGroup(firstRow, row, column, Value(), further)))
      result = failure();
  };
  int64_t part = m.tileStores->partRows();
  e.loop(e.constant(0), e.constant(accumulators.rows), part, [&](Value first) {
    m.tileStores->open(range, first, e.add(firstRow, first), begin);
    Value row = e.add(first, mine);
    if (isShort())
      for (int64_t turn = 0; turn < part; turn += step)
        emitTurn(row, turn);
    else
      e.loop(e.constant(0), e.constant(part), step, [&](Value turn) { emitTurn(e.add(row, turn), 0); });
    m.tileStores->send();
  });
  return result;
}

/// All teams go down the rows, each with the group of columns that it has. Short programs of a tile that has
/// all its rows are written out: their addresses are one and constants.
LogicalResult RangeEpilogue::emitWhole(int64_t width, Value begin, Value firstRow, Value rows) {
  constexpr int64_t mostCopies = 32;
  LogicalResult result = success();
  int64_t step = team.count / width, filled = accumulators.rows;
  Value mine = e.div(team.index, width), column = e.add(begin, e.mul(e.rem(team.index, width), group));
  auto guarded = [&] {
    bool clamps = readsRows() || !filled || filled % step;
    e.loop(e.constant(0), rows, step, [&](Value turn) {
      Value row = e.add(turn, mine), active = e.less(row, rows);
      if (failed(emitGroup(firstRow, clamps ? e.min(row, e.sub(rows, 1)) : row, column, active)))
        result = failure();
    });
  };
  bool isSent = m.tileStores && m.tileStores->takes(range, step);
  if (!isSent && (!isShort() || !filled || filled % step || filled / step > mostCopies)) {
    guarded();
    return result;
  }
  auto choice = scf::IfOp::create(e.b, e.loc, e.equal(rows, e.constant(filled)), /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(e.b);
  e.b.setInsertionPointToStart(choice.thenBlock());
  int64_t before = m.frame.sharedBytes;
  if (isSent)
    result = emitSent(step, mine, begin, column, firstRow);
  for (int64_t turn = 0; !isSent && turn < filled; turn += step)
    if (failed(emitGroup(firstRow, mine, column, Value(), turn)))
      result = failure();
  e.b.setInsertionPointToStart(choice.elseBlock());
  int64_t most = m.frame.sharedBytes; // both keep theirs in the same place
  m.frame.sharedBytes = before;
  guarded();
  m.frame.sharedBytes = std::max(most, m.frame.sharedBytes);
  return result;
}

LogicalResult RangeEpilogue::emit(Value begin, Value end, Value firstRow, Value rows) {
  Value rangeBegin = e.constant(range.getBegin()), rangeEnd = e.constant(range.getEnd());
  LogicalResult result = success();
  if (int64_t width = m.groupsPerChunk(range); width && team.count % width == 0 && !m.expertColumn) {
    if (range.getBegin() == 0 && static_cast<int64_t>(range.getEnd()) == m.outputs)
      return emitWhole(width, begin, firstRow, rows);
    Value isInside = e.both(e.less(begin, rangeEnd), e.less(e.sub(rangeBegin, 1), begin));
    e.ifThen(isInside, [&] { result = emitWhole(width, begin, firstRow, rows); });
    return result;
  }
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
    if (failed(emitGroup(firstRow, row, column, active)))
      result = failure();
  });
  return result;
}

} // namespace

int64_t epilogueBytes(Matmul &m, int64_t threads) {
  int64_t most = 0;
  for (auto range : m.op.getRanges().getOps<kernel::RangeOp>()) {
    int64_t group = range.getGroup();
    SmallVector<int64_t> multiples = multiplesOf(m, std::gcd<int64_t>(range.getBegin(), group));
    RegionPlan plan(range.getBody(), multiples);
    int64_t size = teamSizeOf(range.getBody(), multiples), bytes = 0;
    if (!holdsAll(plan, size))
      for (Value value : plan.kept)
        bytes += llvm::alignTo(lengthOf(value) * 4 * (threads / size), 128);
    most = std::max(most, bytes);
  }
  return most;
}

static LogicalResult emitRanges(Matmul &m, const Accumulators &accumulators, Value panel, Value begin,
                                Value end, Value firstRow, Value rows) {
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
    if (failed(RangeEpilogue(m, accumulators, range, base).emit(begin, end, firstRow, rows)))
      result = failure();
  }
  m.frame.sharedBytes = std::max(most, m.frame.sharedBytes);
  return result;
}

LogicalResult emitEpilogues(Matmul &m, const Accumulators &accumulators, Value panel, Value begin, Value end,
                            Value firstRow, Value rows) {
  if (m.splits == 1)
    return emitRanges(m, accumulators, panel, begin, end, firstRow, rows);
  LogicalResult result = success();
  combineParts(m, accumulators, firstRow, begin, rows,
               [&](const Accumulators &sums, Value first, Value count) {
                 result = emitRanges(m, sums, panel, begin, end, first, count);
               });
  return result;
}

LogicalResult emitProducts(Matmul &m, const Accumulators &accumulators, int64_t columns,
                           llvm::function_ref<void(const Product &)> body) {
  Emitter &e = m.e;
  LogicalResult result = success();
  m.forEachChunk([&](Value begin, Value end, Value rowBegin, Value rowEnd) {
    // The columns of a transposed weight's product are no rows of a stack of matrices.
    Value expert = m.expertColumn ? e.div(m.expertColumn, m.outputs) : Value();
    if (m.op.getTransposed())
      m.expertColumn = Value();
    e.loop(rowBegin, rowEnd, accumulators.rows, [&](Value first) {
      Value rows = e.sub(rowEnd, first);
      Value panelBegin = m.firstPanel(begin), panelEnd = m.panelEnd(end);
      Value base = e.mul(panelBegin, kernel::panelRows);
      Value width = e.sub(e.mul(panelEnd, kernel::panelRows), base);
      for (int64_t weight = 0; weight < static_cast<int64_t>(m.weights.size()); ++weight)
        e.loop(e.constant(0), width, columns,
               [&](Value inTile) { body({weight, first, rows, e.add(base, inTile), inTile, expert}); });
      e.barrier();
      Value count = e.min(rows, e.constant(accumulators.rows));
      if (failed(emitEpilogues(m, accumulators, panelBegin, begin, end, first, count)))
        result = failure();
      e.barrier();
    });
  });
  return result;
}

LogicalResult emitMatmul(Frame &frame, kernel::MatmulOp op) {
  if (failed(checkInputs(op)))
    return failure();
  if (op.getSplits() > 1 && !canSplit(op))
    return op.emitOpError() << "expected a matmul for tensor cores with whole tiles of up to 64 columns for "
                               "kernel.split_k";
  if (fitsFloatTiles(op))
    return emitFloatMatmul(frame, op);
  if (!fitsTensorCores(op))
    return emitStreamedMatmul(frame, op);
  if (fitsMaps(frame, op))
    return emitMappedMatmul(frame, op);
  if (fitsHalves(frame, op))
    return emitHalfMatmul(frame, op);
  if (frame.e.architecture == Architecture::Sm90 && fitsWarpgroups(frame, op))
    return emitWarpgroupMatmul(frame, op);
  bool isNarrow = op.getLeft().getType().getElement().isF16() || op.getLeft().getType().getElement().isBF16();
  return isNarrow ? emitStreamedMatmul(frame, op) : emitTensorMatmul(frame, op);
}

} // namespace sinter::gpu
