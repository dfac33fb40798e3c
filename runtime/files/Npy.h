// SPDX-License-Identifier: Apache-2.0
// NumPy's .npy files: one array, C order, little endian (format versions 1 to 3).
#ifndef SINTER_RUNTIME_FILES_NPY_H
#define SINTER_RUNTIME_FILES_NPY_H

#include "runtime/Result.h"
#include <cstdint>
#include <string>
#include <vector>

namespace sinter {

struct NpyArray {
  std::string type; // as NumPy spells it without byte order: f4, f2, u2, i8, b1
  std::vector<uint64_t> shape;
  std::vector<uint8_t> data;

  uint64_t count() const;
  unsigned elementBytes() const;
};

Result<NpyArray> parseNpy(const std::string &bytes, const std::string &name);
Result<NpyArray> readNpy(const std::string &path);
std::string formatNpy(const NpyArray &array);
/// Written under another name first, so that nothing half-written stays.
Result<> writeNpy(const std::string &path, const NpyArray &array);

} // namespace sinter

#endif // SINTER_RUNTIME_FILES_NPY_H
