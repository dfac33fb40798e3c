// SPDX-License-Identifier: Apache-2.0
// What the numbers of sampling may be: for flags, for the metadata in a program, and for what model files
// say, so that whatever compiles also starts.
#ifndef SINTER_RUNTIME_GENERATE_SAMPLINGRANGES_H
#define SINTER_RUNTIME_GENERATE_SAMPLINGRANGES_H

#include <cstdint>
#include <limits>

namespace sinter::sampling {

template <typename Number> struct Range {
  Number least, most;
  bool contains(double value) const { return value >= double(least) && value <= double(most); }
};

constexpr float largest = std::numeric_limits<float>::max();
constexpr Range<float> temperature = {0, largest};
constexpr Range<int32_t> topK = {0, std::numeric_limits<int32_t>::max()};
constexpr Range<float> topP = {0, 1};
constexpr Range<float> minP = {0, 1};
constexpr Range<float> repeatPenalty = {std::numeric_limits<float>::min(), largest}; // it divides
constexpr Range<float> penalty = {-largest, largest};                                // presence, frequency

} // namespace sinter::sampling

#endif // SINTER_RUNTIME_GENERATE_SAMPLINGRANGES_H
