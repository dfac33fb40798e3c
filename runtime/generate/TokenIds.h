// SPDX-License-Identifier: Apache-2.0
// Token ids as users write them.
#ifndef SINTER_RUNTIME_GENERATE_TOKENIDS_H
#define SINTER_RUNTIME_GENERATE_TOKENIDS_H

#include "runtime/Result.h"
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sinter {

/// What --detokenize reads: a JSON array of ids below `vocabulary`. An error says where the first bad one
/// stands.
Result<std::vector<int32_t>> parseIdArray(std::string text, int64_t vocabulary);

/// What --prompt-tokens takes: "1,2,3", blanks and brackets allowed. Ids are not negative; at least one.
Result<std::vector<int32_t>> parseIdList(std::string_view text);

} // namespace sinter

#endif // SINTER_RUNTIME_GENERATE_TOKENIDS_H
