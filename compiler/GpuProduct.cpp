// SPDX-License-Identifier: Apache-2.0
// Splits modules into kernels and writes what a program needs to launch them.
#include "compiler/GpuProduct.h"

#include "compiler/KernelProduct.h"
#include "compiler/OutputFolder.h"
#include "runtime/files/JsonWriter.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

namespace sinter {
namespace {

/// All kernels of the functions, each once.
std::vector<kernel::FuncOp> kernelsOf(const GpuProduct &product) {
  std::vector<kernel::FuncOp> kernels;
  for (const KernelFunction &function : product.functions)
    for (const KernelLaunch &launch : function.launches)
      if (!llvm::is_contained(kernels, launch.kernel))
        kernels.push_back(launch.kernel);
  return kernels;
}

std::string fileName(kernel::FuncOp kernel, const GpuCode &code, GpuForm form) {
  return (kernel.getName() + "." + gpu::nameOf(code.architecture) +
          (form == GpuForm::Ptx ? ".ptx" : ".cubin"))
      .str();
}

/// "ceil(rows / 4) * 36": how many blocks have work.
std::string tilesText(kernel::Grid grid, llvm::StringRef rows, llvm::StringRef keys) {
  auto ceiling = [](llvm::StringRef value, int64_t unit) {
    return unit == 1 ? ("(" + value + ")").str()
                     : fmt::format("(({0}) + {1}) / {2}", value.str(), unit - 1, unit);
  };
  std::string text = std::to_string(grid.columns);
  if (grid.rowsPerTile)
    text += " * (" + ceiling(rows, grid.rowsPerTile) + ")";
  if (grid.keysPerTile)
    text += " * (" + ceiling(keys, grid.keysPerTile) + ")";
  return text;
}

/// Initialisers of struct sinter_tensor_map, where there are any.
std::string mapsText(const std::string &prefix, const CudaKernel &entry) {
  std::string text;
  for (const sinter_tensor_map &map : entry.maps)
    text += fmt::format("{}{{{}, {}, {}, {{{}, {}, {}}}, {{{}, {}, {}}}, {{{}, {}}}, {}}}",
                        text.empty() ? "" : ", ", map.buffer, map.swizzle_bytes, map.rank, map.box[0],
                        map.box[1], map.box[2], map.sizes[0], map.sizes[1], map.sizes[2], map.strides[0],
                        map.strides[1], map.of_cache);
  return text.empty() ? "" : prefix + "TENSOR_MAPS {" + text + "}\n";
}

std::string headerText(const std::string &name, const GpuProduct &product, GpuForm form) {
  std::string guard = "SINTER_GPU_KERNELS_" + llvm::StringRef(name).upper() + "_H", text;
  for (char &c : guard)
    c = llvm::isAlnum(c) ? c : '_';
  llvm::raw_string_ostream out(text);
  out << "/* GPU kernels compiled by sinter. Each is a module of its own with one function of the kernel's "
         "name:\n"
         " *   FUNCTION(u64 step, u64 buffer0, u64 buffer1, ..., CUtensorMap map0, ...)\n"
         " * `step` is the device address of a struct sinter_step in device memory, whose pointers are "
         "device addresses;\n"
         " * buffers come in the order that is listed. Where there are KERNEL_ARCH_TENSOR_MAPS, encode each "
         "struct\n"
         " * sinter_tensor_map by cuTensorMapEncodeTiled (f16; a size of 0: the buffer's rows; of_cache: "
         "sizes[1] is a\n"
         " * token's, to be multiplied by step->cache_tokens, dimension 2 has as many as the cache has "
         "slots, "
         "a stride of\n"
         " * step->cache_slot_bytes). Launch with blocks of KERNEL_ARCH_THREADS threads and\n"
         " * KERNEL_ARCH_SHARED_BYTES of dynamic shared memory; any number of blocks that is a multiple of "
         "the cluster is\n"
         " * right, KERNEL_ARCH_TILES(rows, keys) is how many have work, KERNEL_ARCH_BLOCKS_PER_SM how many "
         "a\n"
         " * multiprocessor holds. Weights are packed as for CPUs: `sinter kernel --target=cpu` of the same "
         "file "
         "makes\n"
         " * functions that do it on the host, --weights-file writes a model's. NAME.json says the same for "
         "programs, and\n"
         " * which kernels a function or a model launches on which buffers, in order. Where these are "
         "workspaces, "
         "a function\n"
         " * goes over at most `max_rows` rows at once, for which its `workspace_bytes` have room. */\n"
      << "#ifndef " << guard << "\n#define " << guard << "\n\n#include \"sinter_kernels.h\"\n\n";
  for (kernel::FuncOp kernel : kernelsOf(product)) {
    KernelFunction function = makeKernelFunction(kernel, {});
    std::string upper = kernel.getName().upper();
    kernel::Domain domain = kernel.getAnchor().getGrid().domain;
    out << "/* " << kernel.getName() << "\n";
    for (auto [number, argument] : llvm::enumerate(function.arguments))
      out << " *   buffer" << number << "  " << argumentContents(argument)
          << (argument.written ? "; written" : "") << "\n";
    out << (domain == kernel::Domain::Selected ? " * Rows are those of step->select. */\n"
            : domain == kernel::Domain::Draws  ? " * Rows are the step->draws tokens to draw. */\n"
                                               : " */\n");
    for (const GpuCode &code : product.code) {
      const CudaKernel &entry = code.kernels.kernels.at(kernel.getName().str());
      std::string prefix = "#define " + upper + "_" + gpu::nameOf(code.architecture).upper() + "_";
      out << prefix << "FILE \"" << fileName(kernel, code, form) << "\"\n"
          << prefix << "FUNCTION \"" << entry.function << "\"\n"
          << prefix << "TILES(rows, keys) (" << tilesText(entry.grid, "rows", "keys") << ")\n"
          << prefix << "THREADS " << entry.threads << "\n"
          << prefix << "CLUSTER " << entry.cluster << "\n"
          << mapsText(prefix, entry) << prefix << "SHARED_BYTES " << entry.sharedBytes << "\n"
          << prefix << "BLOCKS_PER_SM " << entry.blocksPerSm << "\n";
    }
    out << "\n";
  }
  out << "#endif /* " << guard << " */\n";
  return text;
}

class GpuManifest {
public:
  GpuManifest(const GpuProduct &product, GpuForm form) : product(product), form(form), json(1) {}

  std::string write(const std::string &name);

private:
  void kernel(kernel::FuncOp kernel);
  void code(kernel::FuncOp kernel, const GpuCode &code);
  void function(const KernelFunction &function);
  void argument(const KernelArgument &argument);

  const GpuProduct &product;
  GpuForm form;
  JsonWriter json;
};

void GpuManifest::code(kernel::FuncOp kernel, const GpuCode &code) {
  const CudaKernel &entry = code.kernels.kernels.at(kernel.getName().str());
  json.key(std::string_view(gpu::nameOf(code.architecture))).beginObject();
  json.key("file").value(fileName(kernel, code, form)).key("function").value(entry.function);
  json.key("block").beginArray().value(entry.threads).value(1).value(1).endArray();
  json.key("cluster").beginArray().value(entry.cluster).value(1).value(1).endArray();
  json.key("shared_bytes").value(entry.sharedBytes).key("blocks_per_sm").value(entry.blocksPerSm);
  if (!entry.maps.empty()) {
    json.key("tensor_maps").beginArray();
    for (const sinter_tensor_map &map : entry.maps) {
      json.beginObject().key("buffer").value(map.buffer).key("swizzle_bytes").value(map.swizzle_bytes);
      auto list = [&](const char *name, const auto *values, uint32_t count) {
        json.key(name).beginArray();
        for (uint32_t i = 0; i < count; ++i)
          json.value(values[i]);
        json.endArray();
      };
      list("sizes", map.sizes, map.rank);
      list("strides", map.strides, map.rank - 1);
      list("box", map.box, map.rank);
      if (map.of_cache)
        json.key("of_cache").value(true);
      json.endObject();
    }
    json.endArray();
  }
  if (code.cubin)
    for (const KernelResources &resources : code.cubin->kernels)
      if (resources.name == entry.function)
        json.key("registers")
            .value(resources.registers)
            .key("spill_bytes")
            .value(resources.spillBytes)
            .key("stack_bytes")
            .value(resources.stackBytes);
  json.key("grid").beginObject().key("columns").value(entry.grid.columns);
  json.key("rows_per_tile").value(entry.grid.rowsPerTile).key("keys_per_tile").value(entry.grid.keysPerTile);
  json.key("domain").value(std::string_view(kernel::stringifyDomain(entry.grid.domain))).endObject();
  json.endObject();
}

void GpuManifest::kernel(kernel::FuncOp kernel) {
  json.beginObject().key("kernel").value(std::string_view(kernel.getName()));
  json.key("arguments")
      .beginArray()
      .beginObject()
      .key("name")
      .value("step")
      .key("kind")
      .value("step")
      .endObject();
  for (const KernelArgument &each : makeKernelFunction(kernel, {}).arguments)
    argument(each);
  json.endArray().key("code").beginObject();
  for (const GpuCode &each : product.code)
    code(kernel, each);
  json.endObject().endObject();
}

void GpuManifest::argument(const KernelArgument &argument) {
  json.beginObject().key("name").value(argument.name).key("written").value(argument.written);
  writeBufferType(json, argument.type);
  json.endObject();
}

void GpuManifest::function(const KernelFunction &function) {
  json.beginObject().key("name").value(function.name).key("arguments").beginArray();
  for (const KernelArgument &each : function.arguments)
    argument(each);
  json.endArray().key("max_rows").value(function.maxRows).key("workspace_bytes").value(function.arenaBytes);
  writeConstants(json.key("constants"), function);
  json.key("launches").beginArray();
  for (const KernelLaunch &launch : function.launches) {
    kernel::FuncOp callee = launch.kernel;
    json.beginObject().key("kernel").value(std::string_view(callee.getName())).key("buffers").beginArray();
    for (const KernelBuffer &buffer : launch.buffers)
      writeBuffer(json, buffer);
    json.endArray().endObject();
  }
  json.endArray().endObject();
}

std::string GpuManifest::write(const std::string &name) {
  json.beginObject().key("format").value("sinter gpu kernels").key("version").value(1);
  json.key("header").value(name + ".h").key("kernels").beginArray();
  for (kernel::FuncOp each : kernelsOf(product))
    kernel(each);
  json.endArray().key("functions").beginArray();
  for (const KernelFunction &each : product.functions)
    function(each);
  json.endArray();
  if (!product.model.empty())
    json.key("model").raw(product.model);
  json.endObject();
  return json.take() + "\n";
}

} // namespace

std::map<std::string, std::string> splitPtx(llvm::StringRef ptx) {
  // In column 0 stand the module's directives and variables, and kernels from ".visible .entry NAME(" to "}".
  std::string common;
  std::map<std::string, std::string> kernels;
  std::string *kernel = nullptr;
  for (llvm::StringRef line : llvm::split(ptx, '\n')) {
    llvm::StringRef name = line;
    if (name.consume_front(".visible .entry "))
      kernel = &kernels[name.split('(').first.str()];
    if (kernel)
      *kernel += (line + "\n").str();
    else if (line.starts_with("."))
      common += (line + "\n").str();
    if (line == "}")
      kernel = nullptr;
  }
  for (auto &[name, text] : kernels)
    text = common + "\n" + text;
  return kernels;
}

Result<> writeGpuKernels(const LinkTree &tree, const GpuProduct &product, GpuForm form,
                         const std::string &folder) {
  Result<std::string> declarations = kernelDeclarations(tree);
  if (!declarations)
    return tl::unexpected(declarations.error());
  std::optional<Ptxas> ptxas;
  if (form == GpuForm::Cubin) {
    Result<Ptxas> found = Ptxas::find();
    if (!found)
      return fail("--emit=cubin: {}", found.error().message);
    ptxas = std::move(*found);
  }
  Result<OutputFolder> output = OutputFolder::open(folder);
  if (!output)
    return tl::unexpected(output.error());
  for (const GpuCode &code : product.code) {
    std::map<std::string, std::string> texts = splitPtx(code.kernels.ptx);
    for (kernel::FuncOp kernel : kernelsOf(product)) {
      const std::string &ptx = texts.at(code.kernels.kernels.at(kernel.getName().str()).function);
      std::string name = fileName(kernel, code, form);
      Result<> written;
      if (ptxas) {
        Result<Cubin> cubin = ptxas->assemble(ptx, gpu::nameOf(code.architecture).str());
        if (!cubin)
          return tl::unexpected(cubin.error());
        written =
            output->write(name, {reinterpret_cast<const char *>(cubin->bytes.data()), cubin->bytes.size()});
      } else {
        written = output->write(name, ptx);
      }
      if (!written)
        return written;
    }
  }
  const std::string &name = output->name();
  for (const auto &[file, text] : {std::pair(name + ".h", headerText(name, product, form)),
                                   std::pair(std::string("sinter_kernels.h"), *declarations),
                                   std::pair(name + ".json", GpuManifest(product, form).write(name))})
    if (Result<> written = output->write(file, text); !written)
      return written;
  return output->commit();
}

} // namespace sinter
