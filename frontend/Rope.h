// SPDX-License-Identifier: Apache-2.0
// Makes the frequencies of rotary positions from what configurations say about them.
#ifndef SINTER_FRONTEND_ROPE_H
#define SINTER_FRONTEND_ROPE_H

#include "frontend/Config.h"

#include <span>
#include <string>

namespace sinter {

/// The parameters of transformers' modeling_rope_utils, under its names; llama.cpp's are mapped to them.
struct RopeParameters {
  std::string type = "default"; ///< default, linear, dynamic, yarn, llama3, longrope
  double theta = 10000;
  int64_t columns = 0;       ///< of a head that turn: head_dim * partial_rotary_factor
  int64_t contextLength = 0; ///< max_position_embeddings
  int64_t originalContext = 0;
  std::optional<double> factor = std::nullopt, attentionFactor = std::nullopt, mscale = std::nullopt,
                        mscaleAllDim = std::nullopt, betaFast = std::nullopt, betaSlow = std::nullopt;
  double lowFrequencyFactor = 1, highFrequencyFactor = 4;
  bool truncate = true;
  std::vector<double> shortFactors = {}, longFactors = {};
};

/// Frequencies in f32 arithmetic, as torch computes them. The type is one of the six, and its lists have
/// columns / 2 entries.
Rope makeRope(const RopeParameters &parameters);

/// Divides the frequencies by the factors of GGUF's tensor `rope_freqs.weight`.
void divideFrequencies(Rope &rope, std::span<const float> factors);

} // namespace sinter

#endif // SINTER_FRONTEND_ROPE_H
