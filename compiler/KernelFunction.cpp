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

llvm::StringSet<> wordsOf(StringRef text) {
  llvm::StringSet<> words;
  for (StringRef word : llvm::split(text, ' '))
    words.insert(word);
  return words;
}

} // namespace

std::string constantName(const KernelFunction &function, size_t number) {
  return function.name + "_constant" + std::to_string(number);
}

bool isCIdentifier(StringRef name) {
  // Keywords of C and C++, and what declarations have besides (docs/kernels.md).
  static const llvm::StringSet<> reserved =
      wordsOf("alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t "
              "char8_t class co_await co_return co_yield compl concept const const_cast consteval constexpr "
              "constinit continue decltype default delete do double dynamic_cast else enum explicit export "
              "extern false float for friend goto if inline int long mutable namespace new noexcept not "
              "not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires "
              "restrict return short signed sizeof static static_assert static_cast struct switch template "
              "this thread_local throw true try typedef typeid typename typeof typeof_unqual union unsigned "
              "using virtual void volatile wchar_t while xor xor_eq rows step workspace");
  return !name.empty() && !llvm::isDigit(name[0]) && !reserved.contains(name) &&
         llvm::all_of(name, [](char c) { return llvm::isAlnum(c) || c == '_'; });
}

bool isCFunction(StringRef name) {
  // Functions of libc and libm that compilers know, which a program may call without a word of a kernel.
  static const llvm::StringSet<> library =
      wordsOf("abort abs atexit atof atoi bcmp bcopy bzero calloc div exit fclose fflush ffs fopen fprintf "
              "fputs free fwrite getenv index labs llabs main malloc memccpy memchr memcmp memcpy memmove "
              "memset printf putchar puts qsort rand read realloc remove rename rindex scanf signal sprintf "
              "srand strcat strchr strcmp strcpy strlen system time write y0 y1 yn j0 j1 jn");
  // With f and l behind them, too: of float and long double.
  static const llvm::StringSet<> mathematics =
      wordsOf("acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf erfc exp exp10 exp2 "
              "expm1 fabs fdim floor fma fmax fmin fmod frexp gamma hypot ilogb ldexp lgamma llrint llround "
              "log log10 log1p log2 logb lrint lround modf nan nearbyint nextafter pow remainder remquo rint "
              "round roundeven scalbln scalbn significand sin sincos sinh sqrt tan tanh tgamma trunc");
  StringRef stem = name;
  bool isMath = mathematics.contains(name) ||
                ((stem.consume_back("f") || stem.consume_back("l")) && mathematics.contains(stem));
  return isCIdentifier(name) && !library.contains(name) && !isMath && !name.starts_with("sinter_");
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
  return format == Format::F16 || format == Format::BF16 || format == Format::F8E4M3FN ||
         format == Format::F8E5M2 || format == Format::Q8_0 || format == Format::Q4_0 ||
         format == Format::Q4_1;
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
