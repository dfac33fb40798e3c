// SPDX-License-Identifier: Apache-2.0
// Everything that a model's configuration says about its graph, whichever file it came from.
#ifndef SINTER_FRONTEND_CONFIG_H
#define SINTER_FRONTEND_CONFIG_H

#include "runtime/Result.h"
#include "runtime/files/Gguf.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sinter {

struct Architecture;

enum class NormKind { Rms, Layer };
enum class Activation { Silu, Relu, Sigmoid, Tanh, Gelu, GeluTanh, QuickGelu };
/// What normalises queries and keys before they are rotated.
enum class QueryKeyNorm {
  None,
  Head,    ///< one weight of a head's width, for every head (Qwen3, Gemma 3)
  Row,     ///< over all heads together (OLMo 2)
  PerHead, ///< each head by itself with a weight of its own, a layer norm without bias (StableLM)
};

/// Rotary positions: the frequencies, whatever they were made from. `frontend/Rope.h` makes them.
struct Rope {
  std::vector<float> frequencies; ///< radians a position; twice as many columns of each head turn
  double factor = 1;              ///< of cosines and sines (YaRN, longrope)
  /// longrope: used instead once the sequence is longer than `longFrom` tokens; else empty.
  std::vector<float> longFrequencies;
  int64_t longFrom = 0;
  /// Dynamic NTK, see lm.dynamic_ntk.
  struct Dynamic {
    double base, factor;
    int64_t length;
  };
  std::optional<Dynamic> dynamic;
};

/// Far beyond every model, and small enough that no size computed from these overflows 64 bits.
inline constexpr int64_t maxVocabulary = 1 << 24, maxWidth = 1 << 20, maxHeads = 1 << 16,
                         maxHeadDim = 1 << 16, maxLayers = 1 << 12, maxExperts = 1 << 12;
/// Experts of all layers together.
inline constexpr int64_t maxAllExperts = 1 << 18;

struct LayerConfig {
  std::optional<int64_t> window = std::nullopt; ///< tokens a row sees, itself included; none: all
  int rope = -1;             ///< index into ModelConfig::ropes; -1: positions do not enter here
  double attentionScale = 0; ///< of q.k
  bool experts = false;      ///< a mixture of experts instead of one feed-forward layer
};

/// How to draw tokens, where the model's files say it.
struct GenerationDefaults {
  std::optional<double> temperature, topP, minP, repetitionPenalty;
  std::optional<int64_t> topK;
};

/// Shares that are dropped while training: of the embedding, of attention's probabilities, and of what
/// attention and feed-forward layers add to the residual stream.
struct DropoutRates {
  double embedding = 0, attention = 0, attentionOutput = 0, mlp = 0;
  bool any() const { return embedding > 0 || attention > 0 || attentionOutput > 0 || mlp > 0; }
};

struct ModelConfig {
  const Architecture *architecture = nullptr;
  std::string name; ///< of the model: general.name, or the folder's

  int64_t vocabulary = 0; ///< rows of the embedding and of the logits
  int64_t hidden = 0;
  int64_t embedding = 0; ///< width of the embedding: hidden, but for OPT with its projections
  int64_t intermediate = 0;
  int64_t heads = 0, keyValueHeads = 0, headDim = 0;
  int64_t contextLength = 0; ///< positions the model was made for; 0: no limit
  std::vector<LayerConfig> layers;
  std::vector<Rope> ropes;
  std::vector<float> alibi;     ///< slope of each head; empty: no ALiBi
  int64_t learnedPositions = 0; ///< rows of the table of positions; 0: none
  int64_t positionOffset = 0;   ///< row of position 0 in that table

  NormKind norm = NormKind::Rms;
  double epsilon = 1e-5;
  double normOffset = 0;  ///< 1: the file holds weight - 1 (Gemma in Hugging Face folders)
  bool normWeight = true; ///< false: norms only normalise
  bool normBias = false;  ///< of layer norms
  bool embeddingNorm = false;
  bool finalNorm = true;
  QueryKeyNorm queryKeyNorm = QueryKeyNorm::None;

  bool fusedQueryKeyValue = false; ///< one matrix in the file and in the graph
  bool queryKeyValueBias = false, attentionOutputBias = false, mlpBias = false, headBias = false;
  bool gatedMlp = true;
  Activation activation = Activation::Silu;
  std::optional<double> clipQueryKeyValue; ///< limit of their magnitude (MPT)
  std::optional<double> attentionSoftcap, finalSoftcap;
  double embeddingScale = 1;
  bool tied = false; ///< the head's weight is the embedding

  bool parallelResidual = false; ///< x + attention(norm(x)) + mlp(norm'(x))
  bool residualFromNorm = false; ///< BLOOM: the residual is the norm's result
  bool normBefore = true;        ///< OPT: norms stand before attention and MLP, else behind the sums

  int64_t experts = 0, expertsPerToken = 0, expertIntermediate = 0;
  bool normaliseExperts = false; ///< the weights of the chosen experts sum to 1

  DropoutRates dropout; ///< nothing, but for a graph to train by (compiler/ConfigOfTraining.h)

  std::optional<int64_t> bos;
  std::vector<int64_t> eos; ///< any of them ends a text
  GenerationDefaults generation;

  bool hasToken(int64_t id) const { return id >= 0 && id < vocabulary; }
  /// Whether products of sizes stay below the limits above, and what would.
  bool headsFit() const { return heads * headDim <= maxWidth; }
  bool expertsFit() const { return experts * static_cast<int64_t>(layers.size()) <= maxAllExperts; }
  std::string fittingHeads() const;
  std::string fittingExperts() const;
};

/// Reads FOLDER/config.json and FOLDER/generation_config.json, or a config.json by itself. Keys mean what
/// they mean to transformers 5; what would change the answer and is not supported is an error.
Result<ModelConfig> readHuggingFaceConfig(const std::string &folderOrFile);

/// Reads the metadata of a GGUF file as llama.cpp writes it; some facts (biases, tied embeddings, scaled
/// frequencies) are told by which tensors it holds.
Result<ModelConfig> readGgufConfig(const Gguf &file);

} // namespace sinter

#endif // SINTER_FRONTEND_CONFIG_H
