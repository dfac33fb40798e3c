// SPDX-License-Identifier: Apache-2.0
// Writing, checking and reading of token shards.
#include "runtime/data/TokenShards.h"
#include "runtime/data/Hash.h"
#include "runtime/files/Json.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <filesystem>

namespace fs = std::filesystem;

namespace sinter::data {
namespace {

constexpr char magic[8] = {'S', 'I', 'N', 'T', 'E', 'R', 'T', 'K'};
constexpr uint32_t version = 1;

/// Bytes of the ids, filled up so that the starts behind them are aligned.
uint64_t idBytes(const ShardHeader &header) { return (header.tokens * header.width + 7) / 8 * 8; }

std::string_view textOf(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

int32_t idAt(const std::byte *ids, uint32_t width, uint64_t index) {
  if (width == 2) {
    uint16_t id;
    std::memcpy(&id, ids + 2 * index, 2);
    return id;
  }
  int32_t id;
  std::memcpy(&id, ids + 4 * index, 4);
  return id;
}

} // namespace

Result<> checkShard(std::span<const std::byte> bytes, const std::string &name, bool verify) {
  ShardHeader header;
  if (bytes.size() < sizeof header)
    return fail("{}: expected a header of {} bytes, found a file of {}", name, sizeof header, bytes.size());
  std::memcpy(&header, bytes.data(), sizeof header);
  if (std::memcmp(header.magic, magic, sizeof magic) != 0)
    return fail("{}: expected a token shard, found a file that does not begin with SINTERTK", name);
  if (header.version != version)
    return fail("{}: expected version {}, found {}", name, version, header.version);
  if (header.width != 2 && header.width != 4)
    return fail("{}: expected ids of 2 or 4 bytes, found {}", name, header.width);
  constexpr uint64_t most = uint64_t(1) << 48; // so that the sizes below do not overflow
  if (header.tokens > most || header.documents > header.tokens)
    return fail("{}: expected at most {} tokens and a token a document, found {} tokens and {} documents",
                name, most, header.tokens, header.documents);
  uint64_t size = sizeof header + idBytes(header) + 8 * header.documents;
  if (bytes.size() != size)
    return fail("{}: expected {} bytes for {} tokens and {} documents, found {}", name, size, header.tokens,
                header.documents, bytes.size());
  if (!verify)
    return {};
  if (uint64_t found = hash64(textOf(bytes.subspan(sizeof header))); found != header.checksum)
    return fail("{}: expected checksum {:016x}, found {:016x}: the file is damaged", name, header.checksum,
                found);
  const std::byte *ids = bytes.data() + sizeof header;
  for (uint64_t i = 0; i < header.tokens; ++i)
    if (auto id = static_cast<uint32_t>(idAt(ids, header.width, i)); id >= header.vocabulary)
      return fail("{}: expected ids below {}, found {} at token {}", name, header.vocabulary, id, i);
  const std::byte *starts = ids + idBytes(header);
  for (uint64_t i = 0, before = 0; i < header.documents; ++i) {
    uint64_t start;
    std::memcpy(&start, starts + 8 * i, 8);
    if (start >= header.tokens || (i == 0 ? start != 0 : start <= before))
      return fail("{}: expected document {} to begin behind the one before it, found token {}", name, i,
                  start);
    before = start;
  }
  return {};
}

Result<TokenShard> TokenShard::open(const std::string &path, bool verify) {
  Result<MappedFile> file = MappedFile::open(path);
  if (!file)
    return tl::unexpected(file.error());
  if (Result<> good = checkShard(file->bytes(), path, verify); !good)
    return tl::unexpected(good.error());
  TokenShard shard;
  shard.file = std::move(*file);
  shard.ids = shard.file.bytes().data() + sizeof(ShardHeader);
  shard.starts = {reinterpret_cast<const uint64_t *>(shard.ids + idBytes(shard.header())),
                  shard.header().documents};
  return shard;
}

uint64_t TokenShard::documentOf(uint64_t at) const {
  auto behind = std::upper_bound(starts.begin(), starts.end(), at);
  return behind == starts.begin() ? 0 : static_cast<uint64_t>(behind - starts.begin() - 1);
}

void TokenShard::copy(uint64_t begin, std::span<int32_t> out) const {
  assert(begin + out.size() <= header().tokens && "a range of the shard");
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = idAt(ids, header().width, begin + i);
}

Result<ShardWriter> ShardWriter::create(const std::string &path, uint64_t vocabulary, uint64_t tokenizer) {
  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file)
    return tl::unexpected(file.error());
  ShardWriter writer(std::move(*file));
  std::memcpy(writer.header.magic, magic, sizeof magic);
  writer.header.version = version;
  writer.header.width = vocabulary <= 65536 ? 2 : 4;
  writer.header.vocabulary = vocabulary;
  writer.header.tokenizer = tokenizer;
  return writer;
}

Result<> ShardWriter::add(std::span<const int32_t> ids, uint64_t bytes) {
  if (ids.empty())
    return {};
  starts.push_back(header.tokens);
  size_t at = body.size(), width = header.width;
  body.resize(at + ids.size() * width);
  for (int32_t id : ids) {
    if (id < 0 || static_cast<uint64_t>(id) >= header.vocabulary)
      return fail("{}: expected ids below {}, found {}", file.target(), header.vocabulary, id);
    std::memcpy(body.data() + at, &id, width); // little-endian: the lower half comes first
    at += width;
  }
  header.tokens += ids.size();
  header.bytes += bytes;
  return {};
}

Result<> ShardWriter::finish() {
  static_assert(std::endian::native == std::endian::little);
  header.documents = starts.size();
  body.resize(idBytes(header));
  auto tail = std::as_bytes(std::span(starts));
  body.insert(body.end(), tail.begin(), tail.end());
  header.checksum = hash64(textOf(body));
  if (Result<> written = file.write(std::as_bytes(std::span(&header, 1))); !written)
    return written;
  if (Result<> written = file.write(body); !written)
    return written;
  return file.commit(true);
}

uint64_t permute(uint64_t index, uint64_t count, uint64_t seed) {
  assert(index < count && "an index of the permutation");
  if (count < 2)
    return 0;
  const int half = (std::bit_width(count - 1) + 1) / 2; // bits of each side
  const uint64_t mask = (uint64_t(1) << half) - 1;
  do {
    uint64_t left = index >> half, right = index & mask;
    for (uint64_t round = 0; round < 4; ++round) {
      uint64_t next = left ^ (mix64(right ^ mix64(seed * 4 + round)) & mask);
      left = right;
      right = next;
    }
    index = left << half | right;
  } while (index >= count);
  return index;
}

Result<TokenStream> TokenStream::open(const std::string &folder, const std::string &part) {
  std::error_code code;
  std::string description = folder + "/tokens.json";
  if (!fs::is_directory(folder, code))
    return fail("{}: expected a folder of `sinter data tokenize` or a file of ids that ends in .u16 or .u32, "
                "found {}",
                folder, fs::exists(folder, code) ? "another file" : "nothing");
  if (!fs::exists(description, code))
    return fail("{}: expected what `sinter data tokenize` writes, found none{}", description,
                fs::exists(folder + "/.progress.json", code) ? " yet: the run was not finished" : "");
  Result<Json> json = Json::read(description);
  if (!json)
    return tl::unexpected(json.error());
  Result<int64_t> shards = json->root()[part].get<int64_t>("shards");
  if (!shards)
    return tl::unexpected(shards.error());
  TokenStream stream;
  for (int64_t number = 0; number < *shards; ++number) {
    Result<TokenShard> shard =
        TokenShard::open(fmt::format("{}/{}-{:05}.tokens", folder, part, number), true);
    if (!shard)
      return tl::unexpected(shard.error());
    const ShardHeader &header = shard->header();
    if (number > 0 &&
        (header.vocabulary != stream.vocabularySize || header.tokenizer != stream.tokenizerChecksum))
      return fail("{}: expected shards of tokenizer {:016x} with {} tokens, found tokenizer {:016x} with {}",
                  shard->path(), stream.tokenizerChecksum, stream.vocabularySize, header.tokenizer,
                  header.vocabulary);
    stream.vocabularySize = header.vocabulary;
    stream.tokenizerChecksum = header.tokenizer;
    stream.contentChecksum = mix64(stream.contentChecksum ^ header.checksum);
    uint64_t begin = stream.total;
    stream.total += header.tokens;
    stream.textBytes += header.bytes;
    std::optional<TokenShard> answers;
    const std::string marks = fmt::format("{}/{}-{:05}.answers", folder, part, number);
    if (fs::exists(marks, code)) {
      Result<TokenShard> opened = TokenShard::open(marks, true);
      if (!opened)
        return tl::unexpected(opened.error());
      if (opened->header().tokens != header.tokens)
        return fail("{}: expected a mark for each of {} tokens, found {}", marks, header.tokens,
                    opened->header().tokens);
      stream.contentChecksum = mix64(stream.contentChecksum ^ opened->header().checksum);
      answers = std::move(*opened);
    }
    stream.parts.push_back({begin, std::move(*shard), std::move(answers)});
  }
  return stream;
}

Result<TokenStream> TokenStream::openRaw(const std::string &path) {
  TokenStream stream;
  stream.rawWidth = path.ends_with(".u16") ? 2 : path.ends_with(".u32") ? 4 : 0;
  if (stream.rawWidth == 0)
    return fail("{}: expected a file that ends in .u16 or .u32, found another name", path);
  Result<MappedFile> file = MappedFile::open(path);
  if (!file)
    return tl::unexpected(file.error());
  if (file->size() % stream.rawWidth != 0)
    return fail("{}: expected a multiple of {} bytes, found {}", path, stream.rawWidth, file->size());
  stream.total = file->size() / stream.rawWidth;
  stream.contentChecksum = hash64(file->text());
  stream.raw = std::move(*file);
  return stream;
}

Result<> TokenStream::checkBelow(uint64_t vocabulary) const {
  if (vocabularySize > vocabulary)
    return fail("expected tokens of a vocabulary of at most {}, the model's, found one of {}: the "
                "configuration's vocab_size must be the "
                "tokenizer's or more",
                vocabulary, vocabularySize);
  for (uint64_t i = 0; raw && i < total; ++i)
    if (const auto id = static_cast<uint32_t>(idAt(raw->bytes().data(), rawWidth, i)); id >= vocabulary)
      return fail("expected tokens below {}, the model's vocabulary, found {} as token {}", vocabulary, id,
                  i);
  return {};
}

void TokenStream::read(uint64_t index, Order order, uint64_t seed, std::span<int32_t> ids,
                       std::span<int32_t> document, std::span<int32_t> learnt) const {
  assert(ids.size() >= 2 && ids.size() == document.size() && "inputs and targets");
  uint64_t length = ids.size() - 1, count = sequences(length);
  assert(index < count && "a sequence of the stream");
  std::ranges::fill(learnt, 1);
  uint64_t at = (order == Order::Shuffled ? permute(index, count, seed) : index) * length;
  if (raw) {
    for (size_t i = 0; i < ids.size(); ++i)
      ids[i] = idAt(raw->bytes().data(), rawWidth, at + i);
    std::ranges::fill(document, 0);
    return;
  }
  auto part = std::upper_bound(parts.begin(), parts.end(), at,
                               [](uint64_t token, const Part &other) { return token < other.begin; }) -
              1;
  int32_t number = 0;
  for (size_t done = 0; done < ids.size(); ++part) {
    uint64_t inside = at + done - part->begin, left = part->shard.header().tokens - inside;
    size_t size = std::min<uint64_t>(left, ids.size() - done);
    part->shard.copy(inside, ids.subspan(done, size));
    if (part->answers && !learnt.empty())
      part->answers->copy(inside, learnt.subspan(done, size));
    uint64_t current = part->shard.documentOf(inside), end = part->shard.documentStart(current + 1);
    if (done > 0 && size > 0)
      ++number; // a shard begins with a document
    for (size_t i = 0; i < size; ++i) {
      if (inside + i == end) {
        end = part->shard.documentStart(++current + 1);
        ++number;
      }
      document[done + i] = number;
    }
    done += size;
  }
}

} // namespace sinter::data
