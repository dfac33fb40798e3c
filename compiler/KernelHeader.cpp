// SPDX-License-Identifier: Apache-2.0
// The C header of kernels: each function with what its buffers hold.
#include "compiler/KernelFunction.h"

#include "dialects/kernel/WeightLayout.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace sinter {
namespace {

std::string cType(const KernelArgument &argument) {
  std::string base = "void";
  Type element;
  if (auto rows = dyn_cast<kernel::RowsType>(argument.type))
    element = rows.getElement();
  else if (auto table = dyn_cast<kernel::TableType>(argument.type))
    element = table.getElement();
  if (element && element.isF32())
    base = "float";
  else if (element && (element.isF16() || element.isBF16()))
    base = "uint16_t";
  else if (element && element.getIntOrFloatBitWidth() == 8)
    base = "uint8_t";
  else if ((element && element.isInteger(32)) || isa<kernel::SegmentsType>(argument.type))
    base = "int32_t";
  return (argument.written ? "" : "const ") + base + " *";
}

} // namespace

std::string argumentContents(const KernelArgument &argument) {
  return llvm::TypeSwitch<Type, std::string>(argument.type)
      .Case([](kernel::RowsType type) {
        std::string rows =
            type.getPerRow() == 1 ? "rows" : llvm::formatv("rows * {0}", type.getPerRow()).str();
        std::string text =
            llvm::formatv("({0}, {1}) {2}", rows, type.getColumns(), elementName(type.getElement()));
        if (type.isQuantized())
          text += llvm::formatv(
                      ": a row is int8 x {0}, f32 scale x {1}, f32 scale * sum of the integers x {1}, padded "
                      "to {2} bytes",
                      type.getColumns(), type.getColumns() / kernel::q8Block, type.getRowBytes())
                      .str();
        return text;
      })
      .Case([](kernel::WeightType type) {
        return llvm::formatv("({0}, {1}) weight in {2}, packed: {3} bytes, aligned to 64", type.getRows(),
                             type.getColumns(), kernel::stringifyWeightFormat(type.getFormat()),
                             kernel::WeightLayout(type).bytes())
            .str();
      })
      .Case([](kernel::TableType type) {
        return llvm::formatv("({0}, {1}) {2}", type.getRows(), type.getColumns(),
                             elementName(type.getElement()))
            .str();
      })
      .Case([](kernel::CacheKType type) {
        return llvm::formatv("keys of a slot: (head {0}, token / 16, {1}, token % 16) {2}", type.getHeads(),
                             type.getSize(), elementName(type.getElement()))
            .str();
      })
      .Case([](kernel::CacheVType type) {
        return llvm::formatv("values of a slot: (head {0}, token, {1}) {2}", type.getHeads(), type.getSize(),
                             elementName(type.getElement()))
            .str();
      })
      .Case([](kernel::SegmentsType type) {
        return llvm::formatv("({0}) i32: expert e has the dispatched rows [e] to [e + 1] - 1",
                             type.getExperts() + 1)
            .str();
      })
      .Case([](kernel::PartialType type) {
        return llvm::formatv("partial attention: (rows, ceil(step->cache_tokens / {0})) of {1} bytes",
                             type.getKeys(), type.getBytes())
            .str();
      });
}

namespace {

class HeaderWriter {
public:
  HeaderWriter(StringRef name, ArrayRef<cpu::Isa> isas) : name(name), isas(isas), out(text) {}

  std::string write(ArrayRef<KernelFunction> functions);

private:
  void comment(const KernelFunction &function);
  void declare(const KernelFunction &function);
  void declarePacking(const KernelFunction &function);
  void declareVersions(kernel::FuncOp kernel);

  StringRef name;
  ArrayRef<cpu::Isa> isas;
  std::string text;
  llvm::raw_string_ostream out;
};

void HeaderWriter::comment(const KernelFunction &function) {
  out << "/* " << function.name << ": ";
  if (function.launches.size() == 1)
    out << "one launch.\n";
  else
    out << function.launches.size() << " launches for every " << function.maxRows << " rows.\n";
  size_t longest = 0;
  for (const KernelArgument &argument : function.arguments)
    longest = std::max(longest, argument.name.size());
  for (const KernelArgument &argument : function.arguments)
    out << " *   " << argument.name << std::string(longest + 2 - argument.name.size(), ' ')
        << argumentContents(argument) << (argument.written ? "; written" : "") << "\n";
  for (const KernelLaunch &launch : function.launches) {
    kernel::Grid grid = kernel::FuncOp(launch.kernel).getAnchor().getGrid();
    std::string tiles = std::to_string(grid.columns);
    StringRef rows = grid.domain == kernel::Domain::Selected ? "selected" : "rows";
    if (grid.rowsPerTile == 1)
      tiles += (" * " + rows).str();
    else if (grid.rowsPerTile)
      tiles += llvm::formatv(" * ceil({0} / {1})", rows, grid.rowsPerTile).str();
    if (grid.keysPerTile)
      tiles += llvm::formatv(" * ceil(keys / {0})", grid.keysPerTile).str();
    out << " * Tiles of " << kernel::FuncOp(launch.kernel).getName() << ": " << tiles << ".\n";
  }
  out << " * Buffers do not overlap. Uses " << function.scratchBytes << " bytes of stack";
  if (function.arenaBytes)
    out << llvm::formatv("; workspace: {0} bytes, aligned to 64", function.arenaBytes);
  out << ". */\n";
}

void HeaderWriter::declare(const KernelFunction &function) {
  std::string line = "void " + function.name + "(";
  std::string indent(line.size(), ' ');
  size_t width = line.size();
  auto add = [&](const std::string &argument, bool last) {
    if (width + argument.size() + 2 > 118 && width > indent.size()) {
      line += "\n" + indent;
      width = indent.size();
    } else if (width > indent.size()) {
      line += " ";
    }
    line += argument + (last ? ");" : ",");
    width += argument.size() + 2;
  };
  for (const KernelArgument &argument : function.arguments)
    add(cType(argument) + argument.name, false);
  add(function.takesStep ? "const struct sinter_step *step" : "int64_t rows", !function.arenaBytes);
  if (function.arenaBytes)
    add("void *workspace", true);
  out << line << "\n";
  std::string upper = StringRef(function.name).upper();
  if (function.arenaBytes)
    out << "#define " << upper << "_WORKSPACE_BYTES " << function.arenaBytes << "\n";
  for (auto [number, values] : llvm::enumerate(function.constants))
    out << "extern const float " << constantName(function, number) << "[" << values.size() << "];\n";
}

void HeaderWriter::declarePacking(const KernelFunction &function) {
  for (const KernelArgument &argument : function.arguments) {
    auto type = dyn_cast<kernel::WeightType>(argument.type);
    if (!type)
      continue;
    bool isFloat = kernel::WeightLayout(type).isFloat();
    std::string full = function.name + "_" + argument.name;
    out << "#define " << StringRef(full).upper() << "_BYTES " << kernel::WeightLayout(type).bytes() << "\n";
    out << llvm::formatv("/* Packs {0}: `stored` is ({1}, {2}) in {3}{4}. */\n", argument.name,
                         type.getRows(), type.getColumns(), kernel::stringifyWeightFormat(type.getFormat()),
                         isFloat ? "" : ", rows of ggml's blocks as in GGUF files");
    bool plain = type.getFormat() == kernel::WeightFormat::F32;
    out << "void " << function.name << "_pack_" << argument.name << "(const " << (plain ? "float" : "void")
        << " *stored, void *" << argument.name << ");\n";
    if (!canRound(type.getFormat()))
      continue;
    bool isFp8 = kernel::WeightLayout(type).isFp8();
    out << llvm::formatv("/* The same from ({0}, {1}) f32 numbers, rounded {2}. -1: no memory for 16 rows, "
                         "else 0. */\n",
                         type.getRows(), type.getColumns(),
                         isFp8 ? "to nearest even, beyond the largest one to it" : "as ggml does");
    out << "int " << function.name << "_round_" << argument.name << "(const float *numbers, void *"
        << argument.name << ");\n";
  }
}

/// The versions themselves, for programs with threads of their own.
void HeaderWriter::declareVersions(kernel::FuncOp kernel) {
  for (cpu::Isa isa : isas) {
    StringRef suffix = cpu::nameOf(isa);
    out << "void " << kernel.getName() << "_" << suffix
        << "(const struct sinter_call *call, int64_t begin, int64_t end) __asm__(\"" << kernel.getName()
        << "." << suffix << "\");\n";
  }
}

std::string HeaderWriter::write(ArrayRef<KernelFunction> functions) {
  std::string guard = "SINTER_KERNELS_" + name.upper() + "_H";
  for (char &c : guard)
    c = llvm::isAlnum(c) ? c : '_';
  out << "/* Kernels compiled by sinter. Link a C or C++ program with the objects beside this header; they "
         "need libc\n"
         " * and libgcc only. The functions pick the version for this processor's instruction set themselves "
         "(";
  llvm::interleaveComma(isas, out, [&](cpu::Isa isa) { out << cpu::nameOf(isa); });
  out << ";\n * on a processor without any of them they end the program) and run on the calling thread. A "
         "NAME_ISA function\n"
         " * runs tiles begin to end - 1 of a launch: tiles are independent, so threads may share them; "
         "buffers come in\n"
         " * the order of NAME, and sinter_tile_count says how many there are. */\n"
      << "#ifndef " << guard << "\n#define " << guard << "\n\n#include \"sinter_kernels.h\"\n\n"
      << "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n";
  llvm::StringSet<> declared;
  for (const KernelFunction &function : functions) {
    comment(function);
    declare(function);
    declarePacking(function);
    for (const KernelLaunch &launch : function.launches)
      if (declared.insert(kernel::FuncOp(launch.kernel).getName()).second)
        declareVersions(launch.kernel);
    out << "\n";
  }
  out << "#ifdef __cplusplus\n}\n#endif\n\n#endif /* " << guard << " */\n";
  return text;
}

} // namespace

std::string kernelHeader(StringRef name, ArrayRef<KernelFunction> functions, ArrayRef<cpu::Isa> isas) {
  return HeaderWriter(name, isas).write(functions);
}

} // namespace sinter
