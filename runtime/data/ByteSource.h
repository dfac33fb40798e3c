// SPDX-License-Identifier: Apache-2.0
// Bytes of an input, whatever it was packed with: plain, gzip (several members too) or zstd (several frames
// too), told apart by their first bytes; a file or standard input.
#ifndef SINTER_RUNTIME_DATA_BYTESOURCE_H
#define SINTER_RUNTIME_DATA_BYTESOURCE_H

#include "runtime/Result.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace sinter::data {

class ByteSource {
public:
  virtual ~ByteSource() = default;
  /// Fills as much of `buffer` as it can; less only at the end, 0 there. An error names the file, and for
  /// packed ones the byte of the packed file where it is damaged or cut short.
  virtual Result<size_t> read(std::span<char> buffer) = 0;
};

/// Opens a file, or standard input for "-". Fails with the path and the reason.
Result<std::unique_ptr<ByteSource>> openBytes(const std::string &path);

/// The same from memory; `name` stands for it in messages and the bytes must outlive it.
Result<std::unique_ptr<ByteSource>> openBytes(std::string_view bytes, std::string name);

/// One zstd frame with a checksum. Frames put behind each other are one valid file.
std::string compressZstd(std::string_view bytes, int level);

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_BYTESOURCE_H
