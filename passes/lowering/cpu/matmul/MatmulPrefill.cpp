// SPDX-License-Identifier: Apache-2.0
// The prefill form of kernel.matmul: tiles of columns x rows, K whole.
//
// A call goes column tile by column tile. The panels of a tile of quantised weights are taken apart into
// scratch once, those of 8 bits widened to f32, then serve all its row tiles; so are those of a transposed
// weight, turned, but where K is so long that they would leave the caches: then blocks of K are turned for
// each row tile. Where f32 is multiplied as bf16, panels are rounded on their way to scratch. Rows that meet
// bf16 weights are rounded to bf16 on machines that multiply pairs of bf16 (AVX512-BF16, AMX), rows that meet
// quantised ones on AMX. A row tile: its left side is made ready, register tiles go over the panels,
// accumulators go to scratch, and the epilogues run.
#include "passes/lowering/cpu/matmul/MatmulTile.h"

#include "passes/lowering/Anchors.h"
#include "passes/lowering/cpu/Fp8.h"
#include "passes/lowering/cpu/Rounding.h"
#include "passes/lowering/cpu/matmul/Bf16Product.h"
#include "passes/lowering/cpu/matmul/MatmulAmx.h"
#include "passes/lowering/cpu/matmul/MatmulBlock.h"

using namespace mlir;

namespace sinter::cpu {
namespace {

/// Rows and panels of a register tile.
struct RegisterTile {
  int64_t rows, panels;
};

/// Blocks of K of a transposed weight, and how long K must be for them.
constexpr int64_t blockInputs = 256, longInputs = 4096;

class PrefillMatmul {
public:
  PrefillMatmul(Matmul &m)
      : m(m), e(m.e), rounds(roundsFactors(m.op)), use(useOf(m)), transposed(m.op.getTransposed()),
        blocked(transposed && m.inputs > longInputs && !m.op.getExperts() && m.op.getLeft()),
        capacity(llvm::alignTo(m.rowsPerTile, m.e.target.amx() ? amxRows : 1)),
        left(m, capacity,
             !blocked ? use
             : rounds ? LeftUse::InBlocks
                      : LeftUse::Exact) {
    int64_t stride = m.accumulatorColumns(m.columnsPerTile);
    accumulators = {m.frame.allocate(m.weights.size() * capacity * stride * 4), stride, capacity * stride};
    for (const kernel::WeightLayout &layout : m.layouts)
      unpacked.push_back(layout.isFloat() && !layout.isFp8() && !transposed && !rounds
                             ? Value()
                             : m.frame.allocate(stride / kernel::panelRows * unpackedPanelBytes(layout)));
    if (blocked && rounds)
      leftBlock = m.frame.allocate(capacity * blockInputs * 4);
    if (turnsToPairs())
      turnedPanel = m.frame.allocate(turnedPanelBytes());
  }

  LogicalResult run() {
    if (m.op.getExperts()) {
      m.forEachExpert([&](Value columnBegin, Value columnEnd, Value rowBegin, Value rowEnd) {
        Value rowTiles = e.ceilDiv(e.sub(rowEnd, rowBegin), m.rowsPerTile);
        if (transposed) { // the panels of the turned matrix are its own
          expertRow = e.mul(e.div(m.expertColumn, m.outputs), m.inputs);
          m.expertColumn = {};
        }
        e.loop(columnBegin, columnEnd, 1, [&](Value columnTile) {
          emitColumnTile(columnTile, rowBegin, rowEnd, e.constant(0), rowTiles);
        });
      });
      return result;
    }
    Value rows = m.frame.domainRows(m.op.getDomain());
    Value rowTiles = e.ceilDiv(rows, m.rowsPerTile);
    Value begin = m.frame.begin, end = m.frame.end;
    // Tile number = column tile * rowTiles + row tile. No tiles: the loop does not run (rowTiles may be 0).
    e.ifThen(e.less(begin, end), [&] {
      Value columnBegin = e.div(begin, rowTiles), columnEnd = e.add(e.div(e.sub(end, 1), rowTiles), 1);
      e.loop(columnBegin, columnEnd, 1, [&](Value columnTile) {
        Value before = e.mul(columnTile, rowTiles);
        emitColumnTile(columnTile, e.constant(0), rows, e.max(e.sub(begin, before), e.constant(0)),
                       e.min(e.sub(end, before), rowTiles));
      });
    });
    return result;
  }

private:
  /// Whether panels of a transposed weight are turned, then made pairs of bf16.
  bool turnsToPairs() const { return transposed && use == LeftUse::RoundedPairs; }

  static LeftUse useOf(Matmul &m) {
    Target target = m.e.target;
    if (roundsFactors(m.op))
      return target.bf16() ? LeftUse::RoundedPairs : LeftUse::Rounded;
    return target.amx() ? LeftUse::Tiles : target.bf16() ? LeftUse::Pairs : LeftUse::Exact;
  }

  /// Row tiles rowTileBegin to rowTileEnd - 1 (from rowBegin on) of a column tile.
  void emitColumnTile(Value columnTile, Value rowBegin, Value rowEnd, Value rowTileBegin, Value rowTileEnd) {
    Value first = e.mul(columnTile, m.columnsPerTile);
    Value last = e.min(e.add(first, m.columnsPerTile), e.constant(m.outputs));
    panelBegin = m.firstPanel(first);
    panelEnd = m.panelEnd(last);
    if (!blocked)
      unpack(e.sub(rowEnd, rowBegin));
    e.loop(rowTileBegin, rowTileEnd, 1, [&](Value rowTile) {
      Value row = e.add(rowBegin, e.mul(rowTile, m.rowsPerTile));
      Value count = e.min(e.sub(rowEnd, row), e.constant(m.rowsPerTile));
      if (failed(left.prepare(row, count)))
        return void(result = failure());
      tileRow = row;
      for (int64_t weight = 0; weight < static_cast<int64_t>(m.weights.size()); ++weight)
        blocked ? emitBlocks(weight, count)
        : takesTiles(m.layouts[weight])
            ? emitAmxWeight(weight, count, left.of(m.layouts[weight]).halves, m.inputs)
            : emitWeight(weight, count, m.layouts[weight], e.constant(0));
      if (failed(emitEpilogues(m, accumulators, panelBegin, first, last, row, count)))
        result = failure();
    });
  }

  int64_t turnedPanelBytes() const {
    return (llvm::alignTo(blocked ? blockInputs : m.inputs, kernel::panelRows) +
            (m.op.getExperts() ? kernel::panelRows : 0)) *
           kernel::panelRows * 4;
  }

  int64_t unpackedPanelBytes(const kernel::WeightLayout &layout) const {
    if (use == LeftUse::RoundedPairs)
      return bf16PanelBytes(blocked ? blockInputs : layout.columns);
    if (transposed)
      return turnedPanelBytes();
    if (rounds)
      return layout.panelBytes();
    if (layout.isFp8())
      return layout.paddedColumns() * kernel::panelRows * 4;
    return takesTiles(layout) ? bf16PanelBytes(layout.columns) : layout.blocks() * unpackedBlockBytes(layout);
  }

  /// Whether a weight is multiplied by tiles of AMX.
  bool takesTiles(const kernel::WeightLayout &layout) const { return e.target.amx() && isBf16(layout, use); }

  RegisterTile registerTile(const kernel::WeightLayout &layout) const {
    RegisterTile tile;
    bool wide = e.target.lanes() == 16;
    if (layout.isFloat())
      // 6 rows of bf16 want 17 of 16 registers: 12 sums, 4 weights, 1 of the left side.
      tile =
          wide ? RegisterTile{12, 2} : RegisterTile{layout.format == kernel::WeightFormat::BF16 ? 4 : 6, 1};
    else
      tile = wide ? RegisterTile{6, 2} : RegisterTile{layout.block.isSigned ? 4 : 3, 1};
    if (kernel::ScheduleAttr schedule = m.schedule()) {
      tile.rows = m.scheduled(schedule.getTileRows(), tile.rows);
      tile.panels = m.scheduled(schedule.getTileColumns() / kernel::panelRows, tile.panels);
    }
    if (blocked)
      tile.rows = wide ? 8 : 4; // divide the rows of a chunk
    tile.rows = std::min(tile.rows, m.rowsPerTile);
    return tile;
  }

  void unpack(Value rows) {
    for (auto [weight, to] : llvm::enumerate(unpacked)) {
      if (!to)
        continue;
      if (transposed) {
        turn(weight, e.constant(0), m.inputs);
        continue;
      }
      if (rounds) {
        e.loop(panelBegin, panelEnd, 1, [&](Value panel) {
          Value from = m.panel(weight, panel), place = unpackedPanel(weight, panel);
          use == LeftUse::RoundedPairs ? emitBf16Panel(e, m.inputs, from, place) : roundPanel(from, place);
        });
        continue;
      }
      bool amx = takesTiles(m.layouts[weight]);
      // Fewer rows than a register tile has read the packed weight.
      Value least = e.constant(amx ? 1 : registerTile(m.layouts[weight]).rows);
      e.loop(panelBegin, e.select(e.less(rows, least), panelBegin, panelEnd), 1, [&](Value panel) {
        Value from = m.panel(weight, panel), place = unpackedPanel(weight, panel);
        if (m.layouts[weight].isFp8())
          return emitWidePanel(e, m.layouts[weight], elementOf(weight), from, place);
        auto emit = amx ? emitAmxPanel : emitUnpackPanel;
        emit(e, m.layouts[weight], from, place);
      });
    }
  }

  Type elementOf(int64_t weight) const {
    return cast<kernel::WeightType>(m.op.getWeights()[weight].getType()).getElement();
  }

  void roundPanel(Value from, Value to) {
    int64_t lanes = e.target.lanes();
    e.loop(e.constant(0), e.constant(m.inputs * kernel::panelRows), lanes, [&](Value i) {
      e.store(roundToBf16(e, e.load(e.vec(lanes), e.at(from, i, e.f32()))), e.at(to, i, e.f32()));
    });
  }

  /// Makes rows begin to begin + count - 1 of the tile's panels of the transpose; begin is a multiple of 16.
  void turn(int64_t weight, Value begin, int64_t count) {
    constexpr int64_t unit = kernel::panelRows;
    Value first = e.div(begin, unit), blocks = e.constant((count + unit - 1) / unit);
    if (expertRow) { // an expert may begin inside a block
      first = e.div(expertRow, unit);
      blocks = e.sub(e.ceilDiv(e.add(expertRow, count), unit), first);
    }
    e.loop(panelBegin, panelEnd, 1, [&](Value panel) {
      Value to =
          e.atByte(unpacked[weight], e.mul(e.sub(panel, panelBegin), unpackedPanelBytes(m.layouts[weight])));
      if (!turnsToPairs())
        return emitTransposePanel(e, m.weights[weight], m.outputs, panel, first, blocks, to, rounds);
      emitTransposePanel(e, m.weights[weight], m.outputs, panel, first, blocks, turnedPanel,
                         /*rounds=*/false);
      emitBf16Panel(e, count, atExpert(turnedPanel), to);
    });
  }

  /// The same as emitWeight, a block of K after another; the accumulators in memory begin as zeros.
  void emitBlocks(int64_t weight, Value count) {
    e.loop(e.constant(0), count, 1, [&](Value row) {
      e.loop(e.constant(0), e.constant(accumulators.rowStride), e.target.lanes(), [&](Value column) {
        e.store(e.zeros(e.target.lanes()), accumulators.at(e, weight, row, column));
      });
    });
    auto block = [&](Value begin, int64_t depth) {
      turn(weight, begin, depth);
      if (rounds)
        roundLeft(count, begin, depth);
      kernel::WeightLayout layout(kernel::WeightFormat::F32, m.outputs, depth);
      if (takesTiles(layout))
        return emitAmxWeight(weight, count, {leftBlock, blockInputs * 2}, depth);
      emitWeight(weight, count, layout, begin);
    };
    int64_t whole = m.inputs / blockInputs * blockInputs;
    e.loop(e.constant(0), e.constant(whole), blockInputs, [&](Value begin) { block(begin, blockInputs); });
    if (whole < m.inputs)
      block(e.constant(whole), m.inputs - whole);
  }

  /// Inputs begin to begin + depth - 1 of the tile's rows, rounded: f32, or bf16 up to a whole tile.
  void roundLeft(Value count, Value begin, int64_t depth) {
    int64_t lanes = e.target.lanes();
    const bool toBf16 = turnsToPairs();
    Type element = toBf16 ? e.bf16() : e.f32(), given = m.op.getLeft().getType().getElement();
    e.loop(e.constant(0), count, 1, [&](Value row) {
      Value from = e.at(m.frame.rowOf(m.op.getLeft(), e.add(tileRow, row)), begin, given);
      Value to = e.at(leftBlock, e.mul(row, blockInputs), element);
      auto copy = [&](Value column, int64_t length) {
        Value numbers = e.loadWide(given, length, e.at(from, column, given));
        e.store(toBf16 ? e.narrow(numbers, element) : roundToBf16(e, numbers), e.at(to, column, element));
      };
      int64_t whole = depth / lanes * lanes, padded = llvm::alignTo(depth, 32);
      e.loop(e.constant(0), e.constant(whole), lanes, [&](Value column) { copy(column, lanes); });
      if (whole < depth)
        copy(e.constant(whole), depth - whole);
      if (toBf16 && depth < padded)
        e.store(e.constantI(e.vec(padded - depth, e.i16()), 0), e.at(to, depth, element));
    });
  }

  Value unpackedPanel(int64_t weight, Value panel) {
    Value address =
        e.atByte(unpacked[weight], e.mul(e.sub(panel, panelBegin), unpackedPanelBytes(m.layouts[weight])));
    return turnsToPairs() ? address : atExpert(address);
  }
  /// Where the expert's matrix begins in a turned panel.
  Value atExpert(Value panel) {
    if (!expertRow)
      return panel;
    return e.at(panel, e.mul(e.rem(expertRow, kernel::panelRows), kernel::panelRows), e.f32());
  }

  /// All rows of the row tile, from input `firstInput` on as far as `layout` goes, times all panels of the
  /// column tile.
  void emitWeight(int64_t weight, Value count, const kernel::WeightLayout &layout, Value firstInput) {
    RegisterTile tile = registerTile(layout);
    bool isUnpacked = unpacked[weight] != nullptr;
    e.ifThen(e.less(e.constant(tile.rows - 1), count), [&] {
      // Whole register tiles of panels, then one panel at a time; the last rows end with the last row.
      auto panels = [&](Value begin, Value end, int64_t width) {
        e.loop(begin, end, width, [&](Value panel) {
          Value tiles = blocked ? e.div(count, tile.rows) : e.ceilDiv(count, tile.rows);
          e.loop(e.constant(0), tiles, 1, [&](Value number) {
            Value row = e.min(e.mul(number, tile.rows), e.sub(count, tile.rows));
            emitTile(weight, panel, row, {tile.rows, width}, isUnpacked, layout, firstInput);
          });
          if (blocked) // what is added to must not be met twice
            e.loop(e.mul(tiles, tile.rows), count, 1, [&](Value row) {
              emitTile(weight, panel, row, {1, width}, isUnpacked, layout, firstInput);
            });
        });
      };
      Value whole = e.add(panelBegin, e.mul(e.div(e.sub(panelEnd, panelBegin), tile.panels), tile.panels));
      panels(panelBegin, whole, tile.panels);
      if (!alwaysWhole(tile.panels))
        panels(whole, panelEnd, 1);
    });
    // Few rows: one by one.
    e.ifThen(e.less(count, e.constant(tile.rows)), [&] {
      e.loop(panelBegin, panelEnd, 1, [&](Value panel) {
        e.loop(e.constant(0), count, 1, [&](Value row) {
          emitTile(weight, panel, row, {1, 1}, transposed || rounds, layout, firstInput);
        });
      });
    });
  }

  void emitAmxWeight(int64_t weight, Value count, LeftPlane halves, int64_t depth) {
    auto panels = [&](Value begin, Value end, int64_t width) {
      e.loop(begin, end, width, [&](Value panel) {
        SmallVector<Value> addresses;
        for (int64_t i = 0; i < width; ++i) {
          Value number = e.add(panel, i);
          addresses.push_back(unpacked[weight] ? unpackedPanel(weight, number) : m.panel(weight, number));
        }
        e.loop(e.constant(0), count, amxRows, [&](Value row) {
          Value to = accumulators.at(e, weight, row, e.mul(e.sub(panel, panelBegin), kernel::panelRows));
          emitAmxTile(e, llvm::alignTo(depth, 32), halves.fromRow(e, row), addresses, to,
                      accumulators.rowStride * 4, /*adds=*/blocked);
        });
      });
    };
    constexpr int64_t width = 2;
    Value whole = e.add(panelBegin, e.mul(e.div(e.sub(panelEnd, panelBegin), width), width));
    panels(panelBegin, whole, width);
    if (!alwaysWhole(width))
      panels(whole, panelEnd, 1);
  }

  /// Whether each column tile has a multiple of `panels` panels.
  bool alwaysWhole(int64_t panels) const {
    int64_t width = panels * kernel::panelRows;
    return panels == 1 || (!m.straddles && m.columnsPerTile % width == 0 && m.outputs % width == 0);
  }

  void emitTile(int64_t weight, Value panel, Value row, RegisterTile tile, bool fromUnpacked,
                const kernel::WeightLayout &layout, Value firstInput) {
    SmallVector<Value> addresses;
    for (int64_t i = 0; i < tile.panels; ++i)
      addresses.push_back(fromUnpacked ? unpackedPanel(weight, e.add(panel, i))
                                       : m.panel(weight, e.add(panel, i)));
    Left rows = left.of(layout).fromRow(e, row);
    if (leftBlock)
      (turnsToPairs() ? rows.halves : rows.floats) =
          LeftPlane{leftBlock, blockInputs * (turnsToPairs() ? 2 : 4)}.fromRow(e, row);
    else if (blocked)
      rows.floats.address = e.at(rows.floats.address, firstInput, e.f32());
    // A widened panel is one of f32.
    bool isWide = fromUnpacked && layout.isFp8();
    kernel::WeightLayout read(isWide ? kernel::WeightFormat::F32 : layout.format, layout.rows,
                              layout.columns);
    TileResult result = isBf16(layout, use)
                            ? emitBf16Tile(e, layout.columns, rows.halves, tile.rows, addresses)
                        : fromUnpacked && !transposed && !rounds && !isWide
                            ? emitUnpackedTile(e, layout, rows, tile.rows, addresses)
                            : emitPackedTile(e, read, rows, tile.rows, addresses, /*prefetch=*/0);
    Value to = accumulators.at(e, weight, row, e.mul(e.sub(panel, panelBegin), kernel::panelRows));
    for (int64_t i = 0; i < tile.panels; ++i)
      for (int64_t r = 0; r < tile.rows; ++r)
        for (int64_t half = 0; half < result.halves; ++half) {
          Value place =
              e.at(to, r * accumulators.rowStride + i * kernel::panelRows + half * e.target.lanes(), e.f32());
          Value sum = result.at(i, r, half);
          e.store(blocked ? e.addF(e.load(sum.getType(), place), sum) : sum, place);
        }
  }

  Matmul &m;
  Emitter &e;
  bool rounds; // f32 is multiplied as bf16
  LeftUse use;
  bool transposed, blocked;
  int64_t capacity; // rows of a row tile, and those that whole AMX tiles add
  LeftSide left;
  Accumulators accumulators;
  SmallVector<Value> unpacked; // of each weight that is taken apart, turned or rounded; null: read as it is
  Value leftBlock;             // of a block of K: the tile's rows, rounded
  Value turnedPanel;           // on its way to pairs of bf16
  Value tileRow;               // the row tile's first row
  Value panelBegin, panelEnd;
  Value expertRow; // of a transposed weight with experts: the first row of the expert's matrix
  LogicalResult result = success();
};

} // namespace

LogicalResult emitPrefillMatmul(Matmul &m) { return PrefillMatmul(m).run(); }

} // namespace sinter::cpu
