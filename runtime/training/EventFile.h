// SPDX-License-Identifier: Apache-2.0
// The files that TensorBoard reads: records of protobuf messages. Only scalars are written.
#ifndef SINTER_RUNTIME_TRAINING_EVENTFILE_H
#define SINTER_RUNTIME_TRAINING_EVENTFILE_H

#include "runtime/Result.h"
#include "runtime/training/AppendFile.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sinter::training {

struct Scalar {
  std::string_view tag; ///< "train/loss"
  double value;
};

class EventFile {
public:
  /// Creates FOLDER/events.out.tfevents.TIME.HOST.PID. `step`: where the run begins or goes on; what
  /// TensorBoard knows of later steps it forgets.
  static Result<EventFile> create(const std::string &folder, int64_t step);

  Result<> add(int64_t step, std::span<const Scalar> scalars);
  const std::string &path() const { return file.path(); }

private:
  explicit EventFile(AppendFile file) : file(std::move(file)) {}
  AppendFile file;
};

/// CRC-32C (Castagnoli) as TensorFlow's records mask it.
uint32_t maskedCrc(std::string_view bytes);

/// The record of one message: length, its checksum, the bytes, their checksum.
std::string eventRecord(std::string_view message);

} // namespace sinter::training

#endif // SINTER_RUNTIME_TRAINING_EVENTFILE_H
