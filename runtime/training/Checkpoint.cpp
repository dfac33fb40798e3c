// SPDX-License-Identifier: Apache-2.0
// Writing and reading of checkpoint folders.
#include "runtime/training/Checkpoint.h"
#include "runtime/data/Hash.h"
#include "runtime/files/SafeTensors.h"
#include "runtime/training/ParameterTensors.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <unistd.h>

namespace fs = std::filesystem;

namespace sinter::training {
namespace {

std::string folderOf(const std::string &run, int64_t step) {
  return fmt::format("{}/checkpoints/step-{:08}", run, step);
}

/// A name of a checkpoint that is not finished.
std::string scratchOf(const std::string &run, int64_t step) {
  return fmt::format("{}/checkpoints/.step-{:08}.unfinished", run, step);
}

/// Brings a folder's entries to the disk.
Result<> syncFolder(const std::string &folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = descriptor >= 0 && ::fsync(descriptor) == 0;
  const int error = errno;
  if (descriptor >= 0)
    ::close(descriptor);
  // Some file systems know no such thing as syncing a folder.
  if (!synced && error != EINVAL)
    return fail("{}: cannot bring the folder to the disk: {}", folder, std::strerror(error));
  return {};
}

/// Removes a folder at the end, unless it was kept.
struct Scratch {
  std::string folder;
  bool kept = false;
  ~Scratch() {
    std::error_code ignored;
    if (!kept)
      fs::remove_all(folder, ignored);
  }
};

std::string_view textOf(std::span<const float> numbers) {
  return {reinterpret_cast<const char *>(numbers.data()), numbers.size_bytes()};
}

/// `from` also as `to`: the same file where the file system can, else a copy.
Result<> linkOrCopy(const std::string &from, const std::string &to) {
  std::error_code code;
  fs::create_hard_link(from, to, code);
  if (code)
    fs::copy_file(from, to, code);
  if (code)
    return fail("{}: cannot copy '{}': {}", to, from, code.message());
  return {};
}

} // namespace

std::vector<NamedImage> imagesOf(TrainingStep &step) {
  std::vector<NamedImage> images;
  for (size_t i = 0; i < step.images(); ++i)
    images.push_back({step.averageImage() == i       ? "average.safetensors"
                      : i > 0                        ? fmt::format("optimizer-{}.safetensors", i)
                      : step.adapterConfig().empty() ? "model.safetensors"
                                                     : "adapter_model.safetensors",
                      step.image(i)});
  return images;
}

/// `make(i, first, out)` makes elements of tensor i, from `first` on.
static Result<uint64_t> writeTensors(std::span<const TensorShape> tensors, const std::string &path,
                                     std::string_view type,
                                     const std::function<void(size_t, size_t, std::span<float>)> &make) {
  const BlockFormat &format = *findBlockFormat(type);
  SafeTensorsWriter writer(path);
  writer.addMetadata("format", "pt"); // what transformers asks for
  for (const TensorShape &tensor : tensors)
    writer.declare(tensor.name, format, tensor.shape);
  if (Result<> begun = writer.begin(); !begun)
    return tl::unexpected(begun.error());
  std::vector<std::byte> encoded;
  uint64_t checksum = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    data::PiecewiseHash64 hash(checksum);
    Result<> written = forEachPiece(
        tensors[i].elements(), [&](size_t first, std::span<float> piece) { make(i, first, piece); },
        [&](std::span<const float> piece) {
          std::span<const std::byte> bytes = std::as_bytes(piece);
          if (&format != &f32Format) {
            encoded.resize(piece.size() * format.blockBytes);
            format.quantize(piece, encoded.data());
            bytes = encoded;
          }
          hash.add({reinterpret_cast<const char *>(bytes.data()), bytes.size()});
          return writer.append(bytes);
        });
    if (!written)
      return tl::unexpected(written.error());
    checksum = hash.value();
  }
  if (Result<> committed = writer.commit(true); !committed)
    return tl::unexpected(committed.error());
  return checksum;
}

Result<uint64_t> writeImage(const TrainingStep &step, std::span<const float> image, const std::string &path,
                            std::string_view type) {
  return writeTensors(step.tensors(), path, type, [&](size_t i, size_t first, std::span<float> out) {
    step.exportTensor(i, image, first, out);
  });
}

Result<> writeModel(const TrainingStep &step, std::span<const float> image, const std::string &path,
                    std::string_view type) {
  Result<uint64_t> written =
      writeTensors(step.modelTensors(), path, type, [&](size_t i, size_t first, std::span<float> out) {
        step.exportModelTensor(i, image, first, out);
      });
  return written ? Result<>() : tl::unexpected(written.error());
}

std::vector<FoundCheckpoint> findCheckpoints(const std::string &run) {
  std::vector<FoundCheckpoint> found;
  std::error_code code;
  for (const fs::directory_entry &entry : fs::directory_iterator(run + "/checkpoints", code)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("step-") || name.size() < 6 || name.size() > 20 ||
        name.find_first_not_of("0123456789", 5) != name.npos)
      continue;
    found.push_back({entry.path().string(), std::stoll(name.substr(5))});
  }
  std::ranges::sort(found, [](const auto &a, const auto &b) { return a.step > b.step; });
  return found;
}

std::string describeLastCheckpoint(const std::string &run, int64_t bad) {
  std::string others;
  for (const FoundCheckpoint &found : findCheckpoints(run)) {
    if (found.step < bad)
      return "the last good checkpoint is " + found.folder +
             (others.empty() ? "" : " (--resume takes it when " + others + " is away)");
    others += (others.empty() ? "" : ", ") + found.folder;
  }
  return others.empty() ? "there is no checkpoint" : "there is no checkpoint before " + others;
}

Result<std::string> writeCheckpoint(const std::string &run, const TrainingStep &step, const RunState &state,
                                    std::span<const NamedImage> images, std::span<const std::string> linked) {
  std::error_code code;
  fs::create_directories(run + "/checkpoints", code);
  Scratch scratch{scratchOf(run, state.step)};
  if (!code)
    fs::remove_all(scratch.folder, code);
  if (!code)
    fs::create_directory(scratch.folder, code);
  if (code)
    return fail("{}: cannot make the folder: {}", scratch.folder, code.message());
  StoredState stored{state, {}};
  for (const NamedImage &image : images) {
    Result<uint64_t> written = writeImage(step, image.image, scratch.folder + "/" + image.file, "f32");
    if (!written)
      return tl::unexpected(written.error());
    stored.checksums.emplace_back(image.file, *written);
  }
  for (const std::string &name : linked)
    if (Result<> done = linkOrCopy(run + "/" + name, scratch.folder + "/" + name); !done)
      return tl::unexpected(done.error());
  if (const std::string_view config = step.adapterConfig(); !config.empty()) {
    Result<AtomicFile> file = AtomicFile::create(scratch.folder + "/adapter_config.json");
    Result<> done = file ? file->write(config) : tl::unexpected(file.error());
    if (done)
      done = file->commit(true);
    if (!done)
      return tl::unexpected(done.error());
  }
  Result<AtomicFile> file = AtomicFile::create(scratch.folder + "/state.json");
  if (!file)
    return tl::unexpected(file.error());
  if (Result<> written = file->write(stateText(stored)); !written)
    return tl::unexpected(written.error());
  if (Result<> committed = file->commit(true); !committed)
    return tl::unexpected(committed.error());
  if (Result<> synced = syncFolder(scratch.folder); !synced)
    return tl::unexpected(synced.error());
  // A damaged one of the same step, which resuming has passed over, makes room.
  const std::string folder = folderOf(run, state.step);
  fs::remove_all(folder, code);
  fs::rename(scratch.folder, folder, code);
  if (code)
    return fail("{}: cannot rename '{}' to it: {}", folder, scratch.folder, code.message());
  scratch.kept = true;
  if (Result<> synced = syncFolder(run + "/checkpoints"); !synced)
    return tl::unexpected(synced.error());
  return folder;
}

Result<> readImages(const std::string &folder, const StoredState &stored, const TrainingStep &step,
                    std::span<const NamedImage> images) {
  std::vector<float> copy;
  for (const NamedImage &image : images) {
    const std::string path = folder + "/" + image.file;
    auto known = std::ranges::find(stored.checksums, image.file, &std::pair<std::string, uint64_t>::first);
    if (known == stored.checksums.end())
      return fail("{}: expected a checkpoint with this file, found one of a run without it (another "
                  "optimizer, --ema)",
                  path);
    Result<SafeTensors> file = SafeTensors::open(path);
    if (!file)
      return tl::unexpected(file.error());
    if (file->tensors().size() != step.tensors().size())
      return fail("{}: expected {} tensors, those of this model, found {}", path, step.tensors().size(),
                  file->tensors().size());
    uint64_t checksum = 0;
    for (size_t i = 0; i < step.tensors().size(); ++i) {
      const TensorShape &shape = step.tensors()[i];
      const SafeTensor *tensor = file->find(shape.name);
      if (!tensor)
        return fail("{}: expected tensor '{}' of this model, found none", path, shape.name);
      if (tensor->format != &f32Format || tensor->shape != shape.shape)
        return fail("{}: tensor '{}': expected F32 {}, found {} {}", path, shape.name, shapeText(shape.shape),
                    tensor->dtype, shapeText(tensor->shape));
      copy.resize(shape.elements());
      std::memcpy(copy.data(), tensor->bytes.data(), tensor->bytes.size());
      checksum = data::hash64(textOf(copy), checksum);
      step.importTensor(i, copy, image.image);
    }
    if (checksum != known->second)
      return fail("{}: expected checksum {:016x}, found {:016x}: the file is damaged", path, known->second,
                  checksum);
  }
  return {};
}

void removeUnfinishedCheckpoints(const std::string &run) {
  std::error_code code, ignored;
  std::vector<fs::path> left;
  for (const fs::directory_entry &entry : fs::directory_iterator(run + "/checkpoints", code))
    if (entry.path().filename().string().starts_with(".step-"))
      left.push_back(entry.path());
  for (const fs::path &path : left)
    fs::remove_all(path, ignored);
}

void pruneCheckpoints(const std::string &run, int64_t keep) {
  const std::vector<FoundCheckpoint> found = findCheckpoints(run);
  std::optional<double> lowest;
  std::string best;
  for (const FoundCheckpoint &checkpoint : found) {
    Result<StoredState> stored = readState(checkpoint.folder);
    if (stored && stored->state.validation && (!lowest || *stored->state.validation < *lowest)) {
      lowest = stored->state.validation;
      best = checkpoint.folder;
    }
  }
  std::error_code ignored;
  for (size_t i = size_t(keep); i < found.size(); ++i) {
    if (found[i].folder == best)
      continue;
    // Under another name first: half of a checkpoint must never look like one.
    const std::string scratch = scratchOf(run, found[i].step);
    fs::rename(found[i].folder, scratch, ignored);
    fs::remove_all(scratch, ignored);
  }
}

} // namespace sinter::training
