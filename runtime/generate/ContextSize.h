// SPDX-License-Identifier: Apache-2.0
// How many tokens a session holds: what was asked for, else the model's context, else what fits the memory.
#ifndef SINTER_RUNTIME_GENERATE_CONTEXT_SIZE_H
#define SINTER_RUNTIME_GENERATE_CONTEXT_SIZE_H

#include "runtime/Result.h"
#include "runtime/device/Device.h"
#include <cstdint>
#include <optional>

namespace sinter {

struct ContextWish {
  int64_t tokens = 0; ///< 0: the model's own
  int64_t needed = 0; ///< no more than that will be used; 0: not known
  int slots = 1;      ///< sequences side by side
  std::optional<sinter_dtype> cacheDtype;
};

struct ContextSize {
  int64_t tokens;
  bool reduced; ///< half of the free memory holds no more
};

/// Tokens of context that a model has when nobody says otherwise.
int64_t modelContext(const sinter_model &model);

/// Keys and values of a context that was asked for must fit the device's memory, else this fails; the model's
/// own shrinks to what half of the free memory holds.
Result<ContextSize> chooseContext(const sinter_model &model, const device::Device &device,
                                  const ContextWish &wish);

} // namespace sinter

#endif // SINTER_RUNTIME_GENERATE_CONTEXT_SIZE_H
