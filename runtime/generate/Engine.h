// SPDX-License-Identifier: Apache-2.0
// Runs any number of tokens through a session: cuts prompts into the chunks that an entry is planned for, and
// asks for logits in the groups that it is planned for.
#ifndef SINTER_RUNTIME_GENERATE_ENGINE_H
#define SINTER_RUNTIME_GENERATE_ENGINE_H

#include "runtime/device/Device.h"
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace sinter {

class Engine {
public:
  /// Takes row number (of the call's tokens) and its logits (vocabulary), which are valid during the call
  /// only.
  using Visit = std::function<void(size_t row, std::span<const float> logits)>;

  /// Takes row number and the token drawn for it; where none can be drawn, -1 and the logits.
  using VisitToken = std::function<void(size_t row, int32_t token, std::span<const float> logits)>;

  /// Tokens drawn after a prompt. Where one of them is -1, none could be drawn from `logits`.
  struct Drawn {
    std::span<const int32_t> tokens;
    std::span<const float> logits;
  };

  Engine(const sinter_model &model, std::unique_ptr<device::Session> session);

  /// Whether the device draws tokens: prefillAndDraw and decodeAndDraw may be called.
  bool draws() const { return session->maxDraws() > 0; }
  /// Logits that it can adjust before that, of all draws together.
  int64_t maxAdjustments() const { return session->maxAdjustments(); }

  /// Evaluates `tokens` (at least one) at positions `at`, at + 1, ... of `slot`. Returns the logits of the
  /// last; they are valid until the next call. Once `interrupt` is set it stops after the chunk at work, and
  /// returns none; `evaluated` counts the tokens that were evaluated. This and all else fails when the device
  /// does.
  Result<std::span<const float>> prefill(int32_t slot, std::span<const int32_t> tokens, int64_t at,
                                         const std::atomic<bool> *interrupt = nullptr,
                                         int64_t *evaluated = nullptr);

  /// The same, and visits the logits of every token; once `interrupt` is set, of those of the chunks done.
  Result<void> score(int32_t slot, std::span<const int32_t> tokens, int64_t at, const Visit &visit,
                     const std::atomic<bool> *interrupt = nullptr);

  /// Evaluates one token each of several sequences, and visits the logits of each in order.
  Result<void> decode(std::span<const int32_t> tokens, std::span<const int32_t> positions,
                      std::span<const int32_t> slots, const Visit &visit);

  /// As prefill, with tokens drawn from the logits of the last token by each of `plans`, in place of the
  /// logits. Once `interrupt` is set it returns none. `adjustments`: of all plans.
  Result<Drawn> prefillAndDraw(int32_t slot, std::span<const int32_t> tokens, int64_t at,
                               std::span<const sinter_sampling> plans,
                               std::span<const sinter_adjustment> adjustments,
                               const std::atomic<bool> *interrupt = nullptr, int64_t *evaluated = nullptr);

  /// As decode, with a token drawn after each by its own of `plans`, in which it sets the row of logits.
  Result<void> decodeAndDraw(std::span<const int32_t> tokens, std::span<const int32_t> positions,
                             std::span<const int32_t> slots, std::span<sinter_sampling> plans,
                             std::span<const sinter_adjustment> adjustments, const VisitToken &visit);

  Result<void> copyPrefix(int32_t from, int32_t to, int64_t tokens) {
    return session->copyPrefix(from, to, tokens);
  }
  int64_t capacity() const { return session->capacity(); }

private:
  /// The chunks of a prompt but the last, which it returns; none when interrupted.
  Result<std::optional<device::Rows>> runToLastChunk(int32_t slot, std::span<const int32_t> tokens,
                                                     int64_t at, const std::atomic<bool> *interrupt,
                                                     int64_t *evaluated);
  /// Visits the logits of rows 0 to count - 1 of a run whose row 0 is number `first` of the caller's. `rows`
  /// is run with the first group.
  Result<void> visitAll(const device::Rows &rows, size_t first, const Visit &visit);
  device::Rows chunk(int32_t slot, std::span<const int32_t> tokens, int64_t at);
  std::span<const float> row(size_t index) const {
    return {session->logits() + index * size_t(vocabulary), size_t(vocabulary)};
  }

  const int64_t vocabulary;
  std::unique_ptr<device::Session> session;
  std::vector<int32_t> positions, slots; // of a chunk of prefill
  std::vector<int32_t> ascending;        // 0, 1, 2, ...
};

} // namespace sinter

#endif // SINTER_RUNTIME_GENERATE_ENGINE_H
