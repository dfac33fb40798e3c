// SPDX-License-Identifier: Apache-2.0
// From names to files.
#include "runtime/data/Inputs.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <glob.h>
#include <optional>
#include <set>

namespace fs = std::filesystem;

namespace sinter::data {
namespace {

constexpr std::string_view endings = ".txt, .md, .jsonl or .wet (also with .gz or .zst)";

std::optional<Format> formatOf(std::string_view path) {
  for (std::string_view packing : {".gz", ".zst"})
    if (path.ends_with(packing))
      path.remove_suffix(packing.size());
  if (path.ends_with(".txt") || path.ends_with(".md"))
    return Format::Text;
  if (path.ends_with(".jsonl"))
    return Format::Lines;
  if (path.ends_with(".wet"))
    return Format::Wet;
  return std::nullopt;
}

bool isHidden(const fs::path &path) { return path.filename().string().starts_with("."); }

struct Finder {
  std::vector<Input> inputs;
  std::set<std::string> seen;
  std::optional<Format> forced;

  void add(const std::string &path, Format format, bool named) {
    std::error_code code;
    std::string canonical = path == "-" ? path : fs::weakly_canonical(path, code).string();
    if (!seen.insert(canonical).second)
      return;
    uintmax_t size = path == "-" ? 0 : fs::file_size(path, code);
    inputs.push_back({path, format, named, code ? 0 : static_cast<uint64_t>(size)});
  }

  Result<> addFolder(const std::string &folder) {
    std::error_code code;
    fs::recursive_directory_iterator at(folder, code), end;
    if (code)
      return fail("{}: {}", folder, code.message());
    std::vector<std::string> found;
    for (; at != end; at.increment(code)) {
      if (code)
        return fail("{}: {}", folder, code.message());
      if (isHidden(at->path())) {
        if (at->is_directory(code))
          at.disable_recursion_pending();
        continue;
      }
      if (at->is_regular_file(code) && formatOf(at->path().string()))
        found.push_back(at->path().string());
    }
    // What `sinter data clean` wrote: its validation shards are for measuring, not for training, and its list
    // of duplicates is no text.
    bool cleaned = fs::exists(fs::path(folder) / "report.json", code);
    if (cleaned)
      std::erase_if(found, [](const std::string &path) {
        const std::string name = fs::path(path).filename().string();
        return name.starts_with("val-") || name == "duplicates.jsonl.zst";
      });
    if (found.empty())
      return fail("{}: expected a folder with files that end in {}, found none", folder, endings);
    std::ranges::sort(found);
    for (const std::string &path : found)
      add(path, *formatOf(path), false);
    return {};
  }

  Result<> addGlob(const std::string &pattern) {
    glob_t matches{};
    int code = ::glob(pattern.c_str(), 0, nullptr, &matches);
    std::vector<std::string> paths(matches.gl_pathv, matches.gl_pathv + matches.gl_pathc);
    ::globfree(&matches);
    if (code != 0 || paths.empty())
      return fail("{}: expected a pattern that matches files, found none", pattern);
    for (const std::string &path : paths) {
      std::error_code ignored;
      if (fs::is_directory(path, ignored)) {
        if (Result<> added = addFolder(path); !added)
          return added;
        continue;
      }
      add(path, forced.value_or(formatOf(path).value_or(Format::Text)), false);
    }
    return {};
  }

  Result<> addName(const std::string &name) {
    if (name == "-") {
      add(name, forced.value_or(Format::Text), true);
      return {};
    }
    std::error_code code;
    fs::file_status status = fs::status(name, code);
    if (fs::is_directory(status))
      return addFolder(name);
    if (fs::exists(status)) {
      add(name, forced.value_or(formatOf(name).value_or(Format::Text)), true);
      return {};
    }
    if (name.find_first_of("*?[") != name.npos)
      return addGlob(name);
    return fail("{}: {}", name, code ? code.message() : std::strerror(ENOENT));
  }
};

} // namespace

Result<std::vector<Input>> findInputs(const std::vector<std::string> &names, const std::string &format) {
  Finder finder;
  if (format == "text")
    finder.forced = Format::Text;
  else if (format == "jsonl")
    finder.forced = Format::Lines;
  else if (format == "wet")
    finder.forced = Format::Wet;
  else if (!format.empty())
    return fail("--format: expected text, jsonl or wet, found '{}'", format);
  if (names.empty())
    return fail("expected files, folders or - as inputs, found none");
  for (const std::string &name : names)
    if (Result<> added = finder.addName(name); !added)
      return tl::unexpected(added.error());
  return std::move(finder.inputs);
}

} // namespace sinter::data
