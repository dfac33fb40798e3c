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

Result<std::optional<Rows>> Engine::runToLastChunk(int32_t slot, std::span<const int32_t> tokens, int64_t at,
                                                   const std::atomic<bool> *interrupt, int64_t *evaluated) {
  assert(!tokens.empty() && at + int64_t(tokens.size()) <= capacity() && "prompt longer than the cache");
  const size_t most = size_t(session->maxRows(EntryKind::Prefill));
  while (true) {
    if (interrupt && interrupt->load(std::memory_order_relaxed))
      return std::nullopt;
    const size_t count = std::min(most, tokens.size());
    const Rows rows = chunk(slot, tokens.first(count), at);
    if (count == tokens.size())
      return rows;
    if (Result<void> done = session->run(rows, {}); !done)
      return tl::unexpected(done.error());
    if (evaluated)
      *evaluated += int64_t(count);
    tokens = tokens.subspan(count);
    at += int64_t(count);
  }
}

Result<std::span<const float>> Engine::prefill(int32_t slot, std::span<const int32_t> tokens, int64_t at,
                                               const std::atomic<bool> *interrupt, int64_t *evaluated) {
  const Result<std::optional<Rows>> last = runToLastChunk(slot, tokens, at, interrupt, evaluated);
  if (!last)
    return tl::unexpected(last.error());
  if (!*last)
    return std::span<const float>();
  const int32_t select = int32_t((*last)->tokens.size()) - 1;
  if (Result<void> done = session->run(**last, {&select, 1}); !done)
    return tl::unexpected(done.error());
  if (evaluated)
    *evaluated += int64_t((*last)->tokens.size());
  return row(0);
}

Result<Engine::Drawn> Engine::prefillAndDraw(int32_t slot, std::span<const int32_t> tokens, int64_t at,
                                             std::span<const sinter_sampling> plans,
                                             std::span<const sinter_adjustment> adjustments,
                                             const std::atomic<bool> *interrupt, int64_t *evaluated) {
  const Result<std::optional<Rows>> last = runToLastChunk(slot, tokens, at, interrupt, evaluated);
  if (!last)
    return tl::unexpected(last.error());
  if (!*last)
    return Drawn{};
  const int32_t select = int32_t((*last)->tokens.size()) - 1;
  const Result<std::span<const int32_t>> drawn =
      session->runAndDraw(**last, {&select, 1}, plans, adjustments);
  if (!drawn)
    return tl::unexpected(drawn.error());
  if (evaluated)
    *evaluated += int64_t((*last)->tokens.size());
  if (std::all_of(drawn->begin(), drawn->end(), [](int32_t token) { return token >= 0; }))
    return Drawn{*drawn, {}};
  if (Result<void> fetched = session->fetchLogits(); !fetched)
    return tl::unexpected(fetched.error());
  return Drawn{*drawn, row(0)};
}

Result<void> Engine::decodeAndDraw(std::span<const int32_t> tokens, std::span<const int32_t> where,
                                   std::span<const int32_t> which, std::span<sinter_sampling> plans,
                                   std::span<const sinter_adjustment> adjustments, const VisitToken &visit) {
  const EntryKind entry = EntryKind::Decode;
  const size_t most =
      size_t(std::min({session->maxRows(entry), session->maxSelected(entry), session->maxDraws()}));
  for (size_t first = 0; first < tokens.size(); first += most) {
    const size_t count = std::min(most, tokens.size() - first);
    size_t adjusted = 0;
    for (size_t i = 0; i < count; ++i) {
      plans[first + i].row = int32_t(i);
      adjusted += plans[first + i].adjustment_count;
    }
    const Result<std::span<const int32_t>> drawn = session->runAndDraw(
        {entry, tokens.subspan(first, count), where.subspan(first, count), which.subspan(first, count)},
        {ascending.data(), count}, plans.subspan(first, count), adjustments.first(adjusted));
    adjustments = adjustments.subspan(adjusted);
    if (!drawn)
      return tl::unexpected(drawn.error());
    for (size_t i = 0; i < count; ++i) {
      const bool failed = (*drawn)[i] < 0;
      if (failed)
        if (Result<void> fetched = session->fetchLogits(); !fetched)
          return fetched;
      visit(first + i, (*drawn)[i], failed ? row(i) : std::span<const float>());
    }
  }
  return {};
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
