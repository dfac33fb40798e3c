// SPDX-License-Identifier: Apache-2.0
// Making the buffers of an entry, each once.
#include "passes/kernels/EntryBuffers.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;

namespace sinter {

kernel::WeightFormat weightFormat(Type element) {
  if (element.isF32())
    return kernel::WeightFormat::F32;
  if (element.isF16())
    return kernel::WeightFormat::F16;
  if (element.isBF16())
    return kernel::WeightFormat::BF16;
  if (isa<Float8E4M3FNType>(element))
    return kernel::WeightFormat::F8E4M3FN;
  if (isa<Float8E5M2Type>(element))
    return kernel::WeightFormat::F8E5M2;
  switch (cast<lm::BlockType>(element).getFormat()) {
  case lm::BlockFormat::q4_0:
    return kernel::WeightFormat::Q4_0;
  case lm::BlockFormat::q4_1:
    return kernel::WeightFormat::Q4_1;
  case lm::BlockFormat::q5_0:
    return kernel::WeightFormat::Q5_0;
  case lm::BlockFormat::q5_1:
    return kernel::WeightFormat::Q5_1;
  case lm::BlockFormat::q8_0:
    return kernel::WeightFormat::Q8_0;
  case lm::BlockFormat::q2_K:
    return kernel::WeightFormat::Q2_K;
  case lm::BlockFormat::q3_K:
    return kernel::WeightFormat::Q3_K;
  case lm::BlockFormat::q4_K:
    return kernel::WeightFormat::Q4_K;
  case lm::BlockFormat::q5_K:
    return kernel::WeightFormat::Q5_K;
  case lm::BlockFormat::q6_K:
    return kernel::WeightFormat::Q6_K;
  }
  llvm_unreachable("unknown block format");
}

EntryBuffers::EntryBuffers(func::FuncOp function, kernel::EntryOp entry, kernel::Form form, Type cacheElement)
    : form(form), cacheElement(cacheElement), builder(OpBuilder::atBlockBegin(&entry.getBody().front())),
      symbols(function->getParentOfType<ModuleOp>()) {
  logits = function.getBody().front().getTerminator()->getOperand(0);
  // A value has selected rows when it comes from lm.select_rows, through whatever group.
  function.walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (isa<lm::SelectRowsOp>(op) ||
        (isa<lm::LmDialect>(op->getDialect()) && !isa<lm::GroupOp, lm::ReadOp>(op) &&
         llvm::any_of(op->getOperands(), [&](Value value) { return selected.contains(value); })))
      selected.insert(op->result_begin(), op->result_end());
    if (auto yield = dyn_cast<lm::YieldOp>(op))
      for (auto [inner, outer] : llvm::zip_equal(yield.getValues(), yield->getParentOp()->getResults()))
        if (selected.contains(inner))
          selected.insert(outer);
  });
}

Value EntryBuffers::create(kernel::Space space, Type type, FlatSymbolRefAttr parameter,
                           std::optional<int64_t> layer) {
  IntegerAttr layerAttr = layer ? builder.getI64IntegerAttr(*layer) : IntegerAttr();
  return kernel::BufferOp::create(builder, builder.getUnknownLoc(), type, space, parameter, layerAttr,
                                  IntegerAttr());
}

Value EntryBuffers::once(StringRef key, llvm::function_ref<Value()> make) {
  Value &place = named[key];
  if (!place)
    place = make();
  return place;
}

kernel::RowsType EntryBuffers::rowsType(Value value, Type element) {
  auto type = cast<RankedTensorType>(value.getType());
  return kernel::RowsType::get(builder.getContext(), lm::width(value), element,
                               type.getRank() == 3 ? type.getDimSize(1) : 1);
}

Value EntryBuffers::rows(Value value) {
  Value &buffer = f32[value];
  if (buffer)
    return buffer;
  buffer = create(value == logits ? kernel::Space::Logits : kernel::Space::Arena,
                  rowsType(value, cast<RankedTensorType>(value.getType()).getElementType()));
  // Rows that whoever calls the function brings: memory is not planned for them.
  if (auto argument = dyn_cast<BlockArgument>(value))
    buffer.getDefiningOp()->setAttr("argument", builder.getI64IntegerAttr(argument.getArgNumber()));
  for (OpOperand &use : value.getUses())
    if (value != logits && isa<func::ReturnOp>(use.getOwner()))
      buffer.getDefiningOp()->setAttr("result", builder.getI64IntegerAttr(use.getOperandNumber()));
  return buffer;
}

Value EntryBuffers::quantised(Value value) {
  Value &buffer = q8[value];
  if (!buffer)
    buffer = create(kernel::Space::Arena, rowsType(value, kernel::Q8Type::get(builder.getContext())));
  return buffer;
}

Value EntryBuffers::places(Value chosen) {
  Value &buffer = placesOf[chosen];
  if (!buffer)
    buffer = create(kernel::Space::Arena, rowsType(chosen, builder.getI32Type()));
  return buffer;
}

Value EntryBuffers::segments(Value chosen, int64_t experts) {
  Value &buffer = segmentsOf[chosen];
  if (!buffer)
    buffer = create(kernel::Space::Arena, kernel::SegmentsType::get(builder.getContext(), experts));
  return buffer;
}

Value EntryBuffers::dispatched(Value value, Value chosen, bool quantised) {
  Value &buffer = (quantised ? q8Copies : f32Copies)[{value, chosen}];
  Type element = quantised ? Type(kernel::Q8Type::get(builder.getContext())) : builder.getF32Type();
  if (!buffer)
    buffer = create(kernel::Space::Arena, kernel::RowsType::get(builder.getContext(), lm::width(value),
                                                                element, lm::width(chosen)));
  return buffer;
}

Value EntryBuffers::votes(Value value) {
  auto type = kernel::TableType::get(builder.getContext(), 1, lm::width(value), builder.getF32Type());
  return once("votes", [&] { return create(kernel::Space::Votes, type); });
}

Value EntryBuffers::partial(Value value, int64_t heads, int64_t size) {
  auto type = kernel::PartialType::get(builder.getContext(), heads, size, keysPerTile);
  std::string key = llvm::formatv("partial {0} {1}", heads, size);
  return partials[value] = once(key, [&] { return create(kernel::Space::Partial, type); });
}

Value EntryBuffers::weight(Value read) {
  auto parameter = read.getDefiningOp<lm::ReadOp>().getParameterAttr();
  auto type = cast<RankedTensorType>(read.getType());
  return once(("weight " + parameter.getValue()).str(), [&] {
    int64_t rows = type.getNumElements() / type.getShape().back();
    return create(kernel::Space::Weight,
                  kernel::WeightType::get(builder.getContext(), rows, type.getShape().back(),
                                          weightFormat(type.getElementType())),
                  parameter);
  });
}

Value EntryBuffers::table(Value read) {
  auto parameter = read.getDefiningOp<lm::ReadOp>().getParameterAttr();
  auto type = cast<RankedTensorType>(read.getType());
  return once(("table " + parameter.getValue()).str(), [&] {
    return create(
        kernel::Space::Weight,
        kernel::TableType::get(builder.getContext(), 1, type.getNumElements(), builder.getF32Type()),
        parameter);
  });
}

Value EntryBuffers::constants(ArrayRef<float> values) {
  ArrayRef<uint8_t> bytes(reinterpret_cast<const uint8_t *>(values.data()), values.size() * sizeof(float));
  std::string name = llvm::formatv("constant.{0:x}", llvm::xxh3_64bits(bytes));
  auto type = kernel::TableType::get(builder.getContext(), 1, values.size(), builder.getF32Type());
  return once(name, [&] {
    if (!symbols.lookup(name)) {
      OpBuilder atModule = OpBuilder::atBlockBegin(&cast<ModuleOp>(symbols.getOp()).getBodyRegion().front());
      auto shape = RankedTensorType::get({static_cast<int64_t>(values.size())}, builder.getF32Type());
      symbols.insert(lm::ParameterOp::create(atModule, builder.getUnknownLoc(), name, shape, nullptr, false,
                                             nullptr, builder.getDenseF32ArrayAttr(values)));
    }
    return create(kernel::Space::Weight, type, FlatSymbolRefAttr::get(builder.getContext(), name));
  });
}

Value EntryBuffers::cacheK(int64_t layer, int64_t heads, int64_t size) {
  return once(llvm::formatv("K {0}", layer).str(), [&] {
    return create(kernel::Space::CacheK,
                  kernel::CacheKType::get(builder.getContext(), heads, size, cacheElement), {}, layer);
  });
}

Value EntryBuffers::cacheV(int64_t layer, int64_t heads, int64_t size) {
  return once(llvm::formatv("V {0}", layer).str(), [&] {
    return create(kernel::Space::CacheV,
                  kernel::CacheVType::get(builder.getContext(), heads, size, cacheElement), {}, layer);
  });
}

ValueUses EntryBuffers::usesOf(Value value) const {
  ValueUses uses;
  // What experts read of plain rows is copied from f32. A function's argument may be no tensor: the cache.
  auto tensor = dyn_cast<RankedTensorType>(value.getType());
  bool dispatched = tensor && tensor.getRank() == 3;
  for (OpOperand &use : value.getUses()) {
    bool isLeft =
        isa<lm::LinearOp>(use.getOwner()) || (dispatched && isa<lm::ExpertLinearOp>(use.getOwner()));
    if (isLeft && use.getOperandNumber() == 0 && form == kernel::Form::Prefill &&
        isQuantised(cast<RankedTensorType>(use.getOwner()->getOperand(1).getType()).getElementType()))
      uses.quantised = true;
    else
      uses.rows = true;
  }
  return uses;
}

} // namespace sinter
