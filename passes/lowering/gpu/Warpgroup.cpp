// SPDX-License-Identifier: Apache-2.0
// As inline assembly, since what LLVM must not move across an asynchronous operation is said with its
// operands: accumulators pass through every wait and fence.
#include "passes/lowering/gpu/Warpgroup.h"

#include "passes/lowering/gpu/Fp8.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;

namespace sinter::gpu {
namespace {

/// Assembly without results that LLVM moves no access of memory across.
void assemble(Emitter &e, const std::string &text, const std::string &constraints, ValueRange operands) {
  e.assemble(text, constraints + (constraints.empty() ? "" : ",") + "~{memory}", TypeRange{}, operands);
}

/// The address in shared memory, as instructions take it; it may be one already.
Value sharedAddress(Emitter &e, Value pointer) {
  return pointer.getType() == e.i32() ? pointer : LLVM::PtrToIntOp::create(e.b, e.loc, e.i32(), pointer);
}

/// Assembly whose results are `changed` after it, in the same registers; `others` are operands behind them.
Registers change(Emitter &e, const std::string &text, ValueRange changed, ValueRange others,
                 const std::string &otherConstraints) {
  size_t count = changed.size();
  std::string outputs, ties;
  for (size_t i = 0; i < count; ++i) {
    outputs += (i ? "," : "") + std::string(changed[i].getType().isF32() ? "=f" : "=r");
    ties += "," + std::to_string(i);
  }
  SmallVector<Value> operands(others);
  operands.append(changed.begin(), changed.end());
  Type type = count == 1
                  ? changed[0].getType()
                  : LLVM::LLVMStructType::getLiteral(e.b.getContext(), SmallVector<Type>(changed.getTypes()));
  std::string constraints =
      outputs + (otherConstraints.empty() ? "" : ",") + otherConstraints + ties + ",~{memory}";
  Value all = e.assemble(text, constraints, TypeRange{type}, operands).getResult(0);
  if (count == 1)
    return {all};
  Registers result;
  for (size_t i = 0; i < count; ++i)
    result.push_back(LLVM::ExtractValueOp::create(e.b, e.loc, all, static_cast<int64_t>(i)));
  return result;
}

/// "{$first, $first + 1, ...}"
std::string list(size_t first, size_t count) {
  std::string text = "{";
  for (size_t i = 0; i < count; ++i)
    text += (i ? ", $" : "$") + std::to_string(first + i);
  return text + "}";
}

} // namespace

void initBarrier(Emitter &e, Value barrier, int64_t arrivals) {
  assemble(e, "mbarrier.init.shared::cta.b64 [$0], $1;", "r,r",
           {sharedAddress(e, barrier), e.constant(arrivals)});
}
void fenceBarriers(Emitter &e) { NVVM::FenceMbarrierInitOp::create(e.b, e.loc); }
void arrive(Emitter &e, Value barrier) {
  assemble(e, "mbarrier.arrive.shared::cta.b64 _, [$0];", "r", sharedAddress(e, barrier));
}
void expectBytes(Emitter &e, Value barrier, Value bytes) {
  assemble(e, "mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [$0], $1;", "r,r",
           {sharedAddress(e, barrier), bytes});
}
void waitBarrier(Emitter &e, Value barrier, Value parity) {
  assemble(e,
           "{ .reg .pred done; again: mbarrier.try_wait.parity.shared::cta.b64 done, [$0], $1; @!done bra "
           "again; }",
           "r,r", {sharedAddress(e, barrier), parity});
}

void meetAt(Emitter &e, Value id, int64_t threads) {
  assemble(e, llvm::formatv("bar.sync $0, {0};", threads), "r", id);
}
void passBy(Emitter &e, Value id, int64_t threads) {
  assemble(e, llvm::formatv("bar.arrive $0, {0};", threads), "r", id);
}

Value clusterRank(Emitter &e) { return NVVM::ClusterId::create(e.b, e.loc, e.i32()); }
void waitCluster(Emitter &e) {
  assemble(e, "barrier.cluster.arrive.release; barrier.cluster.wait.acquire;", "", ValueRange{});
}
void arriveAt(Emitter &e, Value barrier, Value rank) {
  assemble(e,
           "{ .reg .b32 there; mapa.shared::cluster.u32 there, $0, $1; "
           "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [there]; }",
           "r,r", {sharedAddress(e, barrier), rank});
}
void arriveAtWhere(Emitter &e, Value condition, Value barrier, Value rank) {
  assemble(e,
           "{ .reg .b32 there; mapa.shared::cluster.u32 there, $0, $1; "
           "@$2 mbarrier.arrive.release.cluster.shared::cluster.b64 _, [there]; }",
           "r,r,b", {sharedAddress(e, barrier), rank, condition});
}
Value placeIn(Emitter &e, Value place, Value rank) {
  auto space = static_cast<unsigned>(NVVM::NVVMMemorySpace::SharedCluster);
  Type there = LLVM::LLVMPointerType::get(e.b.getContext(), space);
  return NVVM::MapaOp::create(e.b, e.loc, there, place, rank);
}
void waitClusterBarrier(Emitter &e, Value barrier, Value parity) {
  assemble(
      e,
      "{ .reg .pred done; again: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, [$0], $1; "
      "@!done bra again; }",
      "r,r", {sharedAddress(e, barrier), parity});
}
void arriveExpecting(Emitter &e, Value barrier, Value bytes) {
  assemble(e, "mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], $1;", "r,r",
           {sharedAddress(e, barrier), bytes});
}

void copyBox(Emitter &e, Value to, Value map, ArrayRef<Value> coordinates, Value barrier, Value mask) {
  std::string copy = llvm::formatv("cp.async.bulk.tensor.{0}d.shared::cluster.global.tile"
                                   ".mbarrier::complete_tx::bytes",
                                   coordinates.size());
  std::string from = list(mask ? 4 : 3, coordinates.size());
  SmallVector<Value> operands = {sharedAddress(e, to), map, sharedAddress(e, barrier)};
  if (mask)
    operands.push_back(mask);
  operands.append(coordinates.begin(), coordinates.end());
  std::string constraints = "r,l";
  for (size_t i = 2; i < operands.size(); ++i)
    constraints += ",r";
  std::string text = mask ? "{ .reg .b16 mask; cvt.u16.u32 mask, $3; " + copy +
                                ".multicast::cluster [$0], [$1, " + from + "], [$2], mask; }"
                          : copy + " [$0], [$1, " + from + "], [$2];";
  assemble(e, text, constraints, operands);
}
void bulkCopy(Emitter &e, Value to, Value from, Value bytes, Value barrier) {
  assemble(e, "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [$0], [$1], $2, [$3];",
           "r,l,r,r", {sharedAddress(e, to), from, bytes, sharedAddress(e, barrier)});
}
void storeBox(Emitter &e, Value from, Value map, ArrayRef<Value> coordinates) {
  assert(coordinates.size() == 2);
  assemble(e, "cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [$0, {$1, $2}], [$3];", "l,r,r,r",
           {map, coordinates[0], coordinates[1], sharedAddress(e, from)});
}
void commitStores(Emitter &e) { assemble(e, "cp.async.bulk.commit_group;", "", ValueRange{}); }
void waitStores(Emitter &e, bool areRead) {
  assemble(e, areRead ? "cp.async.bulk.wait_group.read 0;" : "cp.async.bulk.wait_group 0;", "", ValueRange{});
}
void fenceAsyncShared(Emitter &e) { assemble(e, "fence.proxy.async.shared::cta;", "", ValueRange{}); }

Value describeRows(Emitter &e, Value address) {
  // Start and stride (of 8 rows) in units of 16 bytes; the leading offset has no meaning here; swizzle 1.
  Value start = e.bitAnd(e.shiftRight(sharedAddress(e, address), 4), 0x3fff);
  Value low = e.extend(start);
  return e.bitOr(low, e.wide(int64_t(1024 / 16) << 32 | int64_t(1) << 62 | int64_t(1) << 16));
}
Value describeColumns(Emitter &e, Value address, int64_t further) {
  // Here both offsets have a meaning: of the next 64 columns, and of the next 8 lines.
  Value start = e.extend(e.bitAnd(e.shiftRight(sharedAddress(e, address), 4), 0x3fff));
  return e.bitOr(start, e.wide(int64_t(1024 / 16) << 32 | int64_t(1) << 62 | (further / 16) << 16));
}
Value describePanels(Emitter &e, Value address, int64_t further) {
  // Offsets of the next 16 columns, and of the next 8 lines; swizzle 3.
  Value start = e.extend(e.bitAnd(e.shiftRight(sharedAddress(e, address), 4), 0x3fff));
  return e.bitOr(start, e.wide(int64_t(256 / 16) << 32 | int64_t(3) << 62 | (further / 16) << 16));
}
Value describeTiles(Emitter &e, Value address, int64_t further) {
  // Offsets of the next 16 bytes along k, and of the next 8 rows; swizzle 0.
  Value start = e.extend(e.bitAnd(e.shiftRight(sharedAddress(e, address), 4), 0x3fff));
  return e.bitOr(start, e.wide(int64_t(128 / 16) << 32 | (further / 16) << 16));
}
Value describeFurther(Emitter &e, Value descriptor, int64_t offset) { return e.add(descriptor, offset / 16); }

Registers fenceRegisters(Emitter &e, ValueRange registers) {
  return change(e, "wgmma.fence.sync.aligned;", registers, {}, "");
}

static const char *nameOf(Type element) {
  if (isFp8(element))
    return isa<Float8E5M2Type>(element) ? "e5m2" : "e4m3";
  return element.isBF16() ? "bf16" : "f16";
}

Registers multiply(Emitter &e, Type element, ValueRange left, Value right, ValueRange sums, bool isTransposed,
                   Value adds) {
  size_t count = sums.size();
  std::string product = llvm::formatv(
      "wgmma.mma_async.sync.aligned.m64n{0}k16.f32.{1}.{1} {2}, {3}, ${4}, {5}, 1, 1, {6};", count * 2,
      nameOf(element), list(0, count), list(count, 4), count + 4, adds ? "adds" : "1", isTransposed ? 1 : 0);
  SmallVector<Value> others(left);
  others.push_back(right);
  if (!adds)
    return change(e, product, sums, others, "r,r,r,r,l");
  others.push_back(adds);
  std::string text =
      llvm::formatv("{{ .reg .pred adds; setp.ne.b32 adds, ${0}, 0; {1} }", count + 5, product);
  return change(e, text, sums, others, "r,r,r,r,l,r");
}

Registers multiplyShared(Emitter &e, Type element, Value left, Value right, Value adds, ValueRange sums,
                         bool isLeftTransposed, bool isRightTransposed) {
  size_t count = sums.size();
  // Operands of 8 bits are never transposed.
  std::string transposed =
      isFp8(element) ? "" : llvm::formatv(", {0:d}, {1:d}", isLeftTransposed, isRightTransposed).str();
  std::string product =
      llvm::formatv("wgmma.mma_async.sync.aligned.m64n{0}k{1}.f32.{2}.{2} {3}, ${4}, ${5}, {6}, 1, 1{7};",
                    count * 2, isFp8(element) ? 32 : 16, nameOf(element), list(0, count), count, count + 1,
                    adds ? "adds" : "1", transposed);
  if (!adds)
    return change(e, product, sums, {left, right}, "l,l");
  std::string text =
      llvm::formatv("{{ .reg .pred adds; setp.ne.b32 adds, ${0}, 0; {1} }", count + 2, product);
  return change(e, text, sums, {left, right, adds}, "l,l,r");
}

Registers startShared(Emitter &e, Type element, Value left, Value right, ValueRange registers) {
  size_t count = registers.size();
  std::string text =
      llvm::formatv("wgmma.mma_async.sync.aligned.m64n{0}k16.f32.{1}.{1} {2}, ${3}, ${4}, 0, 1, 1, 0, 0;",
                    count * 2, nameOf(element), list(0, count), count, count + 1);
  return change(e, text, registers, {left, right}, "l,l");
}

void commitProducts(Emitter &e) { assemble(e, "wgmma.commit_group.sync.aligned;", "", ValueRange{}); }
Registers waitProducts(Emitter &e, ValueRange sums, ValueRange left, int64_t pending) {
  std::string constraints;
  for (size_t i = 0; i < left.size(); ++i)
    constraints += i ? ",r" : "r";
  return change(e, llvm::formatv("wgmma.wait_group.sync.aligned {0};", pending), sums, left, constraints);
}

void setRegisters(Emitter &e, int64_t count, bool isMore) {
  assemble(e, llvm::formatv("setmaxnreg.{0}.sync.aligned.u32 {1};", isMore ? "inc" : "dec", count).str(), "",
           ValueRange{});
}

} // namespace sinter::gpu
