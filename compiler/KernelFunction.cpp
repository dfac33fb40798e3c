// SPDX-License-Identifier: Apache-2.0
// Reads a kernel's interface off its operations.
#include "compiler/KernelFunction.h"

#include "dialects/kernel/WeightLayout.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace sinter {
namespace {

/// Whether a kernel needs more of the step than its number of rows.
bool needsStep(kernel::FuncOp kernel) {
  return kernel
      .walk([](Operation *op) {
        return isa<kernel::PositionOp, kernel::TokenOp, kernel::KeysOp, kernel::SelectedOp, kernel::AppendOp,
                   kernel::CombineOp, kernel::AttentionOp, kernel::SampleOp>(op)
                   ? WalkResult::interrupt()
                   : WalkResult::advance();
      })
      .wasInterrupted();
}

bool isWritten(Value buffer) {
  return llvm::any_of(buffer.getUsers(),
                      [&](Operation *op) { return hasEffect<MemoryEffects::Write>(op, buffer); });
}

StringRef nameByKind(Type type, bool written) {
  return llvm::TypeSwitch<Type, StringRef>(type)
      .Case([&](kernel::RowsType) { return written ? "y" : "x"; })
      .Case([](kernel::WeightType) { return "w"; })
      .Case([](kernel::TableType) { return "table"; })
      .Case([](kernel::CacheKType) { return "keys"; })
      .Case([](kernel::CacheVType) { return "values"; })
      .Case([](kernel::SegmentsType) { return "segments"; })
      .Case([](kernel::PartialType) { return "partial"; });
}

} // namespace

std::string constantName(const KernelFunction &function, size_t number) {
  return function.name + "_constant" + std::to_string(number);
}

bool isCIdentifier(StringRef name) {
  static const llvm::StringSet<> reserved = {
      "auto",      "break",    "case",     "char",      "const", "continue", "default",  "do",      "double",
      "else",      "enum",     "extern",   "float",     "for",   "goto",     "if",       "inline",  "int",
      "long",      "register", "restrict", "return",    "short", "signed",   "sizeof",   "static",  "struct",
      "switch",    "typedef",  "union",    "unsigned",  "void",  "volatile", "while",    "bool",    "class",
      "delete",    "new",      "this",     "template",  "true",  "false",    "operator", "private", "public",
      "protected", "rows",     "step",     "workspace", "main",  "memcpy",   "memmove",  "memset",  "memcmp",
      "malloc",    "free",     "printf",   "exit",      "abort"};
  return !name.empty() && !llvm::isDigit(name[0]) && !reserved.contains(name) &&
         llvm::all_of(name, [](char c) { return llvm::isAlnum(c) || c == '_'; });
}

std::string elementName(Type element) {
  if (isa<kernel::Q8Type>(element))
    return "q8";
  std::string text;
  llvm::raw_string_ostream(text) << element;
  return text;
}

uint64_t rowBytes(const KernelArgument &argument) {
  auto rows = dyn_cast<kernel::RowsType>(argument.type);
  return rows ? rows.getRowBytes() : 0;
}

bool canRound(kernel::WeightFormat format) {
  using Format = kernel::WeightFormat;
  return format == Format::F16 || format == Format::BF16 || format == Format::Q8_0 ||
         format == Format::Q4_0 || format == Format::Q4_1;
}

KernelFunction makeKernelFunction(kernel::FuncOp kernel, ArrayRef<std::string> names) {
  KernelFunction function;
  function.name = kernel.getName().str();
  function.takesStep = needsStep(kernel);
  KernelLaunch launch{kernel, {}};
  llvm::StringSet<> taken;
  for (BlockArgument argument : kernel.getArguments()) {
    unsigned number = argument.getArgNumber();
    bool written = isWritten(argument);
    std::string name = number < names.size() ? names[number] : "";
    if (!isCIdentifier(name))
      name = nameByKind(argument.getType(), written).str();
    std::string unique = name;
    for (unsigned i = 2; !taken.insert(unique).second; ++i)
      unique = name + std::to_string(i);
    function.arguments.push_back({unique, argument.getType(), written});
    launch.buffers.push_back({KernelBuffer::Place::Argument, number});
  }
  function.launches.push_back(std::move(launch));
  return function;
}

} // namespace sinter
