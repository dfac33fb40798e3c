// SPDX-License-Identifier: Apache-2.0
// Whether stored numbers are numbers.
#ifndef SINTER_RUNTIME_FILES_FINITENUMBERS_H
#define SINTER_RUNTIME_FILES_FINITENUMBERS_H

#include "runtime/files/BlockFormats.h"

namespace sinter {

/// The first number (of a quantised format: of the first block) in `row`, whole blocks of `format`, that is
/// NaN or infinite; -1 if there is none. Decodes nothing: as fast as reading the row.
int64_t findNonFinite(const BlockFormat &format, std::span<const std::byte> row);

} // namespace sinter

#endif // SINTER_RUNTIME_FILES_FINITENUMBERS_H
