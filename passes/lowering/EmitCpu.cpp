// SPDX-License-Identifier: Apache-2.0
// Turns each kernel.func into the C function NAME.isa of runtime/abi.h:
//
//   kernel.func @norm(%x: !kernel.rows<576xf32>) { ... }
//   ->
//   llvm.func @norm.avx2(%call: !llvm.ptr, %begin: i64, %end: i64)         reads the call, calls
//   llvm.func internal @norm.avx2.tiles(%step, %scratch, %begin, %end, %x) runs the tiles
//
// Two functions, because only arguments can be promised not to overlap.
#include "passes/Passes.h"
#include "passes/lowering/cpu/Emitters.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/TypeSwitch.h"

namespace sinter {
#define GEN_PASS_DEF_EMITCPUPASS
#include "passes/Passes.h.inc"
} // namespace sinter

using namespace mlir;
using namespace sinter::cpu;

namespace {

LogicalResult emitAnchor(Frame &frame, Operation *anchor) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(anchor)
      .Case([&](sinter::kernel::RowsOp op) { return emitRows(frame, op); })
      .Case([&](sinter::kernel::RouteOp op) { return emitRoute(frame, op); })
      .Case([&](sinter::kernel::DispatchOp op) { return emitDispatch(frame, op); })
      .Case([&](sinter::kernel::MatmulOp op) { return emitMatmul(frame, op); })
      .Case([&](sinter::kernel::AttentionOp op) {
        return op.getForm() == sinter::kernel::Form::Decode ? emitDecodeAttention(frame, op)
                                                            : emitPrefillAttention(frame, op);
      })
      .Case([&](sinter::kernel::WeightGradientOp op) { return emitWeightGradient(frame, op); })
      .Case([&](sinter::kernel::ColumnSumOp op) { return emitColumnSum(frame, op); })
      .Case([&](sinter::kernel::ScatterOp op) { return emitScatter(frame, op); })
      .Case([&](sinter::kernel::SquareSumOp op) { return emitSquareSum(frame, op); })
      .Case([&](sinter::kernel::CrossEntropyOp op) { return emitCrossEntropy(frame, op); })
      .Case([&](sinter::kernel::RouterVotesOp op) { return emitRouterVotes(frame, op); })
      .Case([&](sinter::kernel::BalanceGradientOp op) { return emitBalanceGradient(frame, op); })
      .Case([&](sinter::kernel::SelfAttentionOp op) { return emitSelfAttention(frame, op); })
      .Case([&](sinter::kernel::SelfAttentionBackwardOp op) { return emitSelfAttentionBackward(frame, op); })
      .Default([](Operation *op) {
        return op->emitOpError() << "expected an anchor that has an emitter for CPUs";
      });
}

LogicalResult emitKernel(sinter::kernel::FuncOp kernel, Target target) {
  OpBuilder builder(kernel);
  Emitter e(builder, kernel.getLoc(), target);
  auto function = [&](const llvm::Twine &name, ArrayRef<Type> inputs) {
    auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(builder.getContext()), inputs);
    return LLVM::LLVMFuncOp::create(builder, kernel.getLoc(), name.str(), type);
  };
  std::string name = (kernel.getName() + "." + nameOf(target.isa)).str();
  SmallVector<Type> inputs = {e.ptr(), e.ptr(), e.i64(), e.i64()};
  inputs.append(kernel.getNumArguments(), e.ptr());
  LLVM::LLVMFuncOp outer = function(name, {e.ptr(), e.i64(), e.i64()});
  LLVM::LLVMFuncOp tiles = function(name + ".tiles", inputs);
  tiles.setLinkage(LLVM::Linkage::Internal);
  tiles.setNoInline(true);
  for (unsigned i = 0; i < inputs.size(); ++i)
    if (isa<LLVM::LLVMPointerType>(inputs[i]))
      tiles.setArgAttr(i, LLVM::LLVMDialect::getNoAliasAttrName(), builder.getUnitAttr());

  Block *entry = outer.addEntryBlock(builder);
  builder.setInsertionPointToStart(entry);
  Value call = entry->getArgument(0);
  Value buffers = e.load(e.ptr(), e.atByte(call, sinter::abi::callBuffers));
  SmallVector<Value> operands = {e.load(e.ptr(), e.atByte(call, sinter::abi::callStep)),
                                 e.load(e.ptr(), e.atByte(call, sinter::abi::callScratch)),
                                 entry->getArgument(1), entry->getArgument(2)};
  for (unsigned i = 0; i < kernel.getNumArguments(); ++i)
    operands.push_back(e.load(e.ptr(), e.at(buffers, i, e.ptr())));
  LLVM::CallOp::create(builder, kernel.getLoc(), tiles, operands);
  LLVM::ReturnOp::create(builder, kernel.getLoc(), ValueRange{});

  Block *body = tiles.addEntryBlock(builder);
  builder.setInsertionPointToStart(body);
  Frame frame{.e = e,
              .begin = body->getArgument(2),
              .end = body->getArgument(3),
              .step = body->getArgument(0),
              .scratch = body->getArgument(1),
              .buffers = {}};
  for (auto [i, argument] : llvm::enumerate(kernel.getArguments()))
    frame.buffers.map(argument, body->getArgument(4 + i));
  if (failed(emitAnchor(frame, kernel.getAnchor())))
    return failure();
  builder.setInsertionPointToEnd(body);
  LLVM::ReturnOp::create(builder, kernel.getLoc(), ValueRange{});
  outer->setAttr("kernel.scratch_bytes", builder.getI64IntegerAttr(frame.scratchBytes));
  return success();
}

} // namespace

bool sinter::cpu::hasOwnCode(sinter::kernel::FuncOp kernel, Isa isa) {
  switch (isa) {
  case Isa::Avx2:
  case Isa::Avx512:
    return true;
  case Isa::Avx512Bf16: {
    std::string text;
    llvm::raw_string_ostream(text) << kernel;
    return StringRef(text).contains("bf16"); // a type, or the attribute that factors are rounded
  }
  case Isa::Amx:
    auto matmul = dyn_cast<sinter::kernel::MatmulOp>(kernel.getAnchor().getOperation());
    return matmul && matmul.getSchedule() && matmul.getSchedule()->getRowsPerTile();
  }
  llvm_unreachable("an instruction set that is none of the four");
}

namespace {

struct EmitCpuPass : sinter::impl::EmitCpuPassBase<EmitCpuPass> {
  using EmitCpuPassBase::EmitCpuPassBase;

  void runOnOperation() override {
    std::optional<Isa> named = isaNamed(isa);
    if (!named) {
      getOperation().emitError() << "expected avx2, avx512, avx512bf16 or amx as instruction set, found "
                                 << isa;
      return signalPassFailure();
    }
    for (auto entry : llvm::make_early_inc_range(getOperation().getOps<sinter::kernel::EntryOp>()))
      entry.erase();
    for (auto kernel : llvm::make_early_inc_range(getOperation().getOps<sinter::kernel::FuncOp>())) {
      if (failed(emitKernel(kernel, Target{*named})))
        return signalPassFailure();
      kernel.erase();
    }
  }
};

} // namespace
