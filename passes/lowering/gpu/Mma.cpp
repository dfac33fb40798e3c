// SPDX-License-Identifier: Apache-2.0
// Intrinsics of LLVM for mma, ldmatrix and cp.async.
#include "passes/lowering/gpu/Mma.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;

namespace sinter::gpu {

static Four call(Emitter &e, StringRef name, Type element, ValueRange operands) {
  auto type = LLVM::LLVMStructType::getLiteral(e.b.getContext(), SmallVector<Type>(4, element));
  Value all = e.intrinsic(name, type, operands);
  Four result;
  for (int64_t i = 0; i < 4; ++i)
    result[i] = LLVM::ExtractValueOp::create(e.b, e.loc, all, i);
  return result;
}

Four loadMatrices(Emitter &e, Value address) {
  return call(e, "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16.p3", e.i32(), address);
}

Four loadMatricesTransposed(Emitter &e, Value address) {
  return call(e, "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.trans.b16.p3", e.i32(), address);
}

static std::string ofSigns(StringRef shape, Signs signs) {
  StringRef types = signs.left ? signs.right ? "s8" : "s8.u8" : signs.right ? "u8.s8" : "u8";
  return ("llvm.nvvm.mma." + shape + ".row.col." + types).str();
}

Four mmaInt8(Emitter &e, Signs signs, Four a, Two b, Four c) {
  return call(e, ofSigns("m16n8k32", signs), e.i32(),
              {a[0], a[1], a[2], a[3], b[0], b[1], c[0], c[1], c[2], c[3]});
}

Four mmaInt8Short(Emitter &e, Signs signs, Two a, Value b, Four c) {
  return call(e, ofSigns("m16n8k16", signs), e.i32(), {a[0], a[1], b, c[0], c[1], c[2], c[3]});
}

Four mmaHalf(Emitter &e, Type element, Four a, Two b, Four c) {
  if (element.isBF16())
    return call(e, "llvm.nvvm.mma.m16n8k16.row.col.bf16", e.f32(),
                {a[0], a[1], a[2], a[3], b[0], b[1], c[0], c[1], c[2], c[3]});
  auto pair = [&](Value word) { return e.bitcast(e.vec(2, e.f16()), word); };
  return call(
      e, "llvm.nvvm.mma.m16n8k16.row.col.f32.f32", e.f32(),
      {pair(a[0]), pair(a[1]), pair(a[2]), pair(a[3]), pair(b[0]), pair(b[1]), c[0], c[1], c[2], c[3]});
}

Four mmaTf32(Emitter &e, Four a, Two b, Four c) {
  auto bits = [&](Value number) { return e.bitcast(e.i32(), number); };
  return call(
      e, "llvm.nvvm.mma.m16n8k8.row.col.tf32", e.f32(),
      {bits(a[0]), bits(a[1]), bits(a[2]), bits(a[3]), bits(b[0]), bits(b[1]), c[0], c[1], c[2], c[3]});
}

Two cutToTf32(Emitter &e, Value number) {
  auto cut = [&](Value x) { return e.bitcast(e.f32(), e.bitAnd(e.bitcast(e.i32(), x), -(1 << 13))); };
  Value high = cut(number);
  return {high, cut(e.subF(number, high))};
}

void addProduct(Emitter &e, Type element, const Four &left, const Two &right, SmallVectorImpl<Value> &sums,
                size_t first) {
  Four sum = {sums[first], sums[first + 1], sums[first + 2], sums[first + 3]};
  llvm::copy(mmaHalf(e, element, left, right, sum), sums.begin() + first);
}

Value placeInLine(Emitter &e, Value line, Value piece) {
  return e.add(e.mul(line, 128), e.mul(e.bitXor(piece, e.rem(line, 8)), 16));
}
Value placeInShortLine(Emitter &e, Value line, Value half) {
  return e.add(e.mul(line, 32), e.mul(e.bitXor(half, e.rem(e.div(line, 4), 2)), 16));
}

void copyAsync(Emitter &e, Value to, Value from, int64_t bytes, Value size) {
  auto cache = bytes == 16 ? NVVM::LoadCacheModifierKind::CG : NVVM::LoadCacheModifierKind::CA;
  NVVM::CpAsyncOp::create(e.b, e.loc, to, from, static_cast<int32_t>(bytes), cache, size);
}
void asyncCommit(Emitter &e) { NVVM::CpAsyncCommitGroupOp::create(e.b, e.loc); }
void asyncWait(Emitter &e, int64_t groups) {
  NVVM::CpAsyncWaitGroupOp::create(e.b, e.loc, static_cast<int32_t>(groups));
}

} // namespace sinter::gpu
