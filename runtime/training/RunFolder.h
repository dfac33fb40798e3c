// SPDX-License-Identifier: Apache-2.0
// The folder of a run: a Hugging Face model folder at every moment, locked by the process that trains in it.
#ifndef SINTER_RUNTIME_TRAINING_RUNFOLDER_H
#define SINTER_RUNTIME_TRAINING_RUNFOLDER_H

#include "runtime/Result.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sinter::training {

/// A text that goes into the folder: config.json, tokenizer.json, ...
struct ModelFile {
  std::string name;
  std::string_view contents;
};

/// A lock that its process takes along when it ends, however it does.
class RunFolder {
public:
  /// Makes the folder where there is none, and locks it. Fails when another process holds it, when it cannot
  /// be written, when it holds a run and `resume` is false, or when it holds other things. If no run began,
  /// with this value goes what `sinter train` compiled there (keep() leaves it), and what this process made:
  /// the lock, and the folder.
  static Result<RunFolder> open(const std::string &path, bool resume);
  RunFolder(RunFolder &&other) noexcept;
  RunFolder &operator=(RunFolder &&) = delete;
  ~RunFolder();

  const std::string &path() const { return folder; }
  std::string path(std::string_view name) const { return folder + "/" + std::string(name); }
  /// Whether a run was there.
  bool hasRun() const { return found; }

  /// Leaves a folder without a run as it is: another process is about to begin one.
  void keep() { cleans = false, made = Made::Nothing; }

  /// Writes a file whole or not at all.
  Result<> write(std::string_view name, std::string_view contents) const;
  /// Puts a file of a checkpoint under `name` in place of what is there.
  Result<> publish(const std::string &file, std::string_view name) const;

private:
  enum class Made { Nothing, Lock, Folder };
  RunFolder(std::string folder, int lock) : folder(std::move(folder)), lock(lock) {}
  std::string folder;
  int lock;
  Made made = Made::Nothing; ///< by this process
  bool found = false;
  bool cleans = false; ///< the folder is this process's
};

} // namespace sinter::training

#endif // SINTER_RUNTIME_TRAINING_RUNFOLDER_H
