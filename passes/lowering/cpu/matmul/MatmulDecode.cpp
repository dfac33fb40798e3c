// SPDX-License-Identifier: Apache-2.0
// The decode form of kernel.matmul: few rows, every weight read once.
//
// The columns of a call are done in chunks: first all accumulators of a chunk, to scratch, then its
// epilogues. One to three rows: each row by itself, `streams` panels at once that lie far apart, so that each
// is a sequential stream through the chunk. Four rows and more: tiles of 4 rows on one panel after another.
#include "passes/lowering/cpu/matmul/MatmulTile.h"

#include "passes/lowering/cpu/matmul/MatmulBlock.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace sinter::cpu {
namespace {

constexpr int64_t maxRows = 16;      // at once; more rows read the weights again
constexpr int64_t columns = 512;     // of a chunk with several rows
constexpr int64_t firstBytes = 2048; // of each stream, asked for before the left side is made ready

class DecodeMatmul {
public:
  DecodeMatmul(Matmul &m) : m(m), e(m.e), left(m, maxRows) {
    kernel::ScheduleAttr schedule = m.schedule();
    bool wide = e.target.vnni(), isFloat = m.layouts[0].isFloat();
    streams = m.scheduled(schedule ? schedule.getStreams() : 0, 4);
    // Processors without AVX-512 fetch ahead well themselves.
    prefetch = m.scheduled(schedule ? schedule.getPrefetch() : 0, wide ? 2048 : 0);
    tileRows = m.scheduled(schedule ? schedule.getTileRows() : 0, wide || isFloat ? 4 : 2);
    int64_t stride = m.accumulatorColumns(columns);
    // A single row has the room of all rows.
    singleColumns = columns * maxRows;
    accumulators = {m.frame.allocate(m.weights.size() * maxRows * stride * 4), stride, maxRows * stride};
  }

  LogicalResult run() {
    LogicalResult result = success();
    m.forEachExpert([&](Value tileBegin, Value tileEnd, Value rowBegin, Value rowEnd) {
      Value begin = e.mul(tileBegin, m.columnsPerTile);
      Value end = e.min(e.mul(tileEnd, m.columnsPerTile), e.constant(m.outputs));
      fetchFirst(begin, end);
      e.loop(rowBegin, rowEnd, maxRows, [&](Value first) {
        Value count = e.min(e.sub(rowEnd, first), e.constant(maxRows));
        result = left.prepare(first, count);
        if (failed(result))
          return;
        Value width = e.select(e.equal(count, e.constant(1)), e.constant(singleColumns), e.constant(columns));
        Value chunks = e.div(e.sub(e.add(e.sub(e.max(end, begin), begin), width), 1), width);
        e.loop(e.constant(0), chunks, 1, [&](Value chunk) {
          Value chunkBegin = e.add(begin, e.mul(chunk, width));
          Value chunkEnd = e.min(e.add(chunkBegin, width), end);
          result = emitChunk(chunkBegin, chunkEnd, first, count);
        });
      });
    });
    return result;
  }

private:
  /// Asks for the beginning of each stream, which then comes from memory while the left side is made ready.
  void fetchFirst(Value begin, Value end) {
    panelBegin = m.firstPanel(begin);
    end = e.min(end, e.add(begin, singleColumns));
    SmallVector<Value> addresses;
    forEachFormat([&](ArrayRef<int64_t> together) {
      int64_t parts = partsOf(together);
      Value length = e.div(e.sub(m.panelEnd(end), panelBegin), parts);
      for (int64_t weight : together)
        for (int64_t part = 0; part < parts; ++part)
          addresses.push_back(m.panel(weight, e.add(panelBegin, e.mul(length, part))));
    });
    e.loop(e.constant(0), e.constant(firstBytes), 64, [&](Value line) {
      for (Value address : addresses)
        e.prefetch(e.atByte(address, line));
    });
  }

  LogicalResult emitChunk(Value begin, Value end, Value first, Value count) {
    panelBegin = m.firstPanel(begin);
    Value panelEnd = m.panelEnd(end);
    Value isFew = e.less(count, e.constant(tileRows));
    e.ifThen(isFew, [&] { e.loop(e.constant(0), count, 1, [&](Value row) { emitStreams(panelEnd, row); }); });
    e.ifThen(e.less(e.constant(tileRows - 1), count), [&] {
      e.loop(panelBegin, panelEnd, 1, [&](Value panel) {
        e.loop(e.constant(0), e.ceilDiv(count, tileRows), 1, [&](Value tile) {
          // The last tile ends with the last row: rows done twice get the same numbers.
          Value row = e.min(e.mul(tile, tileRows), e.sub(count, tileRows));
          for (int64_t weight = 0; weight < weights(); ++weight)
            emitTile({weight}, {panel}, row, tileRows);
        });
      });
    });
    return emitEpilogues(m, accumulators, panelBegin, begin, end, first, count);
  }

  /// Calls `body` with the weights of each format: they share a loop.
  void forEachFormat(llvm::function_ref<void(ArrayRef<int64_t>)> body) {
    for (int64_t weight = 0; weight < weights(); ++weight) {
      SmallVector<int64_t> together;
      for (int64_t other = 0; other < weights(); ++other)
        if (m.layouts[other].format == m.layouts[weight].format)
          together.push_back(other);
      if (together.front() == weight)
        body(together);
    }
  }
  /// Streams of each of some weights that share a loop.
  int64_t partsOf(ArrayRef<int64_t> together) const {
    return std::max<int64_t>(1, streams / together.size());
  }

  void emitStreams(Value panelEnd, Value row) {
    forEachFormat([&](ArrayRef<int64_t> together) { emitFormatStreams(together, panelEnd, row); });
  }

  void emitFormatStreams(ArrayRef<int64_t> together, Value panelEnd, Value row) {
    int64_t parts = partsOf(together);
    Value length = e.div(e.sub(panelEnd, panelBegin), parts);
    e.loop(e.constant(0), length, 1, [&](Value i) {
      SmallVector<int64_t> of;
      SmallVector<Value> panels;
      for (int64_t weight : together)
        for (int64_t part = 0; part < parts; ++part) {
          of.push_back(weight);
          panels.push_back(e.add(e.add(panelBegin, e.mul(length, part)), i));
        }
      emitTile(of, panels, row, 1);
    });
    if (parts > 1)
      e.loop(e.add(panelBegin, e.mul(length, parts)), panelEnd, 1, [&](Value panel) {
        SmallVector<Value> panels(together.size(), panel);
        emitTile(together, panels, row, 1);
      });
  }

  /// Rows `row` to row + rows - 1 times panels of weights of one format, to the accumulators.
  void emitTile(ArrayRef<int64_t> of, ArrayRef<Value> panels, Value row, int64_t rows) {
    const kernel::WeightLayout &layout = m.layouts[of.front()];
    SmallVector<Value> addresses;
    for (auto [weight, panel] : llvm::zip(of, panels))
      addresses.push_back(m.panel(weight, panel));
    TileResult result = emitPackedTile(e, layout, left.of(layout).fromRow(e, row), rows, addresses, prefetch);
    for (auto [i, panel] : llvm::enumerate(panels)) {
      Value column = e.mul(e.sub(panel, panelBegin), kernel::panelRows);
      Value address = accumulators.at(e, of[i], row, column);
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t half = 0; half < result.halves; ++half)
          e.store(result.at(i, r, half),
                  e.at(address, r * accumulators.rowStride + half * e.target.lanes(), e.f32()));
    }
  }

  int64_t weights() const { return m.weights.size(); }

  Matmul &m;
  Emitter &e;
  LeftSide left;
  int64_t streams, prefetch, tileRows, singleColumns;
  Accumulators accumulators;
  Value panelBegin;
};

} // namespace

LogicalResult emitDecodeMatmul(Matmul &m) { return DecodeMatmul(m).run(); }

} // namespace sinter::cpu
