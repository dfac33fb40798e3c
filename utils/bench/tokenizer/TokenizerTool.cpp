// SPDX-License-Identifier: Apache-2.0
// Drives the tokenizer from scripts: `tokenizer-tool MODEL` answers requests on stdin, `tokenizer-tool MODEL
// FILE...` measures how fast it encodes the files. MODEL is a GGUF file, a tokenizer.json or a folder.
//
// A request is a letter, a u32 and that many bytes; the answer a u32 and that many values. 'e': text to ids,
// 'E': with what the post-processor adds, 'p': special tokens as plain text; 'd': ids (u32) to bytes, 'D':
// without special ones.
#include "frontend/tokenizer/FolderTokenizer.h"
#include "frontend/tokenizer/GgufTokenizer.h"
#include "frontend/tokenizer/TokenizerJson.h"
#include "runtime/tokenizer/Tokenizer.h"
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <sstream>

using namespace sinter;

namespace {

Result<std::vector<uint8_t>> readTables(const std::string &path) {
  if (path.ends_with(".json")) {
    Result<Json> json = Json::read(path);
    if (!json)
      return tl::unexpected(json.error());
    Result<TokenizerSpec> spec = readTokenizerJson(json->root());
    return spec ? buildTokenizerTables(*spec) : tl::unexpected(spec.error());
  }
  if (!path.ends_with(".gguf")) {
    Result<TokenizerSpec> spec = readFolderTokenizer(path);
    return spec ? buildTokenizerTables(*spec) : tl::unexpected(spec.error());
  }
  Result<Gguf> file = Gguf::open(path);
  if (!file)
    return tl::unexpected(file.error());
  Result<TokenizerSpec> spec = readGgufTokenizer(*file);
  return spec ? buildTokenizerTables(*spec) : tl::unexpected(spec.error());
}

template <typename T> void writeVector(const T *data, size_t count) {
  auto n = static_cast<uint32_t>(count);
  std::fwrite(&n, 4, 1, stdout);
  std::fwrite(data, sizeof(T), count, stdout);
  std::fflush(stdout);
}

void serve(const Tokenizer &tokenizer) {
  char kind = 0;
  uint32_t size = 0;
  std::string bytes;
  while (std::fread(&kind, 1, 1, stdin) == 1 && std::fread(&size, 4, 1, stdin) == 1) {
    bytes.resize(size);
    if (std::fread(bytes.data(), 1, size, stdin) != size)
      return;
    if (kind == 'd' || kind == 'D') {
      std::vector<int32_t> ids(size / 4);
      std::copy_n(bytes.data(), ids.size() * 4, reinterpret_cast<char *>(ids.data()));
      std::string text = tokenizer.decode(ids, kind == 'D');
      writeVector(text.data(), text.size());
    } else {
      std::vector<int32_t> ids = tokenizer.encode(bytes, kind == 'E', kind != 'p');
      writeVector(ids.data(), ids.size());
    }
  }
}

/// Processor time of this thread: other work on the machine does not count.
double cpuSeconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

void measure(const Tokenizer &tokenizer, const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  std::string text = content.str();
  std::vector<double> seconds;
  std::vector<int32_t> ids;
  for (int run = 0; run < 7; ++run) {
    ids.clear();
    double start = cpuSeconds();
    tokenizer.encode(text, false, true, ids);
    seconds.push_back(cpuSeconds() - start);
  }
  double first = seconds[0];
  std::sort(seconds.begin(), seconds.end());
  double size = static_cast<double>(text.size()) / 1e6;
  std::printf("%s\t%.1f MB\t%zu tokens\t%.1f MB/s (first run %.1f)\n", path.c_str(), size, ids.size(),
              size / seconds[seconds.size() / 2], size / first);
}

} // namespace

int main(int argc, char **argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s MODEL [FILE... | --tables OUT]\n", argv[0]);
    return 2;
  }
  auto start = std::chrono::steady_clock::now();
  Result<std::vector<uint8_t>> tables = readTables(argv[1]);
  if (!tables) {
    std::fprintf(stderr, "%s\n", tables.error().message.c_str());
    return 1;
  }
  auto built = std::chrono::steady_clock::now();
  Result<Tokenizer> tokenizer = Tokenizer::open(std::as_bytes(std::span(*tables)));
  if (!tokenizer) {
    std::fprintf(stderr, "%s\n", tokenizer.error().message.c_str());
    return 1;
  }
  auto opened = std::chrono::steady_clock::now();
  if (argc == 2) {
    serve(*tokenizer);
    return 0;
  }
  if (std::string_view(argv[2]) == "--tables" && argc == 4) {
    std::ofstream out(argv[3], std::ios::binary);
    out.write(reinterpret_cast<const char *>(tables->data()), static_cast<std::streamsize>(tables->size()));
    return out.good() ? 0 : 1;
  }
  std::printf("tables: %zu bytes, built in %.3f s, opened in %.6f s\n", tables->size(),
              std::chrono::duration<double>(built - start).count(),
              std::chrono::duration<double>(opened - built).count());
  for (int i = 2; i < argc; ++i)
    measure(*tokenizer, argv[i]);
  return 0;
}
