// SPDX-License-Identifier: Apache-2.0
// --lm-to-kernel: functions of groups become entries of launches.
//
//   func.func @decode(...) {               kernel.func @matmul_0(...) { kernel.matmul ... }
//     %0 = lm.group matmul { ... }    ->   kernel.entry @decode_f16 ... {
//     %1 = lm.group matmul { ... }           kernel.launch @matmul_0(...)
//   }                                        kernel.launch @matmul_0(...) }
//
// Equal kernels are one: the text of a kernel without its name is its key, so all layers share theirs. An entry is
// made for each type of cache element.
#include "passes/kernels/GroupToKernel.h"

#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_LMTOKERNELPASS
#include "passes/Passes.h.inc"

namespace {

struct LmToKernelPass : impl::LmToKernelPassBase<LmToKernelPass> {
  using LmToKernelPassBase::LmToKernelPassBase;

  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    SmallVector<func::FuncOp> functions(getOperation().getOps<func::FuncOp>());
    SmallVector<std::string> types(cacheTypes.begin(), cacheTypes.end());
    if (types.empty())
      types.push_back("f16");
    for (StringRef type : types)
      for (func::FuncOp function : functions)
        if (failed(convert(symbols, function, type)))
          return signalPassFailure();
    for (func::FuncOp function : functions)
      function.erase();
  }

  LogicalResult convert(SymbolTable &symbols, func::FuncOp function, StringRef cacheType) {
    auto form = function->getAttrOfType<StringAttr>("lm.form");
    if (!form)
      return function.emitError("expected the attribute lm.form (prefill or decode), found none");
    bool decode = form.getValue() == "decode";
    Builder types(&getContext());
    Type element = cacheType == "f32"    ? Type(types.getF32Type())
                   : cacheType == "bf16" ? Type(types.getBF16Type())
                                         : Type(types.getF16Type());
    OpBuilder builder(function);
    int64_t rows = decode ? decodeRows : prefillRows;
    auto entry = kernel::EntryOp::create(builder, function.getLoc(), (form.getValue() + "_" + cacheType).str(), rows,
                                         std::min<int64_t>(rows, 16), IntegerAttr(), IntegerAttr());
    builder.createBlock(&entry.getBody());
    EntryBuffers buffers(function, entry, decode ? kernel::Form::Decode : kernel::Form::Prefill, element);
    int64_t launches = 0, headBegin = -1;
    auto launch = [&](LaunchedKernel &launched, lm::GroupOp group) {
      StringAttr name = intern(symbols, std::move(launched.function), group);
      OpBuilder atEnd = OpBuilder::atBlockEnd(&entry.getBody().front());
      kernel::LaunchOp::create(atEnd, group.getLoc(), FlatSymbolRefAttr::get(name), launched.buffers);
      ++launches;
    };
    for (BlockArgument argument : function.getArguments())
      if (buffers.usesOf(argument).quantised) {
        auto user = (*argument.getUsers().begin())->getParentOfType<lm::GroupOp>();
        FailureOr<LaunchedKernel> quantised = quantiseArgument(user, argument, buffers);
        if (failed(quantised))
          return failure();
        launch(*quantised, user);
      }
    for (Operation &op : function.getBody().front()) {
      if (isa<lm::ReadOp>(op) || op.hasTrait<OpTrait::IsTerminator>())
        continue;
      auto group = dyn_cast<lm::GroupOp>(op);
      if (!group)
        return op.emitOpError("expected only groups: run --lm-group-rest first");
      FailureOr<SmallVector<LaunchedKernel>> kernels = convertGroup(group, buffers);
      if (failed(kernels))
        return failure();
      for (LaunchedKernel &launched : *kernels) {
        if (headBegin < 0 && group.getNumResults() && buffers.isSelected(group.getResult(0)))
          headBegin = launches;
        launch(launched, group);
      }
    }
    entry.setHeadBegin(headBegin < 0 ? launches : headBegin);
    return success();
  }

  /// Gives the name of the kernel in the module that is equal to `function`, which may become it.
  StringAttr intern(SymbolTable &symbols, OwningOpRef<kernel::FuncOp> function, lm::GroupOp group) {
    std::string text;
    llvm::raw_string_ostream(text) << *function;
    StringAttr &name = names[text];
    if (!name) {
      StringRef kind = lm::stringifyGroupKind(group.getKind());
      function->setSymName((kind + "_" + Twine(names.size() - 1)).str());
      name = symbols.insert(function.release());
    }
    return name;
  }

  llvm::StringMap<StringAttr> names;
};

} // namespace
} // namespace sinter
