// SPDX-License-Identifier: Apache-2.0
// A model whose kernels are written by hand: its logits are a hash of all tokens in the row's cache, bent so
// that text looks like words, ends with a full stop and can be steered by the prompt. It goes wrong (NaN)
// when the cache does not hold what was put in.
#ifndef SINTER_TEST_RUNTIME_GENERATE_FAKEMODEL_H
#define SINTER_TEST_RUNTIME_GENERATE_FAKEMODEL_H

#include "runtime/abi.h"
#include "runtime/generate/Codec.h"
#include <cstdint>
#include <span>

namespace sinter::fake {

inline constexpr int64_t vocabulary = 300; // 256 bytes, begin, end, padding
inline constexpr int32_t beginToken = 256, endToken = 257;
inline constexpr int64_t context = 512;

/// '#' is followed by the three bytes of U+4E2D, '.' by the end, byte 1 by NaN, byte 3 by
/// 'a', than which all else is e^-10000 times as probable.
float logitOf(std::span<const int32_t> tokens, int32_t next);

extern const char metadata[];

/// Bytes are tokens; "add special" puts the begin token in front.
Result<std::unique_ptr<Codec>> openByteCodec(const sinter_model &model);

} // namespace sinter::fake

extern "C" const struct sinter_model sinter_model;

#endif // SINTER_TEST_RUNTIME_GENERATE_FAKEMODEL_H
