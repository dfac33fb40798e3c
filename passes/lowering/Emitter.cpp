// SPDX-License-Identifier: Apache-2.0
// Short names over the builders of arith, math, vector, scf and llvm.
#include "passes/lowering/Emitter.h"

#include "passes/lowering/Fp8.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace sinter {

Type Emitter::ptr() { return LLVM::LLVMPointerType::get(b.getContext()); }

//--- integers -----------------------------------------------------------------------------------------------

static constexpr auto noWrap = arith::IntegerOverflowFlags::nsw;

Value Emitter::add(Value x, Value y) { return b.createOrFold<arith::AddIOp>(loc, x, y, noWrap); }
Value Emitter::sub(Value x, Value y) { return b.createOrFold<arith::SubIOp>(loc, x, y, noWrap); }
Value Emitter::mul(Value x, Value y) { return b.createOrFold<arith::MulIOp>(loc, x, y, noWrap); }
Value Emitter::wrappingAdd(Value x, Value y) { return b.createOrFold<arith::AddIOp>(loc, x, y); }
Value Emitter::wrappingSub(Value x, Value y) { return b.createOrFold<arith::SubIOp>(loc, x, y); }
Value Emitter::wrappingMul(Value x, Value y) { return b.createOrFold<arith::MulIOp>(loc, x, y); }
Value Emitter::div(Value x, Value y) { return b.createOrFold<arith::DivUIOp>(loc, x, y); }
Value Emitter::rem(Value x, Value y) { return b.createOrFold<arith::RemUIOp>(loc, x, y); }
Value Emitter::min(Value x, Value y) { return b.createOrFold<arith::MinSIOp>(loc, x, y); }
Value Emitter::max(Value x, Value y) { return b.createOrFold<arith::MaxSIOp>(loc, x, y); }
Value Emitter::less(Value x, Value y) {
  return b.createOrFold<arith::CmpIOp>(loc, arith::CmpIPredicate::slt, x, y);
}
Value Emitter::equal(Value x, Value y) {
  return b.createOrFold<arith::CmpIOp>(loc, arith::CmpIPredicate::eq, x, y);
}
Value Emitter::select(Value condition, Value x, Value y) {
  return b.createOrFold<arith::SelectOp>(loc, condition, x, y);
}
Value Emitter::alignDown(Value value, int64_t unit) {
  return b.createOrFold<arith::AndIOp>(loc, value, constantI(value.getType(), -unit));
}
Value Emitter::toI32(Value value) { return arith::TruncIOp::create(b, loc, i32(), value); }
Value Emitter::toFloat(Value value) { return arith::SIToFPOp::create(b, loc, f32(), value); }
Value Emitter::toIndex(Value value) {
  return b.createOrFold<arith::IndexCastOp>(loc, b.getIndexType(), value);
}

//--- floating point -----------------------------------------------------------------------------------------

Value Emitter::constantF(Type type, double value) {
  Attribute attribute = b.getFloatAttr(getElementTypeOrSelf(type), value);
  if (auto vector = dyn_cast<VectorType>(type))
    attribute = DenseElementsAttr::get(vector, attribute);
  return arith::ConstantOp::create(b, loc, cast<TypedAttr>(attribute));
}
Value Emitter::constantI(Type type, int64_t value) {
  Attribute attribute = b.getIntegerAttr(getElementTypeOrSelf(type), value);
  if (auto vector = dyn_cast<VectorType>(type))
    attribute = DenseElementsAttr::get(vector, attribute);
  return arith::ConstantOp::create(b, loc, cast<TypedAttr>(attribute));
}
Value Emitter::splat(Value scalar, int64_t n) {
  return vector::BroadcastOp::create(b, loc, vec(n, scalar.getType()), scalar);
}
Value Emitter::iota(int64_t n, Type element) {
  SmallVector<Attribute> numbers;
  for (int64_t i = 0; i < n; ++i)
    numbers.push_back(isa<FloatType>(element) ? Attribute(b.getFloatAttr(element, static_cast<double>(i)))
                                              : Attribute(b.getIntegerAttr(element, i)));
  return arith::ConstantOp::create(b, loc, DenseElementsAttr::get(vec(n, element), numbers));
}
Value Emitter::addF(Value x, Value y) { return arith::AddFOp::create(b, loc, x, y); }
Value Emitter::subF(Value x, Value y) { return arith::SubFOp::create(b, loc, x, y); }
Value Emitter::mulF(Value x, Value y) { return arith::MulFOp::create(b, loc, x, y); }
Value Emitter::divF(Value x, Value y) { return arith::DivFOp::create(b, loc, x, y); }
Value Emitter::fma(Value x, Value y, Value z) { return math::FmaOp::create(b, loc, x, y, z); }
Value Emitter::maxF(Value x, Value y) {
  Value greater = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, x, y);
  return arith::SelectOp::create(b, loc, greater, x, y);
}
Value Emitter::sum(Value vector) {
  return vector::ReductionOp::create(b, loc, vector::CombiningKind::ADD, vector,
                                     arith::FastMathFlags::reassoc);
}
Value Emitter::maxOf(Value vector) {
  return vector::ReductionOp::create(b, loc, vector::CombiningKind::MAXNUMF, vector,
                                     arith::FastMathFlags::nnan);
}
Value Emitter::slice(Value vector, int64_t first, int64_t n) {
  if (first == 0 && n == cast<VectorType>(vector.getType()).getDimSize(0))
    return vector;
  return vector::ExtractStridedSliceOp::create(b, loc, vector, ArrayRef{first}, ArrayRef{n},
                                               ArrayRef<int64_t>{1});
}

//--- memory -------------------------------------------------------------------------------------------------

Value Emitter::at(Value pointer, Value index, Type element) {
  if (isFp8(element))
    element = i8();
  return LLVM::GEPOp::create(b, loc, pointer.getType(), element, pointer, ArrayRef<LLVM::GEPArg>{index},
                             LLVM::GEPNoWrapFlags::inbounds);
}
Value Emitter::at(Value pointer, int64_t index, Type element) {
  if (index == 0)
    return pointer;
  if (index != static_cast<int32_t>(index))
    return at(pointer, constantI(i64(), index), element);
  if (isFp8(element))
    element = i8();
  return LLVM::GEPOp::create(b, loc, pointer.getType(), element, pointer,
                             ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(index)},
                             LLVM::GEPNoWrapFlags::inbounds);
}
static unsigned alignmentOf(Type type) {
  Type element = getElementTypeOrSelf(type);
  return isa<LLVM::LLVMPointerType>(element) ? 8 : (element.getIntOrFloatBitWidth() + 7) / 8;
}
Value Emitter::load(Type type, Value pointer) {
  return LLVM::LoadOp::create(b, loc, type, pointer, alignmentOf(type));
}
void Emitter::store(Value value, Value pointer) {
  LLVM::StoreOp::create(b, loc, value, pointer, alignmentOf(value.getType()));
}
Value Emitter::loadWide(Type element, int64_t n, Value pointer) {
  if (isFp8(element))
    return widenFp8(*this, element, load(vec(n, i8()), pointer));
  Value value = load(vec(n, element), pointer);
  return element.isF32() ? value : arith::ExtFOp::create(b, loc, vec(n), value);
}
Value Emitter::loadWide(Type element, Value pointer) {
  if (isFp8(element))
    return widenFp8(*this, element, load(i8(), pointer));
  Value value = load(element, pointer);
  return element.isF32() ? value : arith::ExtFOp::create(b, loc, f32(), value);
}

//--- control flow -------------------------------------------------------------------------------------------

void Emitter::loop(Value begin, Value end, int64_t step, Body body) {
  auto loop = scf::ForOp::create(b, loc, begin, end, constantI(begin.getType(), step));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

SmallVector<Value> Emitter::loop(Value begin, Value end, int64_t step, ValueRange carried, CarriedBody body) {
  auto loop = scf::ForOp::create(b, loc, begin, end, constantI(begin.getType(), step), carried);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  SmallVector<Value> next = body(loop.getInductionVar(), loop.getRegionIterArgs());
  assert(next.size() == carried.size() && "a loop gives back as many values as it carries");
  if (!next.empty()) // without values the builder has ended the block already
    scf::YieldOp::create(b, loc, next);
  return SmallVector<Value>(loop.getResults());
}

void Emitter::ifThen(Value condition, llvm::function_ref<void()> then) {
  auto branch = scf::IfOp::create(b, loc, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  then();
}

Value Emitter::intrinsic(StringRef name, Type result, ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(b, loc, result, b.getStringAttr(name), operands).getResults();
}

} // namespace sinter
