// SPDX-License-Identifier: Apache-2.0
// The types that `--weights` may ask for.
#ifndef SINTER_FRONTEND_WANTEDFORMAT_H
#define SINTER_FRONTEND_WANTEDFORMAT_H

#include "runtime/files/BlockFormats.h"

namespace sinter {

/// keep (null: each weight as it is in the file), f32, bf16, f16, q8_0, q4_0 or q4_1.
Result<const BlockFormat *> wantedWeights(std::string_view name);

} // namespace sinter

#endif // SINTER_FRONTEND_WANTEDFORMAT_H
