// SPDX-License-Identifier: Apache-2.0
// Where the code of this process comes from: what lies beside a program is looked for by it.
#ifndef SINTER_RUNTIME_FILES_CODEFILE_H
#define SINTER_RUNTIME_FILES_CODEFILE_H

#include <string>

namespace sinter {

/// The file that `address` (of a constant or function) is mapped from: the executable, or a shared library in
/// any program. Empty when the system does not say.
std::string fileOfCode(const void *address);

} // namespace sinter

#endif // SINTER_RUNTIME_FILES_CODEFILE_H
