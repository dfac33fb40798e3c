// SPDX-License-Identifier: Apache-2.0
// A folder of results that appear together or not at all.
#ifndef SINTER_COMPILER_OUTPUTFOLDER_H
#define SINTER_COMPILER_OUTPUTFOLDER_H

#include "runtime/files/AtomicFile.h"

#include <deque>

namespace sinter {

class OutputFolder {
public:
  /// The folder is made when there is none (its parent must be there), and goes again unless commit() is
  /// reached.
  static Result<OutputFolder> open(std::string path);
  OutputFolder(OutputFolder &&other)
      : path(std::move(other.path)), stem(std::move(other.stem)), made(std::exchange(other.made, false)),
        files(std::move(other.files)) {}
  ~OutputFolder();

  /// The last component of a path, also of "." and "..".
  static std::string nameOf(const std::string &path);

  /// Its last component, which results are named after.
  const std::string &name() const { return stem; }

  /// A file in it, which lives as long as this value.
  Result<AtomicFile *> file(const std::string &name, unsigned mode = 0666);
  /// The same with its contents.
  Result<> write(const std::string &name, std::string_view contents);

  /// All files get their names.
  Result<> commit();

private:
  OutputFolder() = default;

  std::string path, stem;
  bool made = false;
  std::deque<AtomicFile> files;
};

} // namespace sinter

#endif // SINTER_COMPILER_OUTPUTFOLDER_H
