// SPDX-License-Identifier: Apache-2.0
// Kernels and steps: parsing, checks, and the grid of each anchor.
#include "dialects/kernel/Kernel.h"
#include "mlir/Interfaces/FunctionImplementation.h"

using namespace mlir;
using namespace sinter::kernel;

#define GET_OP_CLASSES
#include "dialects/kernel/KernelOps.cpp.inc"

//===--- func

ParseResult FuncOp::parse(OpAsmParser &parser, OperationState &result) {
  auto type = [](Builder &builder, ArrayRef<Type> inputs, ArrayRef<Type> results,
                 function_interface_impl::VariadicFlag,
                 std::string &) { return builder.getFunctionType(inputs, results); };
  return function_interface_impl::parseFunctionOp(
      parser, result, /*allowVariadic=*/false, getFunctionTypeAttrName(result.name), type,
      getArgAttrsAttrName(result.name), getResAttrsAttrName(result.name));
}

void FuncOp::print(OpAsmPrinter &printer) {
  function_interface_impl::printFunctionOp(printer, *this, /*isVariadic=*/false, getFunctionTypeAttrName(),
                                           getArgAttrsAttrName(), getResAttrsAttrName());
}

LogicalResult FuncOp::verify() {
  if (!getFunctionType().getResults().empty())
    return emitOpError() << "expected no results, found " << getFunctionType().getNumResults()
                         << "; a kernel writes to its buffers";
  for (auto [index, type] : llvm::enumerate(getArgumentTypes()))
    if (!isa<RowsType, TableType, WeightType, CacheKType, CacheVType, PartialType, SegmentsType>(type))
      return emitOpError() << "expected argument " << index << " to be a buffer, found " << type;
  if (!llvm::hasSingleElement(getBody().front()) || !isa<AnchorOpInterface>(getBody().front().front()))
    return emitOpError()
           << "expected one anchor (kernel.matmul, kernel.attention, kernel.rows, ...) in the body and "
              "nothing else";
  return success();
}

AnchorOpInterface FuncOp::getAnchor() { return cast<AnchorOpInterface>(getBody().front().front()); }

//===--- regions

static LogicalResult checkArguments(Operation *op, Region &region, ArrayRef<Type> expected, StringRef what) {
  if (region.getArgumentTypes() != TypeRange(expected)) {
    InFlightDiagnostic error = op->emitOpError() << "expected the region's arguments to be " << what << ": (";
    llvm::interleaveComma(expected, error);
    error << "), found (";
    llvm::interleaveComma(region.getArgumentTypes(), error);
    return error << ")";
  }
  return success();
}

/// The emitters run a region in loops over chunks: what was stored is not loaded again, and nothing but
/// straight-line code on vectors is inside.
static LogicalResult checkProgram(Operation *anchor, Region &region) {
  SmallPtrSet<Value, 4> stored;
  for (Operation &op : region.front()) {
    if (op.getNumRegions())
      return op.emitOpError() << "expected straight-line code in a region of " << anchor->getName()
                              << ", found an operation with a region";
    bool known = isa<YieldOp, LoadOp, StoreOp, AppendOp, LookupOp, CombineOp, PositionOp, TokenOp, KeysOp,
                     SelectedOp, ElementOp, HyperOp, DropoutOp>(op);
    StringRef dialect = op.getDialect() ? op.getDialect()->getNamespace() : "";
    if (!known && dialect != "arith" && dialect != "math" && dialect != "vector")
      return op.emitOpError()
             << "expected operations of arith, math, vector or kernel on values in a region of "
             << anchor->getName();
    if (auto load = dyn_cast<LoadOp>(op); load && stored.contains(load.getBuffer()))
      return op.emitOpError() << "expected no load from a buffer after a store to it in the same region";
    if (auto store = dyn_cast<StoreOp>(op))
      stored.insert(store.getBuffer());
  }
  return success();
}

static LogicalResult checkYield(Region &region, ArrayRef<Type> types) {
  auto yield = dyn_cast<YieldOp>(region.front().getTerminator());
  assert(yield && "regions of anchors end with kernel.yield");
  if (yield.getOperandTypes() != TypeRange(types)) {
    InFlightDiagnostic error = yield.emitOpError() << "expected ";
    if (types.empty())
      return error << "no values, found " << yield.getNumOperands();
    error << types.front() << ", found ";
    if (yield.getNumOperands() == 0)
      return error << "nothing";
    llvm::interleaveComma(yield.getOperandTypes(), error);
    return error;
  }
  return success();
}

//===--- rows

LogicalResult RowsOp::verify() {
  if (!getColumns())
    return success();
  if (*getColumns() <= 0 || getGroup().value_or(0) <= 0 || *getColumns() % *getGroup())
    return emitOpError() << "expected columns that are a multiple of the group, found columns "
                         << *getColumns() << ", group " << getGroup().value_or(0);
  if (getSchedule() && getSchedule()->getColumnsPerTile() % *getGroup())
    return emitOpError() << "expected columns_per_tile to be a multiple of the group, found "
                         << getSchedule()->getColumnsPerTile() << ", group " << *getGroup();
  return success();
}

LogicalResult RowsOp::verifyRegions() {
  Type index = IndexType::get(getContext());
  LogicalResult arguments = getColumns()
                                ? checkArguments(*this, getBody(), {index, index}, "the row and the column")
                                : checkArguments(*this, getBody(), {index}, "the row");
  return failure(failed(arguments) || failed(checkProgram(*this, getBody())) ||
                 failed(checkYield(getBody(), {})));
}

Grid RowsOp::getGrid() {
  ScheduleAttr schedule = getScheduleAttr();
  int64_t rows = schedule && schedule.getRowsPerTile() ? schedule.getRowsPerTile() : 1;
  int64_t columns = 1;
  if (getColumns() && schedule && schedule.getColumnsPerTile())
    columns = (*getColumns() + schedule.getColumnsPerTile() - 1) / schedule.getColumnsPerTile();
  return {columns, rows, 0, getDomain()};
}

//===--- matmul

int64_t MatmulOp::getSplits() {
  auto splits = (*this)->getAttrOfType<IntegerAttr>("kernel.split_k");
  return splits ? splits.getInt() : 1;
}
int64_t MatmulOp::getExpertCount() { return getExperts() ? getExperts().getType().getExperts() : 1; }
static int64_t matrixRows(MatmulOp op) {
  return cast<WeightType>(op.getWeights().front().getType()).getRows() / op.getExpertCount();
}
static int64_t matrixColumns(MatmulOp op) {
  return cast<WeightType>(op.getWeights().front().getType()).getColumns();
}
int64_t MatmulOp::getInputs() { return getTransposed() ? matrixRows(*this) : matrixColumns(*this); }
int64_t MatmulOp::getOutputs() { return getTransposed() ? matrixColumns(*this) : matrixRows(*this); }

LogicalResult MatmulOp::verify() {
  if (getWeights().empty())
    return emitOpError() << "expected at least one weight, found none";
  auto first = cast<WeightType>(getWeights().front().getType());
  for (Type type : getWeights().getTypes())
    if (auto weight = cast<WeightType>(type);
        weight.getRows() != first.getRows() || weight.getColumns() != first.getColumns())
      return emitOpError() << "expected all weights to have the shape of the first, found " << first
                           << " and " << weight;
  if ((getLeft() != nullptr) != getLhs().empty())
    return emitOpError() << "expected either a buffer as left side or a region lhs";
  if (getExperts() && !getLeft())
    return emitOpError()
           << "expected a buffer of dispatched rows as left side of experts, found a region lhs";
  if (first.getRows() % getExpertCount())
    return emitOpError() << "expected weights whose rows are a multiple of the " << getExpertCount()
                         << " experts, found " << first;
  if (getFastAccumulation() && !llvm::all_of(getWeights().getTypes(), [](Type type) {
        return isa_and_nonnull<Float8E4M3FNType, Float8E5M2Type>(cast<WeightType>(type).getElement());
      }))
    return emitOpError() << "expected weights of 8 bits for fast_accumulation, found " << first;
  if (getTransposed() && !llvm::all_of(getWeights().getTypes(), [](Type type) {
        return cast<WeightType>(type).getFormat() == WeightFormat::F32;
      }))
    return emitOpError() << "expected transposed weights to be f32, found " << first;
  if (getLeft() && getLeft().getType().getColumns() != getInputs())
    return emitOpError() << "expected the left side to have " << getInputs()
                         << " columns, as many as the weights, found " << getLeft().getType().getColumns();
  return success();
}

LogicalResult MatmulOp::verifyRegions() {
  if (!getLhs().empty()) {
    if (!getLhs().hasOneBlock() || getLhs().front().empty() || !isa<YieldOp>(getLhs().front().back()))
      return emitOpError() << "expected the region lhs to be one block that ends with kernel.yield";
    Type row = VectorType::get({getInputs()}, Float32Type::get(getContext()));
    if (failed(checkArguments(*this, getLhs(), {IndexType::get(getContext())}, "the row")) ||
        failed(checkProgram(*this, getLhs())) || failed(checkYield(getLhs(), {row})))
      return failure();
    SmallPtrSet<Value, 4> loaded;
    for (LoadOp load : getLhs().getOps<LoadOp>())
      loaded.insert(load.getBuffer());
    getRanges().walk([&](LoadOp load) { loaded.insert(load.getBuffer()); });
    for (StoreOp store : getLhs().getOps<StoreOp>())
      if (loaded.contains(store.getBuffer()))
        return store.emitOpError()
               << "expected the region lhs to store to another buffer than the matmul loads: several "
                  "threads compute the same row";
  }
  int64_t covered = 0;
  for (Operation &op : getRanges().front()) {
    auto range = dyn_cast<RangeOp>(op);
    if (!range)
      return op.emitOpError() << "expected only kernel.range in the ranges of a matmul";
    if (static_cast<int64_t>(range.getBegin()) != covered)
      return range.emitOpError() << "expected the range to begin at column " << covered << ", found "
                                 << range.getBegin();
    covered = range.getEnd();
  }
  if (covered != getOutputs())
    return emitOpError() << "expected the ranges to cover all " << getOutputs() << " columns, found "
                         << covered;
  return success();
}

Grid MatmulOp::getGrid() {
  ScheduleAttr schedule = getScheduleAttr();
  int64_t perTile = schedule ? schedule.getColumnsPerTile() : 0;
  // How many rows an expert has is known when a launch runs: a tile has all of them.
  if (getExperts())
    return {(perTile ? (getOutputs() + perTile - 1) / perTile : 1) * getExpertCount(), 0, 0, getDomain()};
  return {(perTile ? (getOutputs() + perTile - 1) / perTile : 1) * getSplits(),
          schedule ? schedule.getRowsPerTile() : 0, 0, getDomain()};
}

LogicalResult RangeOp::verify() {
  int64_t begin = getBegin(), end = getEnd(), group = getGroup();
  if (begin < 0 || end <= begin || group <= 0 || (end - begin) % group)
    return emitOpError() << "expected a range of one or more whole groups, found " << begin << " to " << end
                         << " group " << group;
  return success();
}

LogicalResult RangeOp::verifyRegions() {
  Type index = IndexType::get(getContext());
  auto matmul = cast<MatmulOp>((*this)->getParentOp());
  SmallVector<Type> types(matmul.getWeights().size(), VectorType::get({static_cast<int64_t>(getGroup())},
                                                                      Float32Type::get(getContext())));
  types.append({index, index});
  return failure(failed(checkArguments(*this, getBody(), types,
                                       "an accumulator a weight, the row and the first column")) ||
                 failed(checkProgram(*this, getBody())) || failed(checkYield(getBody(), {})));
}

//===--- attention

/// Bytes of scratch that a tile goes through again and again: they must stay in the second-level cache.
static int64_t tileBytes(AttentionOp op) {
  int64_t keySize = op.getKeys().getType().getSize(), valueSize = op.getValues().getType().getSize();
  if (op.getForm() == Form::Prefill)
    return op.getGrid().rowsPerTile * (keySize + valueSize) * 4;
  ScheduleAttr schedule = op.getScheduleAttr();
  auto partial = dyn_cast<PartialType>(op.getOutput().getType());
  int64_t keys = partial ? partial.getKeys() : schedule ? schedule.getKeyBlock() : 0;
  return static_cast<int64_t>(op.getHeads()) / op.getKeys().getType().getHeads() *
         (keySize + valueSize + keys) * 4;
}

LogicalResult AttentionOp::verify() {
  CacheKType keys = getKeys().getType();
  CacheVType values = getValues().getType();
  int64_t heads = getHeads();
  if (keys.getHeads() != values.getHeads())
    return emitOpError() << "expected as many heads of values as of keys, found " << values << " and "
                         << keys;
  if (keys.getElement() != values.getElement())
    return emitOpError() << "expected one type of element in the cache, found " << keys << " and " << values;
  if (heads <= 0 || heads % keys.getHeads())
    return emitOpError() << "expected the heads to be a multiple of the " << keys.getHeads()
                         << " heads of the cache, found " << heads;
  // Many rows may come in the cache's type, which tensor cores multiply.
  Type query = getQuery().getType().getElement();
  bool isNarrow = getForm() == Form::Prefill && query == keys.getElement();
  if ((!query.isF32() && !isNarrow) || getQuery().getType().getColumns() != heads * keys.getSize())
    return emitOpError() << "expected a query of " << heads << " heads of " << keys.getSize()
                         << " f32, found " << getQuery().getType();
  if (getSlopes() && (getSlopes().getType().getRows() != 1 || getSlopes().getType().getColumns() != heads ||
                      !getSlopes().getType().getElement().isF32()))
    return emitOpError() << "expected slopes of type !kernel.table<1x" << heads << "xf32>, found "
                         << getSlopes().getType();
  if (static_cast<int64_t>(getWindow()) < 0)
    return emitOpError() << "expected a window of 0 (none) or more, found "
                         << static_cast<int64_t>(getWindow());
  if (getSoftcap().convertToDouble() < 0)
    return emitOpError() << "expected a softcap of 0 (none) or more, found "
                         << getSoftcap().convertToDouble();
  constexpr int64_t cacheBytes = 512 * 1024;
  if (tileBytes(*this) > cacheBytes)
    return emitOpError() << "expected a schedule whose tiles fit " << cacheBytes << " bytes of cache, found "
                         << tileBytes(*this);
  if (auto rows = dyn_cast<RowsType>(getOutput().getType())) {
    if (!rows.getElement().isF32() || rows.getColumns() != heads * values.getSize())
      return emitOpError() << "expected an output of " << heads << " heads of " << values.getSize()
                           << " f32, found " << rows;
    return success();
  }
  auto partial = cast<PartialType>(getOutput().getType());
  if (getForm() != Form::Decode)
    return emitOpError() << "expected rows as output of prefill, found " << partial;
  if (partial.getHeads() != heads || partial.getSize() != values.getSize())
    return emitOpError() << "expected an output of " << heads << " heads of " << values.getSize()
                         << ", found " << partial;
  return success();
}

Grid AttentionOp::getGrid() {
  if (getForm() == Form::Decode) {
    auto partial = dyn_cast<PartialType>(getOutput().getType());
    return {getKeys().getType().getHeads(), 1, partial ? partial.getKeys() : 0, Domain::Rows};
  }
  ScheduleAttr schedule = getScheduleAttr();
  return {static_cast<int64_t>(getHeads()),
          schedule && schedule.getRowsPerTile() ? schedule.getRowsPerTile() : 64, 0, Domain::Rows};
}

//===--- experts

LogicalResult RouteOp::verify() {
  RowsType logits = getLogits().getType(), weights = getWeights().getType(), chosen = getChosen().getType();
  if (!logits.getElement().isF32() || !weights.getElement().isF32() || !chosen.getElement().isInteger())
    return emitOpError() << "expected logits and weights of f32 and choices of i32, found " << logits << ", "
                         << weights << " and " << chosen;
  if (weights.getColumns() != chosen.getColumns() || chosen.getColumns() > logits.getColumns())
    return emitOpError() << "expected as many weights as choices, at most the " << logits.getColumns()
                         << " experts, found " << weights.getColumns() << " and " << chosen.getColumns();
  return success();
}

Grid RouteOp::getGrid() { return {1, 1, 0, getDomain()}; }

LogicalResult DispatchOp::verify() {
  if (getChosen().getType() != getPlaces().getType() || !getChosen().getType().getElement().isInteger())
    return emitOpError() << "expected choices and places of one type, with i32 as element, found "
                         << getChosen().getType() << " and " << getPlaces().getType();
  return success();
}

Grid DispatchOp::getGrid() { return {1, 0, 0, getDomain()}; }

//===--- steps

LogicalResult BufferOp::verify() {
  Type type = getBuffer().getType();
  StringRef expected;
  auto rows = dyn_cast<RowsType>(type);
  bool isImage = rows && rows.getElement().isF32() && getOffset();
  switch (getSpace()) {
  case Space::Weight:
  case Space::Gradient:
    if (isImage)
      break;
    if (!isa<WeightType, TableType>(type))
      expected = "!kernel.weight or !kernel.table";
    else if (!getParameter())
      return emitOpError() << "expected the name of a parameter, found none";
    break;
  case Space::Arena:
    if (!isa<RowsType, SegmentsType>(type))
      expected = "!kernel.rows or !kernel.segments";
    break;
  case Space::Logits:
  case Space::Losses:
  case Space::Drawn:
    if (!rows)
      expected = "!kernel.rows";
    break;
  case Space::State0:
  case Space::State1:
  case Space::Norms:
  case Space::Average:
    if (!isImage)
      expected = "!kernel.rows of f32 at an offset";
    break;
  case Space::Votes:
    if (!isa<TableType>(type))
      expected = "!kernel.table";
    break;
  case Space::CacheK:
  case Space::CacheV:
    if (!(getSpace() == Space::CacheK ? isa<CacheKType>(type) : isa<CacheVType>(type)))
      expected = getSpace() == Space::CacheK ? "!kernel.cache_k" : "!kernel.cache_v";
    else if (!getLayer())
      return emitOpError() << "expected the number of a layer, found none";
    break;
  case Space::Partial:
    if (!isa<PartialType>(type))
      expected = "!kernel.partial";
    break;
  }
  if (!expected.empty())
    return emitOpError() << "expected a buffer in " << stringifySpace(getSpace()) << " to be " << expected
                         << ", found " << type;
  return success();
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto kernel = symbols.lookupNearestSymbolFrom<FuncOp>((*this)->getParentOp(), getCalleeAttr());
  if (!kernel)
    return emitOpError() << "expected a kernel.func, found no such symbol: " << getCallee();
  if (kernel.getArgumentTypes() != getBuffers().getTypes()) {
    InFlightDiagnostic error = emitOpError() << "expected the buffers of " << getCallee() << ": (";
    llvm::interleaveComma(kernel.getArgumentTypes(), error);
    error << "), found (";
    llvm::interleaveComma(getBuffers().getTypes(), error);
    return error << ")";
  }
  return success();
}
