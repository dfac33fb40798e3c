// SPDX-License-Identifier: Apache-2.0
// Quality filters as they were published, each with its name, source and thresholds, and each to be switched
// off.
#ifndef SINTER_RUNTIME_DATA_FILTERS_H
#define SINTER_RUNTIME_DATA_FILTERS_H

#include "runtime/data/Measures.h"

#include <span>
#include <string_view>
#include <vector>

namespace sinter::data {

struct Filter {
  std::string_view name;   // "gopher-length"
  std::string_view source; // the paper
  std::string_view drops;  // what it drops, with the threshold; what differs for Chinese
  bool (*matches)(const Measures &measures, std::string_view text);
};

/// Gopher: Rae et al. 2021 (arXiv:2112.11446), tables A1 and section A1.1. C4: Raffel et al. 2020
/// (arXiv:1910.10683), section 2.2. FineWeb: Penedo et al. 2024 (arXiv:2406.17557), section 3.6. A document
/// is counted for the first filter that drops it.
std::span<const Filter> filters();
/// Index by name, or -1.
int findFilter(std::string_view name);

/// The language by scripts, and for Latin letters by the most frequent words: an ISO 639-1 code, or "und".
std::string_view detectLanguage(std::string_view text);
/// All that detectLanguage() can give, sorted.
std::vector<std::string_view> languageNames();

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_FILTERS_H
