// SPDX-License-Identifier: Apache-2.0
// Chunks of prefill and groups of logits.
#include "runtime/generate/Engine.h"
#include <algorithm>
#include <cassert>
#include <numeric>

namespace sinter {

using device::EntryKind;
using device::Rows;

Engine::Engine(const sinter_model &model, std::unique_ptr<device::Session> given)
    : vocabulary(model.vocabulary), session(std::move(given)) {
  const int64_t rows = std::max(session->maxRows(EntryKind::Prefill), session->maxRows(EntryKind::Decode));
  positions.resize(size_t(rows));
  slots.resize(size_t(rows));
  ascending.resize(size_t(rows));
  std::iota(ascending.begin(), ascending.end(), 0);
}

/// The rows of a prefill step; a single token goes through `decode`, which is planned for it.
Rows Engine::chunk(int32_t slot, std::span<const int32_t> tokens, int64_t at) {
  const size_t count = tokens.size();
  std::iota(positions.begin(), positions.begin() + ptrdiff_t(count), int32_t(at));
  std::fill_n(slots.begin(), count, slot);
  return {count == 1 ? EntryKind::Decode : EntryKind::Prefill,
          tokens,
          {positions.data(), count},
          {slots.data(), count}};
}

Result<std::span<const float>> Engine::prefill(int32_t slot, std::span<const int32_t> tokens, int64_t at,
                                               const std::atomic<bool> *interrupt, int64_t *evaluated) {
  assert(!tokens.empty() && at + int64_t(tokens.size()) <= capacity() && "prompt longer than the cache");
  const size_t most = size_t(session->maxRows(EntryKind::Prefill));
  while (true) {
    if (interrupt && interrupt->load(std::memory_order_relaxed))
      return std::span<const float>();
    const size_t count = std::min(most, tokens.size());
    const bool last = count == tokens.size();
    const int32_t select = int32_t(count) - 1;
    const Result<void> done =
        session->run(chunk(slot, tokens.first(count), at), {&select, last ? size_t(1) : 0});
    if (!done)
      return tl::unexpected(done.error());
    if (evaluated)
      *evaluated += int64_t(count);
    if (last)
      return row(0);
    tokens = tokens.subspan(count);
    at += int64_t(count);
  }
}

Result<void> Engine::score(int32_t slot, std::span<const int32_t> tokens, int64_t at, const Visit &visit,
                           const std::atomic<bool> *interrupt) {
  assert(at + int64_t(tokens.size()) <= capacity() && "text longer than the cache");
  const size_t most = size_t(session->maxRows(EntryKind::Prefill));
  for (size_t first = 0; first < tokens.size(); first += most) {
    if (interrupt && interrupt->load(std::memory_order_relaxed))
      return {};
    const size_t count = std::min(most, tokens.size() - first);
    const Rows rows = chunk(slot, tokens.subspan(first, count), at + int64_t(first));
    if (Result<void> done = visitAll(rows, first, visit); !done)
      return done;
  }
  return {};
}

Result<void> Engine::decode(std::span<const int32_t> tokens, std::span<const int32_t> where,
                            std::span<const int32_t> which, const Visit &visit) {
  const size_t most = size_t(session->maxRows(EntryKind::Decode));
  for (size_t first = 0; first < tokens.size(); first += most) {
    const size_t count = std::min(most, tokens.size() - first);
    const Rows rows = {EntryKind::Decode, tokens.subspan(first, count), where.subspan(first, count),
                       which.subspan(first, count)};
    if (Result<void> done = visitAll(rows, first, visit); !done)
      return done;
  }
  return {};
}

Result<void> Engine::visitAll(const Rows &rows, size_t first, const Visit &visit) {
  const size_t count = rows.tokens.size();
  const size_t group = size_t(session->maxSelected(rows.entry));
  for (size_t begin = 0; begin < count; begin += group) {
    const std::span<const int32_t> select(ascending.data() + begin, std::min(group, count - begin));
    if (Result<void> done = begin == 0 ? session->run(rows, select) : session->runHead(select); !done)
      return done;
    for (size_t i = 0; i < select.size(); ++i)
      visit(first + begin + i, row(i));
  }
  return {};
}

} // namespace sinter
