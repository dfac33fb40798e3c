// SPDX-License-Identifier: Apache-2.0
// Makes the folder, keeps its files until all can be committed.
#include "compiler/OutputFolder.h"

#include <filesystem>

namespace sinter {

std::string OutputFolder::nameOf(const std::string &path) {
  std::error_code code;
  std::filesystem::path whole = std::filesystem::absolute(path, code).lexically_normal();
  return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
}

Result<OutputFolder> OutputFolder::open(std::string path) {
  namespace fs = std::filesystem;
  OutputFolder folder;
  std::error_code code;
  folder.stem = nameOf(path);
  folder.path = path;
  if (folder.stem.empty())
    return fail("{}: expected a folder with a name, which the results get, found none", path);
  if (fs::is_directory(path, code))
    return folder;
  folder.made = fs::create_directory(path, code);
  if (code)
    return fail("{}: expected a folder to write to, or one that can be made: {}", path, code.message());
  return folder;
}

OutputFolder::~OutputFolder() {
  files.clear();
  std::error_code code;
  if (made)
    std::filesystem::remove(path, code); // only when it is empty
}

Result<AtomicFile *> OutputFolder::file(const std::string &name, unsigned mode) {
  Result<AtomicFile> file = AtomicFile::create(path + "/" + name, mode);
  if (!file)
    return tl::unexpected(file.error());
  return &files.emplace_back(std::move(*file));
}

Result<> OutputFolder::write(const std::string &name, std::string_view contents) {
  Result<AtomicFile *> target = file(name);
  return target ? (*target)->write(contents) : tl::unexpected(target.error());
}

Result<> OutputFolder::commit() {
  for (AtomicFile &file : files)
    if (Result<> done = file.commit(); !done)
      return done;
  made = false;
  files.clear();
  return {};
}

} // namespace sinter
