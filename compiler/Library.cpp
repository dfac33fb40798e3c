// SPDX-License-Identifier: Apache-2.0
// The links of a library, and its header.
#include "compiler/Library.h"

#include "compiler/OutputFolder.h"

#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

namespace sinter {
namespace {

Result<> linkShared(const LinkTree &tree, const ObjectFiles &objects, llvm::ArrayRef<std::string> functions,
                    llvm::ArrayRef<std::string> roots, const WeightImage &weights, const std::string &soname,
                    const AtomicFile &file) {
  std::string script = objects.scratch("exports.map"), text = "{ global:";
  for (const std::string &function : functions)
    text += " " + function + ";";
  std::error_code code;
  llvm::raw_fd_ostream(script, code) << text << " local: *; };\n";
  if (code)
    return fail("{}: {}", script, code.message());
  std::vector<std::string> inputs = runtimeInputs(tree, objects.paths(), roots);
  const std::string linked = objects.scratch("linked");
  return linkWithWeights(file, linked, weights, [&](uint64_t distance) {
    std::vector<std::string> arguments = {"-shared",
                                          "-soname",
                                          soname,
                                          "--version-script=" + script,
                                          "-Bsymbolic",
                                          "--no-undefined",
                                          "--eh-frame-hdr",
                                          "--build-id=fast",
                                          "-z",
                                          "relro",
                                          "-z",
                                          "now",
                                          "-s",
                                          "--defsym=sinter_weights=__ehdr_start+" + std::to_string(distance),
                                          "-o",
                                          linked,
                                          tree.path("crti.o"),
                                          tree.path("crtbeginS.o")};
    arguments.insert(arguments.end(), inputs.begin(), inputs.end());
    arguments.push_back("--as-needed");
    for (const char *name : {"libsinter_find_object.a", "libgcc_eh.a", "libc.so.6", "libm.so.6",
                             "libc_nonshared.a", "ld-linux-x86-64.so.2", "crtendS.o", "crtn.o"})
      arguments.push_back(tree.path(name));
    return runLinker(arguments, file.target());
  });
}

std::string headerText(const std::string &api, const std::string &name, std::string model) {
  std::erase(model, '*'); // a model's name must not end the comment
  return fmt::format("/* {0}, compiled by sinter. A C or C++ program is linked with one of:\n"
                     " *\n"
                     " *   cc main.c DIR/lib{1}.a -lm -o main               everything in the program\n"
                     " *   cc main.c -L DIR -l{1} -Wl,-rpath,DIR -o main    with lib{1}.so, found in DIR "
                     "when it runs\n"
                     " *\n"
                     " * lib{1}.so can also be opened with dlopen (several models: RTLD_LOCAL, each with a "
                     "handle of its\n"
                     " * own). Both need x86-64 with AVX2, glibc 2.34 or newer, and nothing else; of a "
                     "program they see\n"
                     " * libc, libm and the unwinder only, and define no names but those below. */\n",
                     model, name) +
         api;
}

} // namespace

std::vector<std::string> declaredFunctions(llvm::StringRef header) {
  constexpr llvm::StringLiteral mark = "\nSINTER_API ";
  std::vector<std::string> functions;
  for (size_t at = header.find(mark); at != llvm::StringRef::npos; at = header.find(mark, at + 1)) {
    llvm::StringRef declaration = header.drop_front(at + mark.size()).split('(').first;
    functions.push_back(declaration.drop_front(declaration.find_last_of(" *") + 1).str());
  }
  return functions;
}

Result<> writeLibrary(const LinkTree &tree, llvm::ArrayRef<ObjectFile> objects, const WeightImage &weights,
                      const std::string &model, bool opensGpus, const std::string &folder) {
  auto header = llvm::MemoryBuffer::getFile(tree.path("CApi.h"));
  if (!header)
    return fail("{}: {}", tree.path("CApi.h"), header.getError().message());
  std::string api = (*header)->getBuffer().str();
  std::vector<std::string> functions = declaredFunctions(api), roots = functions;
  if (opensGpus)
    roots.push_back("sinter_cuda_opener");
  Result<OutputFolder> output = OutputFolder::open(folder);
  if (!output)
    return tl::unexpected(output.error());
  const std::string &name = output->name();
  Result<ObjectFiles> files = ObjectFiles::write(objects);
  if (!files)
    return tl::unexpected(files.error());

  Result<AtomicFile *> shared = output->file("lib" + name + ".so", 0777);
  if (!shared)
    return tl::unexpected(shared.error());
  if (Result<> linked = linkShared(tree, *files, functions, roots, weights, "lib" + name + ".so", **shared);
      !linked)
    return linked;

  Result<AtomicFile *> archive = output->file("lib" + name + ".a");
  if (!archive)
    return tl::unexpected(archive.error());
  Result<std::string> object =
      linkRelocatable(runtimeInputs(tree, files->paths(), roots), functions, *files, (*archive)->target());
  if (!object)
    return tl::unexpected(object.error());
  if (Result<> written = writeArchive(**archive, name + ".o", *object, functions, weights); !written)
    return written;

  if (Result<> written = output->write(name + ".h", headerText(api, name, model)); !written)
    return written;
  return output->commit();
}

} // namespace sinter
