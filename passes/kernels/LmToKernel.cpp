// SPDX-License-Identifier: Apache-2.0
// --lm-to-kernel: functions of groups become entries of launches.
//
//   func.func @decode(...) {               kernel.func @matmul_0(...) { kernel.matmul ... }
//     %0 = lm.group matmul { ... }    ->   kernel.entry @decode_f16 ... {
//     %1 = lm.group matmul { ... }           kernel.launch @matmul_0(...)
//   }                                        kernel.launch @matmul_0(...) }
//
// Equal kernels are one: the text of a kernel without its name is its key, so all layers share theirs. An
// entry is made for each type of cache element: for the first from the groups, for the others by changing the
// type of the cache in a copy of that entry and of its kernels that touch the cache.
#include "passes/kernels/GroupToKernel.h"
#include "passes/kernels/KernelNames.h"

#include "mlir/IR/AttrTypeSubElements.h"
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
    KernelNames names(symbols);
    SmallVector<func::FuncOp> functions(getOperation().getOps<func::FuncOp>());
    SmallVector<std::string> types(cacheTypes.begin(), cacheTypes.end());
    if (types.empty())
      types.push_back("f16");
    for (func::FuncOp function : functions) {
      FailureOr<kernel::EntryOp> entry = convert(names, function, types.front());
      if (failed(entry))
        return signalPassFailure();
      for (StringRef type : llvm::drop_begin(types))
        retype(symbols, names, *entry, function, type);
    }
    for (func::FuncOp function : functions)
      function.erase();
  }

  Type elementOf(StringRef cacheType) {
    Builder types(&getContext());
    if (cacheType == "f32")
      return types.getF32Type();
    return cacheType == "bf16" ? Type(types.getBF16Type()) : types.getF16Type();
  }

  static std::string entryName(func::FuncOp function, StringRef cacheType) {
    return (function->getAttrOfType<StringAttr>("lm.form").getValue() + "_" + cacheType).str();
  }

  FailureOr<kernel::EntryOp> convert(KernelNames &names, func::FuncOp function, StringRef cacheType) {
    auto form = function->getAttrOfType<StringAttr>("lm.form");
    if (!form)
      return function.emitError("expected the attribute lm.form (prefill or decode), found none"), failure();
    bool decode = form.getValue() == "decode";
    OpBuilder builder(function);
    int64_t rows = decode ? decodeRows : prefillRows;
    auto entry = kernel::EntryOp::create(builder, function.getLoc(), entryName(function, cacheType), rows,
                                         std::min<int64_t>(rows, 16), IntegerAttr(), IntegerAttr());
    builder.createBlock(&entry.getBody());
    EntryBuffers buffers(function, entry, decode ? kernel::Form::Decode : kernel::Form::Prefill,
                         elementOf(cacheType));
    int64_t launches = 0, headBegin = -1;
    auto launch = [&](LaunchedKernel &launched, lm::GroupOp group) {
      StringAttr name = names.intern(std::move(launched.function), lm::stringifyGroupKind(group.getKind()));
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
        return op.emitOpError("expected only groups: run --lm-group-rest first"), failure();
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
    return entry;
  }

  /// Makes the entry of `function` for another type of cache out of `entry`.
  void retype(SymbolTable &symbols, KernelNames &names, kernel::EntryOp entry, func::FuncOp function,
              StringRef cacheType) {
    AttrTypeReplacer replacer;
    Type element = elementOf(cacheType);
    replacer.addReplacement([=](kernel::CacheKType type) {
      return kernel::CacheKType::get(type.getContext(), type.getHeads(), type.getSize(), element);
    });
    replacer.addReplacement([=](kernel::CacheVType type) {
      return kernel::CacheVType::get(type.getContext(), type.getHeads(), type.getSize(), element);
    });
    OpBuilder builder(function);
    auto copy = cast<kernel::EntryOp>(builder.clone(*entry));
    copy.setSymName(entryName(function, cacheType));
    replacer.recursivelyReplaceElementsIn(copy, /*replaceAttrs=*/true, /*replaceLocs=*/false,
                                          /*replaceTypes=*/true);
    llvm::DenseMap<StringAttr, StringAttr> retyped;
    for (auto launch : copy.getOps<kernel::LaunchOp>()) {
      StringAttr callee = launch.getCalleeAttr().getAttr();
      StringAttr &name = retyped[callee];
      if (!name) {
        name = callee;
        auto original = symbols.lookup<kernel::FuncOp>(callee.getValue());
        if (llvm::any_of(original.getArgumentTypes(),
                         llvm::IsaPred<kernel::CacheKType, kernel::CacheVType>)) {
          OwningOpRef<kernel::FuncOp> other(cast<kernel::FuncOp>(original->clone()));
          other->setSymName("kernel");
          replacer.recursivelyReplaceElementsIn(*other, true, false, true);
          name = names.intern(std::move(other), callee.getValue().rsplit('_').first);
        }
      }
      launch.setCalleeAttr(FlatSymbolRefAttr::get(name));
    }
  }
};

} // namespace
} // namespace sinter
