// SPDX-License-Identifier: Apache-2.0
// What an open GGUF file consists of. Private to Gguf.cpp and GgufParser.cpp.
#ifndef SINTER_RUNTIME_FILES_GGUFPARSER_H
#define SINTER_RUNTIME_FILES_GGUFPARSER_H

#include "runtime/files/Gguf.h"
#include "runtime/files/MappedFile.h"

#include <unordered_map>

namespace sinter {

struct Gguf::Contents {
  std::string path;
  MappedFile mapping; // empty when the bytes belong to the caller
  uint32_t version = 0;
  uint64_t alignment = 32;
  std::vector<GgufValue> metadata;
  std::vector<GgufTensor> tensors;
  std::unordered_map<std::string_view, size_t> keys;  // into metadata
  std::unordered_map<std::string_view, size_t> names; // into tensors
};

} // namespace sinter

#endif // SINTER_RUNTIME_FILES_GGUFPARSER_H
