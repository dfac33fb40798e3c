// SPDX-License-Identifier: Apache-2.0
// A folder for the files of one test, removed with all it holds at the end.
#ifndef SINTER_TEST_TEMPORARYFOLDER_H
#define SINTER_TEST_TEMPORARYFOLDER_H

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

namespace sinter {

class TemporaryFolder {
public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "sinter-test-XXXXXX").string();
    root = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(root, ignored);
  }
  TemporaryFolder(const TemporaryFolder &) = delete;
  TemporaryFolder &operator=(const TemporaryFolder &) = delete;

  std::string path(std::string_view name = "") const { return (root / name).string(); }

  /// Writes a file in the folder and returns its path.
  std::string write(std::string_view name, std::string_view content) const {
    std::ofstream(root / name, std::ios::binary) << content;
    return path(name);
  }

  std::string read(std::string_view name) const {
    std::ostringstream content;
    content << std::ifstream(root / name, std::ios::binary).rdbuf();
    return content.str();
  }

  /// Number of entries in the folder, hidden ones included.
  size_t entries() const {
    return static_cast<size_t>(
        std::distance(std::filesystem::directory_iterator(root), std::filesystem::directory_iterator()));
  }

private:
  std::filesystem::path root;
};

} // namespace sinter

#endif // SINTER_TEST_TEMPORARYFOLDER_H
