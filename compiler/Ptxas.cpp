// SPDX-License-Identifier: Apache-2.0
// Finds ptxas, runs it on a temporary file and reads its report.
#include "compiler/Ptxas.h"

#include "runtime/files/ScratchFolder.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdlib>

namespace sinter {
namespace {

/// ROOT/lib/python3.*/PACKAGES/nvidia/*/bin/ptxas, as the wheel of nvcc lays it out.
std::optional<std::string> inPython(const std::string &root) {
  std::error_code code;
  for (llvm::sys::fs::directory_iterator version(root + "/lib", code), end; !code && version != end;
       version.increment(code)) {
    if (!llvm::sys::path::filename(version->path()).starts_with("python3"))
      continue;
    for (const char *packages : {"/site-packages", "/dist-packages"}) {
      std::error_code inner;
      llvm::sys::fs::directory_iterator part(version->path() + packages + "/nvidia", inner);
      for (; !inner && part != end; part.increment(inner))
        if (std::string path = part->path() + "/bin/ptxas"; llvm::sys::fs::can_execute(path))
          return path;
    }
  }
  return std::nullopt;
}

std::string environment(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

} // namespace

Result<Ptxas> Ptxas::find() {
  if (std::string given = environment("SINTER_PTXAS"); !given.empty()) {
    if (llvm::sys::fs::can_execute(given))
      return Ptxas(given);
    return fail("SINTER_PTXAS: expected the path of ptxas, found no program '{}'", given);
  }
  if (auto path = llvm::sys::findProgramByName("ptxas"))
    return Ptxas(*path);
  if (llvm::sys::fs::can_execute("/usr/local/cuda/bin/ptxas"))
    return Ptxas("/usr/local/cuda/bin/ptxas");
  for (const std::string &root :
       {environment("VIRTUAL_ENV"), environment("HOME") + "/.local", std::string("/usr/local")})
    if (root.starts_with("/"))
      if (std::optional<std::string> path = inPython(root))
        return Ptxas(*path);
  return fail("expected ptxas, NVIDIA's assembler, found none in the PATH, in /usr/local/cuda or among "
              "Python's packages: "
              "the package cuda-nvcc of NVIDIA's Debian repository has it, and nvidia-cuda-nvcc of PyPI");
}

Result<Cubin> Ptxas::assemble(const std::string &ptx, const std::string &architecture) const {
  Result<ScratchFolder> folder = ScratchFolder::create();
  if (!folder)
    return tl::unexpected(folder.error());
  std::string input = folder->path("kernels.ptx"), output = folder->path("kernels.cubin"),
              messages = folder->path("messages");
  std::error_code code;
  {
    llvm::raw_fd_ostream stream(input, code);
    if (code)
      return fail("{}: {}", input, code.message());
    stream << ptx;
    stream.close();
    if (stream.has_error()) {
      code = stream.error();
      stream.clear_error();
      return fail("{}: {}", input, code.message());
    }
  }
  std::string arch = "-arch=" + architecture, failure;
  llvm::StringRef arguments[] = {program, arch, "-O3", "-v", "-o", output, input};
  std::optional<llvm::StringRef> redirects[] = {llvm::StringRef(""), llvm::StringRef(messages),
                                                llvm::StringRef(messages)};
  int status = llvm::sys::ExecuteAndWait(program, arguments, std::nullopt, redirects, 0, 0, &failure);
  auto text = llvm::MemoryBuffer::getFile(messages);
  std::string said = text ? (*text)->getBuffer().str() : "";
  if (status != 0)
    return fail("{}: expected machine code for {}, found: {}{}", program, architecture, failure,
                llvm::StringRef(said).trim().str());
  auto bytes = llvm::MemoryBuffer::getFile(output);
  if (!bytes)
    return fail("{}: {}", output, bytes.getError().message());
  Cubin cubin;
  cubin.bytes.assign((*bytes)->getBufferStart(), (*bytes)->getBufferEnd());
  readPtxasReport(said, cubin);
  return cubin;
}

void readPtxasReport(std::string_view text, Cubin &cubin) {
  // "ptxas info    : Compiling entry function 'NAME' for 'sm_90a'", then
  // "    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads" and "ptxas info    : Used 40
  // registers, ...".
  for (llvm::StringRef line : llvm::split(llvm::StringRef(text.data(), text.size()), '\n')) {
    line = line.trim();
    auto numberBefore = [&](llvm::StringRef unit) {
      int64_t number = 0;
      size_t at = line.find(unit);
      if (at != llvm::StringRef::npos) {
        llvm::StringRef before = line.take_front(at).rtrim();
        before.take_back(before.size() - (before.find_last_not_of("0123456789") + 1))
            .getAsInteger(10, number);
      }
      return number;
    };
    if (line.contains("Compiling entry function '")) {
      cubin.kernels.push_back({line.split("function '").second.split('\'').first.str()});
    } else if (line.starts_with("ptxas warning")) {
      cubin.warnings.push_back(line.split(": ").second.trim().str());
    } else if (!cubin.kernels.empty() && line.contains("bytes stack frame")) {
      // A line for the kernel, and one for each function that it calls.
      KernelResources &kernel = cubin.kernels.back();
      kernel.stackBytes = std::max(kernel.stackBytes, numberBefore(" bytes stack frame"));
      kernel.spillBytes += numberBefore(" bytes spill stores") + numberBefore(" bytes spill loads");
    } else if (!cubin.kernels.empty() && line.contains(" registers")) {
      cubin.kernels.back().registers = numberBefore(" registers");
    }
  }
}

} // namespace sinter
