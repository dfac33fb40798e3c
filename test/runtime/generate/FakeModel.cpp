// SPDX-License-Identifier: Apache-2.0
// Four launches that use every kind of buffer and grid as real ones do: tokens go into keys (panels) and
// values (rows), tiles of keys give partial sums, a combination of them gives a row's state, the head gives
// logits.
#include "test/runtime/generate/FakeModel.h"
#include <algorithm>
#include <cstring>
#include <limits>

namespace sinter::fake {

const char metadata[] =
    R"({"name":"fake","architecture":"hash","parameters":1000,"compiler":"sinter test","bos":256,"eos":[257],)"
    R"("dtypes":{"F32":64},"sampling":{"top_k":50},"special_tokens":{"bos_token":"<s>","eos_token":"</s>"},)"
    R"("chat_template":"{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}\n{% endfor %}[assistant]"})";

namespace {

constexpr int64_t dim = 16, keysPerTile = 32, maxRows = 24, decodeRows = 3, maxSelected = 5;

uint64_t mix(uint64_t x) { // SplitMix64's finalizer
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}
uint64_t tokenHash(int64_t position, int32_t token) {
  return mix(uint64_t(position) * 1000003 + uint64_t(token) + 1);
}

float logitOfState(uint64_t state, int32_t last, int32_t next) {
  if (last == 1)
    return std::numeric_limits<float>::quiet_NaN();
  if (last == 3 && next == 'a')
    return 1e4f;
  const char *const forced = "#\xE4\xB8\xAD";
  for (int i = 0; i < 3; ++i)
    if (last == uint8_t(forced[i]) && next == uint8_t(forced[i + 1]))
      return 40;
  if (last == '.' && next == endToken)
    return 40;
  const bool usual = (next >= 'a' && next <= 'z') || next == ' ' || next == '.';
  return float(mix(state + uint64_t(next)) >> 40) * 0x1p-22f + (usual ? 8.0f : 0.0f);
}

struct Row {
  uint64_t state;
  int32_t last;
  int32_t broken; // the cache's keys and values disagree
};

// buffers: K, V
void store(const sinter_call *call, int64_t begin, int64_t end) {
  const sinter_step &s = *call->step;
  for (int64_t row = begin; row < end; ++row) {
    auto *keys =
        reinterpret_cast<float *>(static_cast<char *>(call->buffers[0]) + s.slots[row] * s.cache_slot_bytes);
    auto *values =
        reinterpret_cast<float *>(static_cast<char *>(call->buffers[1]) + s.slots[row] * s.cache_slot_bytes);
    const int64_t position = s.positions[row];
    for (int64_t d = 0; d < dim; ++d) {
      keys[(position / SINTER_CACHE_PANEL * dim + d) * SINTER_CACHE_PANEL + position % SINTER_CACHE_PANEL] =
          float(s.tokens[row] + d);
      values[position * dim + d] = float(s.tokens[row] + d);
    }
  }
}

struct Partial {
  uint64_t sum;
  uint64_t broken;
};

// buffers: K, V, partial
void sum(const sinter_call *call, int64_t begin, int64_t end) {
  const sinter_step &s = *call->step;
  const int64_t tiles = (s.keys + keysPerTile - 1) / keysPerTile;
  const int64_t stride = (s.cache_tokens + keysPerTile - 1) / keysPerTile;
  auto *partial = static_cast<Partial *>(call->buffers[2]);
  for (int64_t tile = begin; tile < end; ++tile) {
    const int64_t row = tile / tiles, part = tile % tiles;
    const auto *keys = reinterpret_cast<const float *>(static_cast<char *>(call->buffers[0]) +
                                                       s.slots[row] * s.cache_slot_bytes);
    const auto *values = reinterpret_cast<const float *>(static_cast<char *>(call->buffers[1]) +
                                                         s.slots[row] * s.cache_slot_bytes);
    Partial result = {0, 0};
    const int64_t last = std::min((part + 1) * keysPerTile, int64_t(s.positions[row]) + 1);
    for (int64_t key = part * keysPerTile; key < last; ++key) {
      result.sum += tokenHash(key, int32_t(values[key * dim]));
      for (int64_t d = 0; d < dim; ++d)
        result.broken +=
            keys[(key / SINTER_CACHE_PANEL * dim + d) * SINTER_CACHE_PANEL + key % SINTER_CACHE_PANEL] !=
            values[key * dim + d];
    }
    partial[row * stride + part] = result;
  }
}

// buffers: partial, rows
void combine(const sinter_call *call, int64_t begin, int64_t end) {
  const sinter_step &s = *call->step;
  const int64_t stride = (s.cache_tokens + keysPerTile - 1) / keysPerTile;
  for (int64_t row = begin; row < end; ++row) {
    const auto *partial = static_cast<const Partial *>(call->buffers[0]) + row * stride;
    Row result = {0, s.tokens[row], 0};
    for (int64_t part = 0; part <= s.positions[row] / keysPerTile; ++part) {
      result.state += partial[part].sum;
      result.broken += int32_t(partial[part].broken);
    }
    static_cast<Row *>(call->buffers[1])[row] = result;
  }
}

constexpr int64_t logitsPerTile = 50, rowsPerTile = 4;

// buffers: rows, logits, weights
void head(const sinter_call *call, int64_t begin, int64_t end) {
  const sinter_step &s = *call->step;
  const int64_t rowTiles = (s.selected + rowsPerTile - 1) / rowsPerTile;
  const auto *rows = static_cast<const Row *>(call->buffers[0]);
  const auto *weights = static_cast<const float *>(call->buffers[2]);
  std::memset(call->scratch, 0xEE, 256); // it is ours
  for (int64_t tile = begin; tile < end; ++tile) {
    const int64_t column = tile / rowTiles * logitsPerTile, first = tile % rowTiles * rowsPerTile;
    for (int64_t i = first; i < std::min(first + rowsPerTile, s.selected); ++i) {
      const Row &row = rows[s.select[i]];
      for (int64_t next = column; next < column + logitsPerTile; ++next)
        s.logits[i * vocabulary + next] =
            weights[0] * (row.broken ? std::numeric_limits<float>::quiet_NaN()
                                     : logitOfState(row.state, row.last, int32_t(next)));
    }
  }
}

const sinter_buffer storeBuffers[] = {{SINTER_SPACE_CACHE_K, 0, 0}, {SINTER_SPACE_CACHE_V, 0, 0}};
const sinter_buffer sumBuffers[] = {
    {SINTER_SPACE_CACHE_K, 0, 0}, {SINTER_SPACE_CACHE_V, 0, 0}, {SINTER_SPACE_PARTIAL, 0, 0}};
const sinter_buffer combineBuffers[] = {{SINTER_SPACE_PARTIAL, 0, 0}, {SINTER_SPACE_ARENA, 0, 64}};
const sinter_buffer headBuffers[] = {
    {SINTER_SPACE_ARENA, 0, 64}, {SINTER_SPACE_LOGITS, 0, 0}, {SINTER_SPACE_WEIGHT, 0, 4}};

const sinter_launch launches[] = {
    {"store", {store, store, nullptr}, {1, 1, 0, SINTER_DOMAIN_ROWS, 0}, storeBuffers, 2, 0, 16},
    {"sum", {sum, sum, nullptr}, {1, 1, keysPerTile, SINTER_DOMAIN_ROWS, 0}, sumBuffers, 3, 0, 0},
    {"combine", {combine, combine, nullptr}, {1, 1, 0, SINTER_DOMAIN_ROWS, 0}, combineBuffers, 2, 0, 1},
    {"head",
     {head, head, nullptr},
     {vocabulary / logitsPerTile, rowsPerTile, 0, SINTER_DOMAIN_SELECTED, 0},
     headBuffers,
     3,
     64,
     vocabulary}};

constexpr uint64_t arenaBytes = 64 + maxRows * sizeof(Row);
const sinter_program programs[] = {{SINTER_F32,
                                    0,
                                    {"prefill", launches, 4, 3, maxRows, maxSelected, arenaBytes, 256},
                                    {"decode", launches, 4, 3, decodeRows, decodeRows, arenaBytes, 256}}};
const sinter_cache_layer layers[] = {{1, dim, dim, 0}};
alignas(64) const float weights[16] = {0, 1.0f};

} // namespace

float logitOf(std::span<const int32_t> tokens, int32_t next) {
  uint64_t state = 0;
  for (size_t i = 0; i < tokens.size(); ++i)
    state += tokenHash(int64_t(i), tokens[i]);
  return logitOfState(state, tokens.back(), next);
}

} // namespace sinter::fake

using namespace sinter::fake;

extern "C" const struct sinter_model sinter_model = {SINTER_ABI_VERSION,
                                                     3,
                                                     "fake",
                                                     vocabulary,
                                                     context,
                                                     programs,
                                                     1,
                                                     layers,
                                                     1,
                                                     sizeof(Partial),
                                                     keysPerTile,
                                                     {weights, sizeof weights},
                                                     0x1234,
                                                     {nullptr, 0},
                                                     {metadata, std::char_traits<char>::length(metadata)}};
