// SPDX-License-Identifier: Apache-2.0
// Zeroed memory for hash tables that may outgrow the memory a user allows: then it lies in a file.
#ifndef SINTER_RUNTIME_DATA_LARGETABLE_H
#define SINTER_RUNTIME_DATA_LARGETABLE_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace sinter::data {

/// `size` zero bytes; more than `memory` of them lie in an unlinked file in `folder`, from where the system
/// pages them in.
class LargeTable {
public:
  LargeTable() = default;
  LargeTable(size_t size, size_t memory, const std::string &folder);
  LargeTable(LargeTable &&other) noexcept : at(std::exchange(other.at, nullptr)), bytes(other.bytes) {}
  LargeTable &operator=(LargeTable &&other) noexcept {
    std::swap(at, other.at);
    std::swap(bytes, other.bytes);
    return *this;
  }
  ~LargeTable();

  template <typename T> T *as() const { return static_cast<T *>(at); }

private:
  void *at = nullptr;
  size_t bytes = 0;
};

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_LARGETABLE_H
