// SPDX-License-Identifier: Apache-2.0
// Turns each kernel.func into a GPU kernel as runtime/abi.h says:
//
//   kernel.func @norm(%x: !kernel.rows<576xf32>) { ... }
//   ->
//   llvm.func @norm(%step: !llvm.ptr<1>, %x: !llvm.ptr<1>) attributes {nvvm.kernel, ...}
//
// What a launch of it needs is left as attributes: kernel.threads, kernel.shared_bytes, kernel.blocks_per_sm,
// kernel.cluster, kernel.tensor_maps, kernel.split_k.
#include "passes/Passes.h"
#include "passes/lowering/gpu/Emitters.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/TypeSwitch.h"

namespace sinter {
#define GEN_PASS_DEF_EMITGPUPASS
#include "passes/Passes.h.inc"
} // namespace sinter

using namespace mlir;
using namespace sinter::gpu;

namespace {

constexpr StringRef sharedName = "shared_memory";

LogicalResult emitAnchor(Frame &frame, Operation *anchor) {
  return llvm::TypeSwitch<Operation *, LogicalResult>(anchor)
      .Case([&](sinter::kernel::RowsOp op) { return emitRows(frame, op); })
      .Case([&](sinter::kernel::RouteOp op) { return emitRoute(frame, op); })
      .Case([&](sinter::kernel::DispatchOp op) { return emitDispatch(frame, op); })
      .Case([&](sinter::kernel::PeaksOp op) { return emitPeaks(frame, op); })
      .Case([&](sinter::kernel::SampleOp op) { return emitSample(frame, op); })
      .Case([&](sinter::kernel::MatmulOp op) { return emitMatmul(frame, op); })
      .Case([&](sinter::kernel::ColumnSumOp op) { return emitColumnSum(frame, op); })
      .Case([&](sinter::kernel::ScatterOp op) { return emitScatter(frame, op); })
      .Case([&](sinter::kernel::SquareSumOp op) { return emitSquareSum(frame, op); })
      .Case([&](sinter::kernel::CrossEntropyOp op) { return emitCrossEntropy(frame, op); })
      .Case([&](sinter::kernel::RouterVotesOp op) { return emitRouterVotes(frame, op); })
      .Case([&](sinter::kernel::BalanceGradientOp op) { return emitBalanceGradient(frame, op); })
      .Case([&](sinter::kernel::WeightGradientOp op) { return emitWeightGradient(frame, op); })
      .Case([&](sinter::kernel::SelfAttentionOp op) { return emitSelfAttention(frame, op); })
      .Case([&](sinter::kernel::SelfAttentionBackwardOp op) { return emitSelfAttentionBackward(frame, op); })
      .Case([&](sinter::kernel::AttentionOp op) {
        return op.getForm() == sinter::kernel::Form::Decode ? emitDecodeAttention(frame, op)
                                                            : emitPrefillAttention(frame, op);
      })
      .Default([](Operation *op) {
        return op->emitOpError() << "expected an anchor that has an emitter for GPUs";
      });
}

/// Buffers do not overlap; sums of a K in parts are other blocks', too. Tensor maps are parameters
/// themselves, 128 bytes that the host has encoded.
void setArguments(LLVM::LLVMFuncOp function, const Frame &frame) {
  OpBuilder builder(function.getContext());
  SmallVector<Type> types(function.front().getArgumentTypes());
  function.setFunctionType(LLVM::LLVMFunctionType::get(function.getFunctionType().getReturnType(), types));
  size_t count = function.getNumArguments(), pointers = count - frame.maps.size();
  function.setAllArgAttrs(SmallVector<Attribute>(count, builder.getDictionaryAttr({})));
  auto bytes = LLVM::LLVMArrayType::get(builder.getI64Type(), 16);
  for (size_t i = 0; i < count; ++i) {
    if (i < pointers) {
      if (function.getArgument(i) == frame.splitAddress)
        continue;
      function.setArgAttr(i, LLVM::LLVMDialect::getNoAliasAttrName(), builder.getUnitAttr());
      continue;
    }
    function.setArgAttr(i, LLVM::LLVMDialect::getByValAttrName(), TypeAttr::get(bytes));
    function.setArgAttr(i, LLVM::LLVMDialect::getAlignAttrName(), builder.getI64IntegerAttr(64));
    function.setArgAttr(i, NVVM::NVVMDialect::getGridConstantAttrName(), builder.getUnitAttr());
  }
  noteMaps(function, frame.maps);
}

LogicalResult emitKernel(sinter::kernel::FuncOp kernel, Architecture architecture) {
  OpBuilder builder(kernel);
  Location loc = kernel.getLoc();
  Emitter e(builder, loc, architecture);
  SmallVector<Type> inputs(kernel.getNumArguments() + 1, e.globalPtr());
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(builder.getContext()), inputs);
  // The names of kernels are symbols of one module: the function takes the place of its kernel.func.
  auto function = LLVM::LLVMFuncOp::create(builder, loc, (kernel.getName() + ".entry").str(), type);
  function->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(), builder.getUnitAttr());

  Block *body = function.addEntryBlock(builder);
  builder.setInsertionPointToStart(body);
  Value shared = LLVM::AddressOfOp::create(builder, loc, e.sharedPtr(), sharedName);
  Frame frame{.e = e,
              .step = body->getArgument(0),
              .shared = shared,
              .buffers = {},
              .entry = body,
              .thread = e.thread(),
              .maps = {},
              .staged = {},
              .keptStep = {}};
  auto most = kernel->getAttrOfType<IntegerAttr>("kernel.most_threads");
  if (most)
    frame.mostThreads = most.getInt();
  for (auto [i, argument] : llvm::enumerate(kernel.getArguments()))
    frame.buffers.map(argument, body->getArgument(1 + i));
  if (failed(emitAnchor(frame, kernel.getAnchor())))
    return failure();
  setArguments(function, frame);
  builder.setInsertionPointToEnd(body);
  LLVM::ReturnOp::create(builder, loc, ValueRange{});
  if (frame.sharedBytes > maxSharedBytes(architecture))
    return kernel.emitOpError() << "expected a schedule that takes at most " << maxSharedBytes(architecture)
                                << " bytes of shared memory, found " << frame.sharedBytes;

  if (frame.blocksPerSm) // no more than shared memory allows: each block takes 1 KiB besides
    frame.blocksPerSm = std::max<int64_t>(
        1, std::min(frame.blocksPerSm, smSharedBytes(architecture) / (frame.sharedBytes + 1024)));
  function->setAttr("nvvm.reqntid", builder.getDenseI32ArrayAttr({static_cast<int32_t>(frame.threads)}));
  if (frame.blocksPerSm && frame.limitsRegisters)
    function->setAttr("nvvm.minctasm", builder.getI32IntegerAttr(frame.blocksPerSm));
  function->setAttr("kernel.threads", builder.getI64IntegerAttr(frame.threads));
  function->setAttr("kernel.shared_bytes", builder.getI64IntegerAttr(frame.sharedBytes));
  if (frame.cluster > 1)
    function->setAttr("nvvm.cluster_dim",
                      builder.getDenseI32ArrayAttr({static_cast<int32_t>(frame.cluster)}));
  function->setAttr("kernel.cluster", builder.getI64IntegerAttr(frame.cluster));
  if (const SplitPlan &plan = frame.splitK; plan.count > 1)
    function->setAttr("kernel.split_k",
                      builder.getDenseI64ArrayAttr({plan.count, plan.rows, plan.columns, plan.bytes}));
  function->setAttr("kernel.blocks_per_sm", builder.getI64IntegerAttr(frame.blocksPerSm));
  if (most)
    function->setAttr("kernel.most_threads", most);
  std::string name = kernel.getName().str();
  kernel.erase();
  function.setName(name);
  return success();
}

struct EmitGpuPass : sinter::impl::EmitGpuPassBase<EmitGpuPass> {
  using EmitGpuPassBase::EmitGpuPassBase;

  void runOnOperation() override {
    std::optional<Architecture> named = architectureNamed(architecture);
    if (!named) {
      getOperation().emitError() << "expected sm_80 or sm_90a as architecture, found " << architecture;
      return signalPassFailure();
    }
    for (auto entry : llvm::make_early_inc_range(getOperation().getOps<sinter::kernel::EntryOp>()))
      entry.erase();
    if (Operation *taken = getOperation().lookupSymbol(sharedName)) {
      taken->emitOpError() << "expected another name, found '" << sharedName
                           << "', which a block's shared memory has";
      return signalPassFailure();
    }
    OpBuilder builder = OpBuilder::atBlockBegin(getOperation().getBody());
    auto bytes = LLVM::LLVMArrayType::get(builder.getI8Type(), 0);
    Emitter e(builder, getOperation().getLoc(), *named);
    auto space = cast<LLVM::LLVMPointerType>(e.sharedPtr()).getAddressSpace();
    LLVM::GlobalOp::create(builder, getOperation().getLoc(), bytes, /*isConstant=*/false,
                           LLVM::Linkage::External, sharedName, Attribute(), /*alignment=*/1024, space);
    for (auto kernel : llvm::make_early_inc_range(getOperation().getOps<sinter::kernel::FuncOp>()))
      if (failed(emitKernel(kernel, *named)))
        return signalPassFailure();
  }
};

} // namespace
