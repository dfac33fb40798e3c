// SPDX-License-Identifier: Apache-2.0
#include "runtime/training/RunFolder.h"
#include "runtime/files/AtomicFile.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <unistd.h>

namespace fs = std::filesystem;

namespace sinter::training {
namespace {

constexpr std::string_view lockName = ".lock";
// What stands in the lock behind the number of a process that has made it, or the folder.
constexpr const char *lockMade = " made this lock", *folderMade = " made this folder";

/// What shows that a run was here.
bool isOfRun(std::string_view name) {
  return name == "checkpoints" || name == "metrics.jsonl" || name == "model.safetensors" ||
         name == "config.json";
}

/// What may be there before the first run: the lock and what `sinter train` compiles.
bool isOfCommand(std::string_view name) { return name == lockName || name.starts_with("trainer"); }

std::string contentsOf(int descriptor) {
  char text[64] = "";
  const ssize_t count = ::pread(descriptor, text, sizeof text - 1, 0);
  return {text, size_t(std::max<ssize_t>(count, 0))};
}

} // namespace

Result<RunFolder> RunFolder::open(const std::string &path, bool resume) {
  std::error_code code;
  const bool isNew = fs::create_directories(path, code);
  if (code)
    return fail("{}: cannot make the folder: {}", path, code.message());
  const std::string lockPath = path + "/" + std::string(lockName);
  const bool hasLock = fs::exists(lockPath, code);
  const int lock = ::open(lockPath.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock < 0)
    return fail("{}: expected a folder that can be written to: {}", path, std::strerror(errno));
  RunFolder opened(path, lock);
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK)
      return fail("{}: cannot lock: {}", lockPath, std::strerror(errno));
    return fail("{}: expected a folder in which no other process trains, found that process {} does", path,
                std::atoi(contentsOf(lock).c_str()));
  }
  // `sinter train` becomes the trainer: the process that reads here what it made itself.
  const std::string process = std::to_string(::getpid()), before = contentsOf(lock);
  opened.made = isNew || before == process + folderMade    ? Made::Folder
                : !hasLock || before == process + lockMade ? Made::Lock
                                                           : Made::Nothing;
  const std::string owner = process + (opened.made == Made::Folder ? folderMade
                                       : opened.made == Made::Lock ? lockMade
                                                                   : "");
  if (::ftruncate(lock, 0) != 0 || ::pwrite(lock, owner.data(), owner.size(), 0) != ssize_t(owner.size()))
    return fail("{}: cannot write: {}", lockPath, std::strerror(errno));
  removeLeftTemporaries(path, "model.safetensors"); // others may compile the model into this folder meanwhile
  std::string other;
  for (const fs::directory_entry &entry : fs::directory_iterator(path, code)) {
    const std::string name = entry.path().filename().string();
    if (isOfRun(name))
      opened.found = true;
    else if (!isOfCommand(name))
      other = name;
  }
  if (code)
    return fail("{}: cannot list the folder: {}", path, code.message());
  if (opened.found && !resume)
    return fail("{}: expected a new or empty folder, found a run: --resume goes on with it", path);
  if (!opened.found && !other.empty())
    return fail("{}: expected a new or empty folder or one with a run, found '{}'", path, other);
  opened.cleans = true;
  return opened;
}

RunFolder::RunFolder(RunFolder &&other) noexcept
    : folder(std::move(other.folder)), lock(std::exchange(other.lock, -1)), made(other.made),
      found(other.found), cleans(other.cleans) {}

RunFolder::~RunFolder() {
  if (lock < 0)
    return;
  std::error_code code;
  std::vector<std::string> names;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end; entry.increment(code))
    names.push_back(entry->path().filename().string());
  const bool began = code || std::ranges::any_of(names, isOfRun);
  // Only what `sinter train` has signed: a trainer may stand in its run's folder for other reasons.
  if (cleans && !began && std::ranges::find(names, "trainer.key") != names.end())
    for (std::string_view file :
         {"trainer", "trainer.key", "trainer.tokenizer", "trainer-data", "trainer-model"})
      fs::remove_all(path(file), code);
  if (!began && made != Made::Nothing)
    ::unlink(path(lockName).c_str());
  if (!began && made == Made::Folder)
    ::rmdir(folder.c_str()); // unless something else is there
  ::close(lock);             // which unlocks
}

Result<> RunFolder::write(std::string_view name, std::string_view contents) const {
  Result<AtomicFile> file = AtomicFile::create(path(name));
  if (!file)
    return tl::unexpected(file.error());
  if (Result<> written = file->write(contents); !written)
    return written;
  return file->commit();
}

Result<> RunFolder::publish(const std::string &file, std::string_view name) const {
  const std::string scratch = path("." + std::string(name) + ".new");
  std::error_code code;
  fs::remove(scratch, code);
  fs::create_hard_link(file, scratch, code);
  if (code)
    fs::copy_file(file, scratch, code);
  if (!code)
    fs::rename(scratch, path(name), code);
  if (!code)
    return {};
  std::error_code ignored;
  fs::remove(scratch, ignored);
  return fail("{}: cannot put '{}' there: {}", path(name), file, code.message());
}

} // namespace sinter::training
