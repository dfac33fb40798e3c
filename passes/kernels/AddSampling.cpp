// SPDX-License-Identifier: Apache-2.0
// --kernel-add-sampling: tokens are drawn where the logits are.
//
//   kernel.entry @decode_f16 rows 16 selected 16 { ... %l = kernel.buffer logits : !kernel.rows<49152xf32>
//   ... }
//   ->
//   the same and
//   kernel.entry @sample rows 16 selected 16 {
//     kernel.launch @sample_peaks(%l, %peaks)
//     kernel.launch @sample_draw(%l, %peaks, %drawn)
//   }
#include "passes/Passes.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_ADDSAMPLINGPASS
#include "passes/Passes.h.inc"

namespace {

struct AddSamplingPass : impl::AddSamplingPassBase<AddSamplingPass> {
  void runOnOperation() override {
    kernel::RowsType logits;
    int64_t selected = 0;
    for (auto entry : getOperation().getOps<kernel::EntryOp>()) {
      selected = std::max<int64_t>(selected, entry.getMaxSelected());
      for (auto buffer : entry.getOps<kernel::BufferOp>())
        if (buffer.getSpace() == kernel::Space::Logits)
          logits = cast<kernel::RowsType>(buffer.getType());
    }
    if (!logits)
      return; // nothing to draw from
    OpBuilder builder = OpBuilder::atBlockEnd(getOperation().getBody());
    Location loc = getOperation().getLoc();
    auto peaks = kernel::RowsType::get(&getContext(), kernel::samplingChunks(logits.getColumns()),
                                       builder.getF32Type());
    auto drawn = kernel::RowsType::get(&getContext(), 1, builder.getI32Type());
    addKernel("sample_peaks", {logits, peaks}, [&](OpBuilder &inside, ValueRange arguments) {
      kernel::PeaksOp::create(inside, loc, arguments[0], arguments[1]);
    });
    addKernel("sample_draw", {logits, peaks, drawn}, [&](OpBuilder &inside, ValueRange arguments) {
      kernel::SampleOp::create(inside, loc, arguments[0], arguments[1], arguments[2]);
    });
    auto entry =
        kernel::EntryOp::create(builder, loc, "sample", selected, selected, IntegerAttr(), IntegerAttr());
    builder.createBlock(&entry.getBody());
    auto buffer = [&](kernel::Space space, Type type) -> Value {
      return kernel::BufferOp::create(builder, loc, type, space, FlatSymbolRefAttr(), IntegerAttr(),
                                      IntegerAttr());
    };
    Value from = buffer(kernel::Space::Logits, logits), through = buffer(kernel::Space::Arena, peaks),
          to = buffer(kernel::Space::Drawn, drawn);
    auto launch = [&](StringRef name, ValueRange buffers) {
      kernel::LaunchOp::create(builder, loc, FlatSymbolRefAttr::get(&getContext(), name), buffers);
    };
    launch("sample_peaks", {from, through});
    launch("sample_draw", {from, through, to});
  }

  void addKernel(StringRef name, ArrayRef<Type> arguments,
                 llvm::function_ref<void(OpBuilder &, ValueRange)> makeAnchor) {
    OpBuilder builder = OpBuilder::atBlockEnd(getOperation().getBody());
    Location loc = getOperation().getLoc();
    auto function = kernel::FuncOp::create(builder, loc, builder.getStringAttr(name),
                                           builder.getFunctionType(arguments, {}), ArrayAttr(), ArrayAttr(),
                                           StringAttr());
    Block *body =
        builder.createBlock(&function.getBody(), {}, arguments, SmallVector<Location>(arguments.size(), loc));
    makeAnchor(builder, body->getArguments());
  }
};

} // namespace
} // namespace sinter
