// SPDX-License-Identifier: Apache-2.0
// Short names over the builders of arith, vector, scf, llvm and nvvm.
#include "passes/lowering/gpu/Emitter.h"

#include "passes/lowering/gpu/Fp8.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace sinter::gpu {

namespace {
// State spaces of PTX as LLVM numbers them.
constexpr unsigned globalSpace = 1, sharedSpace = 3;
constexpr int64_t allLanes = -1; // as a mask of 32 bits
} // namespace

Type Emitter::globalPtr() { return LLVM::LLVMPointerType::get(b.getContext(), globalSpace); }
Type Emitter::sharedPtr() { return LLVM::LLVMPointerType::get(b.getContext(), sharedSpace); }
bool Emitter::isShared(Value pointer) {
  return cast<LLVM::LLVMPointerType>(pointer.getType()).getAddressSpace() == sharedSpace;
}

Value Emitter::extend(Value value) {
  return value.getType().isInteger(64) ? value : b.createOrFold<arith::ExtSIOp>(loc, i64(), value);
}
Value Emitter::fromIndex(Value value) { return b.createOrFold<arith::IndexCastOp>(loc, i32(), value); }
Value Emitter::bitAnd(Value a, int64_t mask) {
  return b.createOrFold<arith::AndIOp>(loc, a, constantI(a.getType(), mask));
}
Value Emitter::bitOr(Value x, Value y) { return b.createOrFold<arith::OrIOp>(loc, x, y); }
Value Emitter::bitXor(Value x, Value y) { return b.createOrFold<arith::XOrIOp>(loc, x, y); }
Value Emitter::shiftLeft(Value a, int64_t bits) {
  return bits ? b.createOrFold<arith::ShLIOp>(loc, a, constantI(a.getType(), bits)) : a;
}
Value Emitter::shiftRight(Value a, Value bits) { return b.createOrFold<arith::ShRUIOp>(loc, a, bits); }
Value Emitter::both(Value x, Value y) {
  if (!x || !y)
    return x ? x : y;
  return b.createOrFold<arith::AndIOp>(loc, x, y);
}
Value Emitter::isFalse(Value a) { return arith::XOrIOp::create(b, loc, a, constantI(b.getI1Type(), 1)); }

LLVM::InlineAsmOp Emitter::assemble(StringRef text, StringRef constraints, TypeRange results,
                                    ValueRange operands, bool isPure) {
  return LLVM::InlineAsmOp::create(b, loc, results, operands, text, constraints, /*has_side_effects=*/!isPure,
                                   /*is_align_stack=*/false, LLVM::TailCallKind::None,
                                   LLVM::AsmDialectAttr::get(b.getContext(), LLVM::AsmDialect::AD_ATT),
                                   ArrayAttr());
}

Value Emitter::fresh(Value a) { return assemble("mov.b32 $0, $1;", "=r,r", i32(), a).getResult(0); }

Value Emitter::narrow(Value value, Type element) {
  if (element.isF32())
    return value;
  if (isFp8(element))
    return floatsToFp8(*this, element, value);
  Type type = element;
  if (auto vector = dyn_cast<VectorType>(value.getType()))
    type = vec(vector.getDimSize(0), element);
  return arith::TruncFOp::create(b, loc, type, value);
}

Value Emitter::exp2(Value scalar) {
  if (auto vector = dyn_cast<VectorType>(scalar.getType())) {
    SmallVector<Value> elements;
    for (int64_t i = 0; i < vector.getDimSize(0); ++i)
      elements.push_back(exp2(extract(scalar, i)));
    return pack(elements);
  }
  return assemble("ex2.approx.ftz.f32 $0, $1;", "=f,f", f32(), scalar, /*isPure=*/true).getResult(0);
}

static unsigned bytesOf(Type type) {
  Type element = getElementTypeOrSelf(type);
  unsigned bytes = isa<LLVM::LLVMPointerType>(element) ? 8 : (element.getIntOrFloatBitWidth() + 7) / 8;
  if (auto vector = dyn_cast<VectorType>(type))
    bytes *= vector.getDimSize(0);
  return bytes;
}
Value Emitter::loadAligned(Type type, Value pointer) {
  return LLVM::LoadOp::create(b, loc, type, pointer, bytesOf(type));
}
void Emitter::storeAligned(Value value, Value pointer) {
  LLVM::StoreOp::create(b, loc, value, pointer, bytesOf(value.getType()));
}
Value Emitter::loadWide(Type element, int64_t n, Value pointer) {
  if (isFp8(element))
    return fp8ToFloats(*this, element, loadAligned(vec(n, i8()), pointer));
  Value value = loadAligned(vec(n, element), pointer);
  return element.isF32() ? value : arith::ExtFOp::create(b, loc, vec(n), value);
}
Value Emitter::extract(Value vector, int64_t i) { return vector::ExtractOp::create(b, loc, vector, i); }
Value Emitter::pack(ArrayRef<Value> elements) {
  return vector::FromElementsOp::create(b, loc, vec(elements.size(), elements.front().getType()), elements);
}
Value Emitter::bitcast(Type type, Value value) {
  if (isa<VectorType>(type) && isa<VectorType>(value.getType()))
    return vector::BitCastOp::create(b, loc, cast<VectorType>(type), value);
  return LLVM::BitcastOp::create(b, loc, type, value);
}

Value Emitter::thread() { return NVVM::ThreadIdXOp::create(b, loc, i32()); }
Value Emitter::threadAnew() { return assemble("mov.u32 $0, %tid.x;", "=r", i32(), {}).getResult(0); }
Value Emitter::block() { return NVVM::BlockIdXOp::create(b, loc, i32()); }
Value Emitter::blocks() { return NVVM::GridDimXOp::create(b, loc, i32()); }
void Emitter::barrier() {
  if (!barrierScope.threads)
    return void(NVVM::BarrierOp::create(b, loc));
  NVVM::BarrierOp::create(b, loc, TypeRange{}, constant(barrierScope.id), constant(barrierScope.threads), {},
                          Value());
}
void Emitter::warpBarrier() { NVVM::SyncWarpOp::create(b, loc, constant(allLanes)); }
Value Emitter::shuffleXor(Value value, int64_t mask) {
  return NVVM::ShflOp::create(b, loc, value.getType(), constant(allLanes), value, constant(mask),
                              constant(31), NVVM::ShflKind::bfly, UnitAttr());
}
Value Emitter::dot4(Value a, bool isSigned, Value bytes, Value d) {
  return intrinsic(isSigned ? "llvm.nvvm.idp4a.s.s" : "llvm.nvvm.idp4a.u.s", i32(), {a, bytes, d});
}

void Emitter::keepRolled() { assemble(".pragma \"nounroll\";", "", {}, {}); }

void Emitter::loopBy(Value begin, Value end, Value step, Body body) {
  auto loop = scf::ForOp::create(b, loc, begin, end, step);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

} // namespace sinter::gpu
