// SPDX-License-Identifier: Apache-2.0
// Links object files with the runtime into one static executable and adds the weights to it, in this process,
// through lld: where sinter is installed no compiler is needed.
#ifndef SINTER_COMPILER_EXECUTABLE_H
#define SINTER_COMPILER_EXECUTABLE_H

#include "runtime/Result.h"

#include "llvm/ADT/ArrayRef.h"

#include <cstdint>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace sinter {

/// What the linker needs besides the user's objects: start files, libc, libstdc++ and the runtime. It is
/// `../lib/sinter/link` seen from the folder of `sinter`, in the build tree as in an installed one.
struct LinkTree {
  std::string folder;

  /// The tree beside the running program; an error names the folder that should be there.
  static Result<LinkTree> find(const char *argv0);
};

/// Bytes of an image at their offset in it; may be called by several threads at once.
using ImageSink = std::function<Result<>(uint64_t offset, std::span<const std::byte> bytes)>;

/// The bytes that follow the code in the file. `write` gives all that are not zero to the sink.
struct WeightImage {
  uint64_t size = 0;
  std::function<Result<>(const ImageSink &)> write;
};

/// Links `objects` (paths) with the runtime to `output`, mode 0777 less the umask. The weights become the file's last
/// segment, page aligned, so that the kernel maps them from the page cache at start; zeros in them are holes of the
/// file. The file appears whole or not at all.
Result<> linkExecutable(const LinkTree &tree, llvm::ArrayRef<std::string> objects, const WeightImage &weights,
                        std::string output);

} // namespace sinter

#endif // SINTER_COMPILER_EXECUTABLE_H
