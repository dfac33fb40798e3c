// SPDX-License-Identifier: Apache-2.0
// What attention computes, over the rows of the step or over a cache, forward and backward.
#include "dialects/lm/Reference.h"
#include "dialects/lm/Dropout.h"

#include <cmath>
#include <limits>

using namespace mlir;
using namespace sinter::lm;

namespace {

/// A token that may be looked at.
struct Token {
  int64_t sequence, position;
  const double *key, *value; // (kv_heads, d), (kv_heads, e)
};

/// What all forms of attention share.
struct Heads {
  int64_t heads, kvHeads, queryDim, valueDim;
  double scale;
  std::optional<int64_t> window;
  std::optional<double> softcap;
  ArrayRef<float> alibi;

  template <typename AttentionLikeOp>
  Heads(AttentionLikeOp op, Value result)
      : heads(op.getHeads()), kvHeads(op.getKvHeads()), queryDim(width(op.getQuery()) / heads),
        valueDim(width(result) / heads), scale(op.getScale().convertToDouble()) {
    if (op.getWindow())
      window = static_cast<int64_t>(*op.getWindow());
    if (op.getSoftcap())
      softcap = op.getSoftcap()->convertToDouble();
    if (op.getAlibi())
      alibi = *op.getAlibi();
  }

  int64_t kvHead(int64_t head) const { return head / (heads / kvHeads); }

  bool sees(int64_t sequence, int64_t position, const Token &token) const {
    return token.sequence == sequence && token.position <= position &&
           (!window || token.position > position - *window);
  }

  /// scale * q.k, before softcap and alibi. `query` is the row's.
  double product(int64_t head, const double *query, const Token &token) const {
    double sum = 0;
    for (int64_t c = 0; c < queryDim; ++c)
      sum += query[head * queryDim + c] * token.key[kvHead(head) * queryDim + c];
    return sum * scale;
  }

  double score(int64_t head, const double *query, int64_t position, const Token &token) const {
    double score = product(head, query, token);
    if (softcap)
      score = *softcap * std::tanh(score / *softcap);
    return alibi.empty() ? score : score + alibi[head] * static_cast<double>(token.position - position);
  }
};

} // namespace

namespace {

/// What dropout multiplies probabilities of lm.attention by.
struct ProbabilityDropout {
  uint64_t seed = 0, site = 0;
  double rate = 0;

  template <typename Attention> ProbabilityDropout(Attention op, const Evaluation &evaluation) {
    if (!op.getSeed())
      return;
    seed = evaluation.tensor(op.getSeed()).wideId();
    site = *op.getSite();
    rate = op.getDropout()->convertToDouble();
  }
  double factor(int64_t row, const Heads &heads, int64_t head, int64_t distance) const {
    return rate == 0 ? 1 : dropoutFactor(seed, site, row * heads.heads + head, distance, rate);
  }
};

} // namespace

/// One head of one row: writes (valueDim) to `result` and gives the log of the sum of exp(score). `factor` of
/// the distance of a key is what its probability is multiplied by.
static double attend(const Heads &heads, int64_t head, const double *query, int64_t sequence,
                     int64_t position, ArrayRef<Token> tokens, double *result,
                     llvm::function_ref<double(int64_t)> factor) {
  struct Seen {
    double score;
    const Token *token;
  };
  std::vector<Seen> seen;
  double greatest = -std::numeric_limits<double>::infinity(), sum = 0;
  for (const Token &token : tokens)
    if (heads.sees(sequence, position, token)) {
      seen.push_back({heads.score(head, query, position, token), &token});
      greatest = std::max(greatest, seen.back().score);
    }
  for (auto [score, token] : seen)
    sum += std::exp(score - greatest);
  for (auto [score, token] : seen) {
    const double *value = token->value + heads.kvHead(head) * heads.valueDim;
    const double p = std::exp(score - greatest) / sum * factor(position - token->position);
    for (int64_t c = 0; c < heads.valueDim; ++c)
      result[c] += p * value[c];
  }
  return greatest + std::log(sum);
}

/// The rows of the step as tokens.
static std::vector<Token> stepTokens(const Tensor &key, const Tensor &value, const Tensor &positions,
                                     const Tensor &sequences) {
  std::vector<Token> tokens;
  for (int64_t i = 0; i < key.rows(); ++i)
    tokens.push_back({sequences.id(i), positions.id(i), key.row(i), value.row(i)});
  return tokens;
}

LogicalResult AttentionOp::evaluate(Evaluation &evaluation) {
  if (failed(evaluation.checkSameRows(*this,
                                      {getQuery(), getKey(), getValue(), getPositions(), getSequences()})))
    return failure();
  const Tensor &query = evaluation.tensor(getQuery());
  const Tensor &positions = evaluation.tensor(getPositions()), &sequences = evaluation.tensor(getSequences());
  std::vector<Token> tokens =
      stepTokens(evaluation.tensor(getKey()), evaluation.tensor(getValue()), positions, sequences);
  Heads heads(*this, getResult());
  ProbabilityDropout dropout(*this, evaluation);
  Tensor result = evaluation.zeros(getResult(), query.rows()), logSums({query.rows(), heads.heads});
  for (int64_t i = 0; i < query.rows(); ++i)
    for (int64_t h = 0; h < heads.heads; ++h)
      logSums.row(i)[h] = attend(heads, h, query.row(i), sequences.id(i), positions.id(i), tokens,
                                 result.row(i) + h * heads.valueDim,
                                 [&](int64_t distance) { return dropout.factor(i, heads, h, distance); });
  evaluation.set(getResult(), std::move(result));
  if (getLogSumExp())
    evaluation.set(getLogSumExp(), std::move(logSums));
  return success();
}

LogicalResult AppendOp::evaluate(Evaluation &evaluation) {
  if (failed(evaluation.checkSameRows(*this, {getKey(), getValue(), getPositions(), getSequences()})))
    return failure();
  const Tensor &key = evaluation.tensor(getKey()), &value = evaluation.tensor(getValue());
  const Tensor &positions = evaluation.tensor(getPositions()), &sequences = evaluation.tensor(getSequences());
  Cache cache = evaluation.cache(getCache());
  for (int64_t i = 0; i < key.rows(); ++i)
    cache[getLayer()].push_back({sequences.id(i),
                                 positions.id(i),
                                 {key.row(i), key.row(i) + key.rowSize()},
                                 {value.row(i), value.row(i) + value.rowSize()}});
  evaluation.set(getResult(), std::move(cache));
  return success();
}

LogicalResult CachedAttentionOp::evaluate(Evaluation &evaluation) {
  if (failed(evaluation.checkSameRows(*this, {getQuery(), getPositions(), getSequences()})))
    return failure();
  const Tensor &query = evaluation.tensor(getQuery());
  const Tensor &positions = evaluation.tensor(getPositions()), &sequences = evaluation.tensor(getSequences());
  const Cache &cache = evaluation.cache(getCache());
  Heads heads(*this, getResult());
  std::vector<Token> tokens;
  if (auto layer = cache.find(getLayer()); layer != cache.end())
    for (const CachedToken &token : layer->second) {
      if (token.key.size() != static_cast<size_t>(heads.kvHeads * heads.queryDim) ||
          token.value.size() != static_cast<size_t>(heads.kvHeads * heads.valueDim))
        return emitOpError() << "expected keys and values of widths " << heads.kvHeads * heads.queryDim
                             << " and " << heads.kvHeads * heads.valueDim << " in layer " << getLayer()
                             << ", found " << token.key.size() << " and " << token.value.size();
      tokens.push_back({token.sequence, token.position, token.key.data(), token.value.data()});
    }
  Tensor result = evaluation.zeros(getResult(), query.rows());
  for (int64_t i = 0; i < query.rows(); ++i) {
    auto isOwn = [&](const Token &t) {
      return t.sequence == sequences.id(i) && t.position == positions.id(i);
    };
    if (llvm::none_of(tokens, isOwn))
      return emitOpError() << "expected layer " << getLayer()
                           << " of the cache to hold the step's own rows, found no "
                           << "position " << positions.id(i) << " of sequence " << sequences.id(i);
    for (int64_t h = 0; h < heads.heads; ++h)
      attend(heads, h, query.row(i), sequences.id(i), positions.id(i), tokens,
             result.row(i) + h * heads.valueDim, [](int64_t) { return 1.0; });
  }
  evaluation.set(getResult(), std::move(result));
  return success();
}

LogicalResult AttentionBackwardOp::evaluate(Evaluation &evaluation) {
  if (failed(evaluation.checkSameRows(*this, {getGradient(), getQuery(), getKey(), getValue(), getOutput(),
                                              getLogSumExp(), getPositions(), getSequences()})))
    return failure();
  const Tensor &gradient = evaluation.tensor(getGradient()), &query = evaluation.tensor(getQuery());
  const Tensor &output = evaluation.tensor(getOutput()), &logSums = evaluation.tensor(getLogSumExp());
  const Tensor &positions = evaluation.tensor(getPositions()), &sequences = evaluation.tensor(getSequences());
  std::vector<Token> tokens =
      stepTokens(evaluation.tensor(getKey()), evaluation.tensor(getValue()), positions, sequences);
  Heads heads(*this, getOutput());
  ProbabilityDropout dropout(*this, evaluation);
  Tensor queryGradient = evaluation.zeros(getQueryGradient(), query.rows());
  Tensor keyGradient = evaluation.zeros(getKeyGradient(), query.rows());
  Tensor valueGradient = evaluation.zeros(getValueGradient(), query.rows());
  for (int64_t i = 0; i < query.rows(); ++i)
    for (int64_t h = 0; h < heads.heads; ++h) {
      const double *g = gradient.row(i) + h * heads.valueDim, *o = output.row(i) + h * heads.valueDim;
      double delta = 0;
      for (int64_t c = 0; c < heads.valueDim; ++c)
        delta += g[c] * o[c];
      for (int64_t j = 0; j < query.rows(); ++j) {
        const Token &token = tokens[j];
        if (!heads.sees(sequences.id(i), positions.id(i), token))
          continue;
        double p = std::exp(heads.score(h, query.row(i), positions.id(i), token) - logSums.row(i)[h]);
        double along = 0, factor = dropout.factor(i, heads, h, positions.id(i) - token.position);
        for (int64_t c = 0; c < heads.valueDim; ++c) {
          along += g[c] * token.value[heads.kvHead(h) * heads.valueDim + c];
          valueGradient.row(j)[heads.kvHead(h) * heads.valueDim + c] += factor * p * g[c];
        }
        double scoreGradient = p * (factor * along - delta) * heads.scale;
        if (heads.softcap) {
          double t = std::tanh(heads.product(h, query.row(i), token) / *heads.softcap);
          scoreGradient *= 1 - t * t;
        }
        for (int64_t c = 0; c < heads.queryDim; ++c) {
          queryGradient.row(i)[h * heads.queryDim + c] +=
              scoreGradient * token.key[heads.kvHead(h) * heads.queryDim + c];
          keyGradient.row(j)[heads.kvHead(h) * heads.queryDim + c] +=
              scoreGradient * query.row(i)[h * heads.queryDim + c];
        }
      }
    }
  evaluation.set(getQueryGradient(), std::move(queryGradient));
  evaluation.set(getKeyGradient(), std::move(keyGradient));
  evaluation.set(getValueGradient(), std::move(valueGradient));
  return success();
}
