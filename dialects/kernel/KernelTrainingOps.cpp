// SPDX-License-Identifier: Apache-2.0
// Anchors of a training step: checks and grids.
#include "dialects/kernel/Kernel.h"
#include "dialects/kernel/WeightLayout.h"

using namespace mlir;
using namespace sinter::kernel;

static bool isF32(RowsType type) { return type.getElement().isF32(); }

/// Fails unless `site` is one number and `rate` a share.
static LogicalResult verifyDropout(Operation *op, TableType site, double rate) {
  if (site.getRows() != 1 || site.getColumns() != 1 || !site.getElement().isF32())
    return op->emitOpError() << "expected a site of one f32, found " << site;
  if (!(rate > 0 && rate < 1))
    return op->emitOpError() << "expected a rate of dropout above 0 and below 1, found " << rate;
  return success();
}

LogicalResult DropoutOp::verify() {
  return verifyDropout(*this, getSite().getType(), getRate().convertToDouble());
}

//===--- gradients of parameters

LogicalResult WeightGradientOp::verify() {
  WeightType output = getOutput().getType();
  if (output.getFormat() != WeightFormat::F32)
    return emitOpError() << "expected an output of f32, found " << output;
  if (output.getRows() % getExpertCount())
    return emitOpError() << "expected an output whose rows are a multiple of the " << getExpertCount()
                         << " experts, found " << output;
  auto isFactor = [&](RowsType type) {
    return isF32(type) || (type.getElement().isBF16() && (*this)->hasAttr("kernel.bf16"));
  };
  if (!isFactor(getGradient().getType()) || !isFactor(getInput().getType()) ||
      getGradient().getType().getColumns() != output.getRows() / getExpertCount() ||
      getInput().getType().getColumns() != output.getColumns())
    return emitOpError()
           << "expected rows of f32 (or of bf16 with kernel.bf16) as long as the output's rows and columns, "
              "found "
           << getGradient().getType() << " and " << getInput().getType() << " for " << output;
  return success();
}

int64_t WeightGradientOp::getTileOutputs() {
  ScheduleAttr schedule = getScheduleAttr();
  return schedule && schedule.getColumnsPerTile() ? schedule.getColumnsPerTile() : 2 * panelRows;
}

int64_t WeightGradientOp::getTileInputs() {
  ScheduleAttr schedule = getScheduleAttr();
  return schedule && schedule.getTileColumns() ? schedule.getTileColumns() : 288;
}

Grid WeightGradientOp::getGrid() {
  auto parts = [](int64_t whole, int64_t part) { return (whole + part - 1) / part; };
  WeightType output = getOutput().getType();
  // Which rows an expert has is known when a launch runs: a tile has all of them.
  return {parts(output.getRows() / getExpertCount(), getTileOutputs()) *
              parts(output.getColumns(), getTileInputs()) * getExpertCount(),
          0, 0, Domain::Rows};
}

LogicalResult ColumnSumOp::verify() {
  TableType output = getOutput().getType();
  if (!isF32(getInput().getType()) || !output.getElement().isF32() || output.getRows() != 1 ||
      getInput().getType().getColumns() % output.getColumns())
    return emitOpError()
           << "expected rows of f32 and a table of one row of f32 whose width divides theirs, found "
           << getInput().getType() << " and " << output;
  return success();
}

/// Columns of a tile: a multiple of every register.
static constexpr int64_t columnsPerTile = 64;

Grid ColumnSumOp::getGrid() {
  return {(getOutput().getType().getColumns() + columnsPerTile - 1) / columnsPerTile, 0, 0, Domain::Rows};
}

LogicalResult ScatterOp::verify() {
  WeightType output = getOutput().getType();
  if (!isF32(getGradient().getType()) || output.getFormat() != WeightFormat::F32 ||
      getGradient().getType().getColumns() != output.getColumns())
    return emitOpError() << "expected rows of f32 and a weight of f32 with as many columns, found "
                         << getGradient().getType() << " and " << output;
  return success();
}

Grid ScatterOp::getGrid() {
  constexpr int64_t scatterColumns = 32;
  return {(getOutput().getType().getColumns() + scatterColumns - 1) / scatterColumns, 0, 0, Domain::Rows};
}

//===--- loss

LogicalResult CrossEntropyOp::verify() {
  if (!isF32(getLogits().getType()) || !isF32(getLosses().getType()) ||
      getLosses().getType().getColumns() != 1)
    return emitOpError() << "expected rows of f32, and losses of one column, found " << getLogits().getType()
                         << " and " << getLosses().getType();
  return success();
}

Grid CrossEntropyOp::getGrid() { return {1, 1, 0, Domain::Rows}; }

/// Fails unless `votes` is a table of two numbers of f32 for each column of `logits`.
static LogicalResult verifyVotes(Operation *op, RowsType logits, TableType votes) {
  if (!isF32(logits) || !votes.getElement().isF32() || votes.getRows() != 1 ||
      votes.getColumns() != 2 * logits.getColumns())
    return op->emitOpError() << "expected logits of f32 and a table of two f32 for each expert, found "
                             << logits << " and " << votes;
  return success();
}

LogicalResult RouterVotesOp::verify() {
  if (!getChosen().getType().getElement().isInteger(32))
    return emitOpError() << "expected choices of i32, found " << getChosen().getType();
  return verifyVotes(*this, getLogits().getType(), getOutput().getType());
}

Grid RouterVotesOp::getGrid() { return {1, 0, 0, Domain::Rows}; }

LogicalResult BalanceGradientOp::verify() {
  if (getOutput().getType() != getLogits().getType())
    return emitOpError() << "expected an output like the logits, found " << getOutput().getType() << " and "
                         << getLogits().getType();
  return verifyVotes(*this, getLogits().getType(), getVotes().getType());
}

Grid BalanceGradientOp::getGrid() { return {1, 32, 0, Domain::Rows}; }

//===--- attention

template <typename AttentionOp> static LogicalResult verifyAttention(AttentionOp op) {
  int64_t heads = op.getHeads(), kvHeads = op.getKvHeads();
  int64_t query = op.getQuery().getType().getColumns(), key = op.getKey().getType().getColumns();
  int64_t value = op.getValue().getType().getColumns(), output = op.getOutput().getType().getColumns();
  if (heads <= 0 || kvHeads <= 0 || heads % kvHeads)
    return op.emitOpError() << "expected the heads to be a multiple of the key heads, found " << heads
                            << " and " << kvHeads;
  if (query % heads || key % kvHeads || value % kvHeads || query / heads != key / kvHeads ||
      output != value / kvHeads * heads)
    return op.emitOpError()
           << "expected queries and keys of one size of head, and outputs as wide as the values' heads, "
              "found widths "
           << query << ", " << key << ", " << value << " and " << output;
  for (RowsType type : {op.getQuery().getType(), op.getKey().getType(), op.getValue().getType()})
    if (!isF32(type) && !(type.getElement().isBF16() && op->hasAttr("kernel.bf16")))
      return op.emitOpError()
             << "expected queries, keys and values of f32, or, with kernel.bf16, bf16, found " << type;
  if (!isF32(op.getOutput().getType()))
    return op.emitOpError() << "expected outputs of f32, found " << op.getOutput().getType();
  if (op.getLogSum().getType().getColumns() != heads)
    return op.emitOpError() << "expected a log_sum of " << heads << " columns, one a head, found "
                            << op.getLogSum().getType();
  if (static_cast<int64_t>(op.getSequence()) <= 0)
    return op.emitOpError() << "expected sequences of at least one row, found "
                            << static_cast<int64_t>(op.getSequence());
  if (int64_t rows = op.getRowsPerTile(), sequence = op.getSequence(); rows % 64 || sequence % rows)
    if (rows != sequence)
      return op.emitOpError()
             << "expected rows_per_tile to be a multiple of 64 and to divide the sequence, found " << rows
             << " of " << sequence;
  double dropout = op.getDropout().convertToDouble();
  if (!op.getSite() && dropout != 0)
    return op.emitOpError() << "expected a site for dropout of " << dropout << ", found none";
  if (op.getSite() && failed(verifyDropout(op, op.getSite().getType(), dropout)))
    return failure();
  if (op.getSlopes() && op.getSlopes().getType().getColumns() != heads)
    return op.emitOpError() << "expected " << heads << " slopes, one a head, found "
                            << op.getSlopes().getType();
  return success();
}

LogicalResult SelfAttentionOp::verify() { return verifyAttention(*this); }
LogicalResult SelfAttentionBackwardOp::verify() {
  if (failed(verifyAttention(*this)))
    return failure();
  auto isGradient = [](RowsType gradient, RowsType type) {
    return isF32(gradient) && gradient.getColumns() == type.getColumns();
  };
  if (!isGradient(getQueryGradient().getType(), getQuery().getType()) ||
      !isGradient(getKeyGradient().getType(), getKey().getType()) ||
      !isGradient(getValueGradient().getType(), getValue().getType()) ||
      !isGradient(getGradient().getType(), getOutput().getType()))
    return emitOpError() << "expected gradients of f32, as wide as what they are gradients of";
  if (!getRoundedGradient() && !getDots() && !getPrepares())
    return success();
  if (!getRoundedGradient() || !getDots() || !(*this)->hasAttr("kernel.bf16") ||
      !getRoundedGradient().getType().getElement().isBF16() ||
      getRoundedGradient().getType().getColumns() != getGradient().getType().getColumns() ||
      !isF32(getDots().getType()) || getDots().getType().getColumns() != static_cast<int64_t>(getHeads()))
    return emitOpError() << "expected to be prepared with kernel.bf16, by a gradient of bf16 and f32 of a "
                            "column a head";
  return success();
}

template <typename AttentionOp> static int64_t rowsPerTileOf(AttentionOp op) {
  ScheduleAttr schedule = op.getScheduleAttr();
  return schedule && schedule.getRowsPerTile() ? schedule.getRowsPerTile() : op.getSequence();
}
int64_t SelfAttentionOp::getRowsPerTile() { return rowsPerTileOf(*this); }
int64_t SelfAttentionBackwardOp::getRowsPerTile() { return rowsPerTileOf(*this); }

Grid SelfAttentionOp::getGrid() {
  return {static_cast<int64_t>(getHeads()), getRowsPerTile(), 0, Domain::Rows};
}
Grid SelfAttentionBackwardOp::getGrid() {
  int64_t heads = getKvHeads();
  return {isWhole() || getDots() ? heads : 2 * heads, getRowsPerTile(), 0, Domain::Rows};
}

//===--- norms

LogicalResult SquareSumOp::verify() {
  int64_t block = getBlock(), columns = getInput().getType().getColumns();
  if (!isF32(getInput().getType()) || !isF32(getOutput().getType()) || block <= 0 || block % panelRows ||
      columns % panelRows || getOutput().getType().getColumns() != (columns + block - 1) / block)
    return emitOpError() << "expected f32 in multiples of " << panelRows
                         << ", and an output of a column a block, found " << getInput().getType() << " and "
                         << getOutput().getType() << " for blocks of " << block;
  return success();
}

Grid SquareSumOp::getGrid() { return {getOutput().getType().getColumns(), 0, 0, Domain::Rows}; }
