// SPDX-License-Identifier: Apache-2.0
// LLVM's intrinsics for AMX on addresses; LLVM writes the configuration of tiles.
#include "passes/lowering/cpu/matmul/MatmulAmx.h"

#include "passes/lowering/cpu/matmul/Bf16Product.h"
#include "passes/lowering/cpu/matmul/MatmulBlock.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace sinter::cpu {
namespace {

constexpr int64_t tileRows = 16, tileBytes = 64; // of every tile here

class Tiles {
public:
  explicit Tiles(Emitter &e) : e(e), type(LLVM::LLVMX86AMXType::get(e.b.getContext())) {
    rows = e.constantI(e.i16(), tileRows);
    bytes = e.constantI(e.i16(), tileBytes);
  }
  Value zero() { return e.intrinsic("llvm.x86.tilezero.internal", type, {rows, bytes}); }
  Value load(Value address, int64_t stride) {
    return e.intrinsic("llvm.x86.tileloadd64.internal", type, {rows, bytes, address, e.constant(stride)});
  }
  Value multiply(Value sum, Value left, Value right) {
    return e.intrinsic("llvm.x86.tdpbf16ps.internal", type, {rows, bytes, bytes, sum, left, right});
  }
  void store(Value tile, Value address, int64_t stride) {
    LLVM::CallIntrinsicOp::create(e.b, e.loc, e.b.getStringAttr("llvm.x86.tilestored64.internal"),
                                  ValueRange{rows, bytes, address, e.constant(stride), tile});
  }

private:
  Emitter &e;
  Type type;
  Value rows, bytes;
};

} // namespace

void emitAmxPanel(Emitter &e, const kernel::WeightLayout &layout, Value panel, Value to) {
  const kernel::BlockTraits &traits = layout.block;
  int64_t perSuper = traits.superBlock / kernel::weightBlock, lanes = e.target.lanes();
  assert(lanes == kernel::panelRows && "AMX comes with registers of 16 f32");
  Type words = e.vec(lanes, e.i32());
  int64_t zero = zeroOf(traits, e.target);
  e.loop(e.constant(0), e.constant(layout.blocks() / perSuper), 1, [&](Value super) {
    Value header = e.atByte(panel, e.mul(super, layout.superBytes()));
    e.loop(e.constant(0), e.constant(perSuper), 1, [&](Value i) {
      PackedBlock block(e, layout, header,
                        e.atByte(header, e.add(e.mul(i, layout.blockBytes()), layout.headerBytes())));
      Value index = e.add(e.mul(super, perSuper), i);
      Value out = e.atByte(to, e.mul(index, kernel::weightBlock * kernel::panelRows * 2));
      for (int64_t sub = 0; sub < traits.subBlocks(); ++sub) {
        Value scale = block.scale(sub, 0), minimum = traits.minima ? block.minimum(sub, 0) : Value();
        int64_t quads = 8 / traits.subBlocks();
        for (int64_t q = sub * quads; q < (sub + 1) * quads; ++q) {
          Value quad = vector::BitCastOp::create(e.b, e.loc, words, block.quad(q, 0));
          Value low;
          for (int64_t t = 0; t < 4; ++t) {
            Value integer = t ? arith::ShRUIOp::create(e.b, e.loc, quad, e.constantI(words, 8 * t)) : quad;
            integer = arith::AndIOp::create(e.b, e.loc, integer, e.constantI(words, 0xff));
            Value number = arith::SIToFPOp::create(e.b, e.loc, e.vec(lanes), integer);
            if (zero)
              number = e.subF(number, e.constantF(e.vec(lanes), zero));
            number = minimum ? e.fma(number, scale, minimum) : e.mulF(number, scale);
            if (t % 2)
              e.store(emitPairs(e, low, number), e.atByte(out, (2 * q + t / 2) * tileBytes));
            low = number;
          }
        }
      }
    });
  });
}

void emitAmxTile(Emitter &e, int64_t paddedColumns, const LeftPlane &left, ArrayRef<Value> panels, Value to,
                 int64_t rowStride, bool adds) {
  Tiles tiles(e);
  constexpr int64_t leftTiles = amxRows / tileRows;
  auto place = [&](int64_t i, size_t p) { return e.atByte(to, i * tileRows * rowStride + p * tileBytes); };
  SmallVector<Value> sums;
  for (int64_t i = 0; i < leftTiles; ++i)
    for (size_t p = 0; p < panels.size(); ++p)
      sums.push_back(adds ? tiles.load(place(i, p), rowStride) : tiles.zero());
  sums = e.loop(
      e.constant(0), e.constant(paddedColumns / bf16Columns), 1, sums, [&](Value step, ValueRange carried) {
        SmallVector<Value> next = llvm::to_vector(carried), rights;
        for (Value panel : panels)
          rights.push_back(tiles.load(e.atByte(panel, e.mul(step, tileRows * tileBytes)), tileBytes));
        for (int64_t i = 0; i < leftTiles; ++i) {
          Value address =
              e.atByte(e.atByte(left.address, e.mul(step, tileBytes)), i * tileRows * left.stride);
          Value tile = tiles.load(address, left.stride);
          for (size_t p = 0; p < panels.size(); ++p) {
            Value &sum = next[i * panels.size() + p];
            sum = tiles.multiply(sum, tile, rights[p]);
          }
        }
        return next;
      });
  for (int64_t i = 0; i < leftTiles; ++i)
    for (size_t p = 0; p < panels.size(); ++p)
      tiles.store(sums[i * panels.size() + p], place(i, p), rowStride);
}

} // namespace sinter::cpu
