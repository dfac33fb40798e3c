// SPDX-License-Identifier: Apache-2.0
// Links the objects of kernels and writes what belongs to them.
#include "compiler/KernelProduct.h"

#include "compiler/OutputFolder.h"
#include "runtime/files/JsonWriter.h"

#include "llvm/Support/MemoryBuffer.h"

namespace sinter {
namespace {

/// The text of a C header without includes from this project's tree.
Result<std::string> plainHeader(const std::string &path) {
  auto buffer = llvm::MemoryBuffer::getFile(path);
  if (!buffer)
    return fail("{}: {}", path, buffer.getError().message());
  std::string text;
  llvm::StringRef rest = (*buffer)->getBuffer();
  while (!rest.empty()) {
    auto [line, after] = rest.split('\n');
    if (!line.starts_with("#include \"runtime/"))
      text += (line + "\n").str();
    rest = after;
  }
  return text;
}

std::vector<std::string> versionNames(const KernelProduct &product, cpu::Isa isa) {
  std::vector<std::string> names;
  for (const KernelFunction &function : product.functions)
    for (const KernelLaunch &launch : function.launches) {
      auto kernel = launch.kernel;
      names.push_back((kernel.getName() + "." + cpu::nameOf(isa)).str());
    }
  return names;
}

class KernelWriter {
public:
  KernelWriter(const LinkTree &tree, const KernelProduct &product, OutputFolder &output,
               const ObjectFiles &files)
      : tree(tree), product(product), output(output), files(files) {}

  /// Makes the objects; their names are in `written` then.
  Result<> objects();

  std::vector<std::string> written;

private:
  Result<> object(const std::string &name, llvm::ArrayRef<std::string> inputs,
                  llvm::ArrayRef<std::string> globals);

  const LinkTree &tree;
  const KernelProduct &product;
  OutputFolder &output;
  const ObjectFiles &files;
};

Result<> KernelWriter::object(const std::string &name, llvm::ArrayRef<std::string> inputs,
                              llvm::ArrayRef<std::string> globals) {
  Result<std::string> bytes = linkRelocatable(inputs, globals, files, name);
  if (!bytes)
    return tl::unexpected(bytes.error());
  written.push_back(name);
  return output.write(name, *bytes);
}

Result<> KernelWriter::objects() {
  std::vector<std::string> functions = definedFunctions(product.functions), all = functions;
  for (cpu::Isa isa : product.isas) {
    std::vector<std::string> versions = versionNames(product, isa);
    all.insert(all.end(), versions.begin(), versions.end());
    if (product.oneObject)
      continue;
    std::vector<std::string> inputs;
    for (auto [object, path] : llvm::zip(product.kernels, files.paths()))
      if (llvm::StringRef(object.name).starts_with(("kernels." + cpu::nameOf(isa) + ".").str()))
        inputs.push_back(path);
    if (Result<> done = object(output.name() + "." + cpu::nameOf(isa).str() + ".o", inputs, versions); !done)
      return done;
  }
  // The functions' own object is the last of the files.
  llvm::ArrayRef<std::string> paths = files.paths();
  return product.oneObject
             ? object(output.name() + ".o", runtimeInputs(tree, paths, all), all)
             : object(output.name() + ".o", runtimeInputs(tree, paths.take_back(1), functions), functions);
}

} // namespace

Result<std::string> kernelDeclarations(const LinkTree &tree) {
  Result<std::string> abi = plainHeader(tree.path("abi.h")), tiles = plainHeader(tree.path("Tiles.h"));
  if (!abi || !tiles)
    return tl::unexpected((abi ? tiles : abi).error());
  return *abi + "\n" + *tiles;
}

Result<> writeKernels(const LinkTree &tree, const KernelProduct &product, const std::string &folder) {
  Result<std::string> declarations = kernelDeclarations(tree);
  if (!declarations)
    return tl::unexpected(declarations.error());
  Result<OutputFolder> output = OutputFolder::open(folder);
  if (!output)
    return tl::unexpected(output.error());
  std::vector<ObjectFile> inputs = product.kernels;
  inputs.push_back(compileKernelFunctions(product.functions, product.isas));
  Result<ObjectFiles> files = ObjectFiles::write(inputs);
  if (!files)
    return tl::unexpected(files.error());
  KernelWriter writer(tree, product, *output, *files);
  if (Result<> done = writer.objects(); !done)
    return done;

  JsonWriter json(1);
  json.beginObject().key("format").value("sinter kernels").key("version").value(1);
  json.key("header").value(output->name() + ".h").key("objects").beginArray();
  for (const std::string &object : writer.written)
    json.value(object);
  json.endArray().key("functions").raw(kernelManifest(product.functions, product.isas));
  if (!product.model.empty())
    json.key("model").raw(product.model);
  json.endObject();
  std::pair<std::string, std::string> texts[] = {
      {output->name() + ".h", kernelHeader(output->name(), product.functions, product.isas)},
      {"sinter_kernels.h", *declarations},
      {output->name() + ".json", json.take() + "\n"}};
  for (auto &[name, text] : texts)
    if (Result<> done = output->write(name, text); !done)
      return done;
  return output->commit();
}

} // namespace sinter
