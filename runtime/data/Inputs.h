// SPDX-License-Identifier: Apache-2.0
// What a command line names as inputs: files, folders (searched in depth), globs, standard input; in an order
// that depends on nothing but the names.
#ifndef SINTER_RUNTIME_DATA_INPUTS_H
#define SINTER_RUNTIME_DATA_INPUTS_H

#include "runtime/Result.h"

#include <cstdint>
#include <string>
#include <vector>

namespace sinter::data {

enum class Format : uint8_t { Text, Lines, Wet }; // .txt and .md; .jsonl; Common Crawl's .wet

struct Input {
  std::string path; // "-": standard input
  Format format;
  bool named;    // by the user, not found in a folder or by a glob: a problem with it is an error
  uint64_t size; // bytes on disk; 0 for what is no regular file
};

/// Expands `names`. Files found in folders are those with a known ending (.txt .md .jsonl .wet, alone or with
/// .gz or .zst); a file that is named may have any and is then text. `format` ("text", "jsonl", "wet")
/// decides for named files and standard input. In a folder that `sinter data clean` wrote only the training
/// shards are taken. Fails for what does not exist, for a folder or glob with nothing in it, and for an empty
/// list.
Result<std::vector<Input>> findInputs(const std::vector<std::string> &names, const std::string &format = "");

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_INPUTS_H
