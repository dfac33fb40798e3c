// SPDX-License-Identifier: Apache-2.0
// Every filter keeps the best candidates down to some last one, so candidates are sorted only as far as a
// filter looks, and "which filter dropped this token" is one comparison a filter.
#include "runtime/generate/Sampler.h"
#include "runtime/generate/Random.h"
#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <set>

namespace sinter {

namespace {
constexpr float infinity = std::numeric_limits<float>::infinity();
/// floor(a * b / 2^64).
constexpr uint64_t upperHalf(uint64_t a, uint64_t b) {
  return uint64_t(static_cast<unsigned __int128>(a) * b >> 64);
}

/// p (below 1) times 2^64, and what of `sum` that is at least: 1 or more.
uint64_t shareOf(float p) { return uint64_t(double(p) * 0x1p64); }
constexpr uint64_t neededWeight(uint64_t share, uint64_t sum) {
  const bool isWhole = share * sum == 0; // modulo 2^64
  return std::max<uint64_t>(1, upperHalf(share, sum) + !isWhole);
}

/// By how much a logit may be less than the largest and its token p times as probable.
float logitsBelow(double p, float scale) { return float(std::log(p) / double(scale)); }

/// Below the largest logit and this, no candidate is needed for a share of `p`: even `vocabulary` of them
/// have less than 1 - p of the largest's weight.
float neverNeeded(float p, int64_t vocabulary, float scale) {
  return logitsBelow((1 - double(p)) * 0.999 / double(vocabulary), scale) - 1e-3f;
}

/// Below 1e-38 the quotient is infinite, and infinity times 0, the best token's difference, not a number.
float scaledBy(float scale, float temperature) {
  return std::min(scale / temperature, std::numeric_limits<float>::max());
}

constexpr Filter allFilters[] = {Filter::Penalties, Filter::TopK, Filter::TopP, Filter::MinP,
                                 Filter::Temperature};
} // namespace

const char *filterName(Filter filter) {
  switch (filter) {
  case Filter::Penalties:
    return "penalties";
  case Filter::TopK:
    return "top_k";
  case Filter::TopP:
    return "top_p";
  case Filter::MinP:
    return "min_p";
  case Filter::Temperature:
    return "temperature";
  }
  return "?";
}

Result<std::vector<Filter>> parseFilters(std::string_view text) {
  std::vector<Filter> filters;
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of(";,"), text.size());
    std::string name(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    std::replace(name.begin(), name.end(), '-', '_');
    if (name == "temp")
      name = "temperature";
    const auto found = std::find_if(std::begin(allFilters), std::end(allFilters),
                                    [&](Filter filter) { return name == filterName(filter); });
    if (found == std::end(allFilters))
      return fail("expected penalties, top_k, top_p, min_p or temperature, found '{}'", name);
    if (std::find(filters.begin(), filters.end(), *found) != filters.end())
      return fail("'{}' is given twice", name);
    filters.push_back(*found);
  }
  return filters;
}

Sampler::Sampler(SamplerOptions options, int64_t vocabulary)
    : settings(std::move(options)), changed(size_t(vocabulary)), counts(size_t(vocabulary)),
      blocks(size_t((vocabulary + weightBlock - 1) / weightBlock)) {
  bag.reserve(size_t(vocabulary));
  cuts.reserve(std::size(allFilters) + 1);
}

Result<int32_t> Sampler::sample(std::span<const float> logits, std::span<const int32_t> history,
                                uint64_t stream, uint64_t index) {
  assert(logits.size() == changed.size());
  current = logits;
  all = true;
  sorted = 0;
  scale = 1;
  total = 0;
  bag.clear();
  cuts.clear();
  if (!settings.logitBias.empty()) {
    std::copy(logits.begin(), logits.end(), changed.begin());
    current = changed;
    for (const auto &[id, bias] : settings.logitBias)
      changed[size_t(id)] += bias;
  }
  if (penalises())
    applyPenalties(history);
  const Peak peak = findPeak(current);
  if (peak.nans)
    return fail("{} of {} logits are not a number (NaN) after {} tokens", peak.nans, current.size(),
                history.size());
  largest = peak.largest;
  if (!(std::fabs(largest) < infinity))
    return fail("no token can be drawn: the largest of {} logits is {}", current.size(), largest);

  if (uses(Filter::Temperature) && settings.temperature <= 0) {
    bag.push_back({largest, argmax(current)});
    all = false;
    total = weight(largest);
    cuts.push_back({Filter::Temperature, bag[0]});
    return bag[0].id;
  }
  for (Filter filter : settings.order)
    applyFilter(filter);
  total = totalWeight();
  return draw(randomBits(settings.seed, stream, index));
}

bool Sampler::uses(Filter filter) const {
  return std::find(settings.order.begin(), settings.order.end(), filter) != settings.order.end();
}

bool Sampler::penalises() const {
  return uses(Filter::Penalties) && settings.repeatLastN != 0 &&
         (settings.repeatPenalty != 1 || settings.presencePenalty != 0 || settings.frequencyPenalty != 0);
}

std::span<const int32_t> Sampler::window(std::span<const int32_t> history) const {
  const bool isCut = settings.repeatLastN > 0 && history.size() > size_t(settings.repeatLastN);
  return isCut ? history.last(size_t(settings.repeatLastN)) : history;
}

std::optional<int64_t> Sampler::mostAdjustments() const {
  std::set<int32_t> biased;
  for (const auto &[id, bias] : settings.logitBias)
    if (!biased.insert(id).second)
      return std::nullopt;
  if (!penalises())
    return int64_t(biased.size());
  if (settings.repeatLastN < 0)
    return std::nullopt;
  return int64_t(biased.size()) + settings.repeatLastN;
}

uint32_t Sampler::adjustmentsForDevice(std::span<const int32_t> history, std::vector<sinter_adjustment> &to) {
  const size_t begin = to.size();
  for (const auto &[id, bias] : settings.logitBias)
    to.push_back({id, bias, 1, 0});
  if (!penalises())
    return uint32_t(to.size() - begin);
  history = window(history);
  for (int32_t id : history)
    ++counts[size_t(id)];
  const auto penalise = [&](sinter_adjustment &each) {
    if (const int32_t count = std::exchange(counts[size_t(each.id)], 0)) {
      each.repeat = settings.repeatPenalty;
      each.subtract = float(count) * settings.frequencyPenalty + settings.presencePenalty;
    }
  };
  for (size_t i = begin; i < to.size(); ++i)
    penalise(to[i]);
  for (int32_t id : history)
    if (counts[size_t(id)]) // not seen already
      penalise(to.emplace_back(sinter_adjustment{id, 0, 1, 0}));
  return uint32_t(to.size() - begin);
}

sinter_sampling Sampler::forDevice(uint64_t stream, uint64_t index) const {
  sinter_sampling plan = {};
  plan.seed = settings.seed;
  plan.stream = stream;
  plan.index = index;
  plan.scale = 1;
  const auto add = [&](sinter_filter filter) { plan.filters[plan.filter_count++] = filter; };
  if (uses(Filter::Temperature) && settings.temperature <= 0) {
    add({SINTER_FILTER_FLOOR, 1, 0, 0, 0});
    add({SINTER_FILTER_COUNT, 1, 0, 0, 1});
    return plan;
  }
  for (Filter filter : settings.order) {
    if (filter == Filter::Temperature)
      plan.scale = scaledBy(plan.scale, settings.temperature);
    if (filter == Filter::TopK && settings.topK > 0)
      add({SINTER_FILTER_COUNT, plan.scale, 0, 0, uint64_t(settings.topK)});
    if (filter == Filter::TopP && settings.topP < 1)
      add({SINTER_FILTER_SHARE, plan.scale, neverNeeded(settings.topP, int64_t(changed.size()), plan.scale),
           0, shareOf(settings.topP)});
    if (filter == Filter::MinP && settings.minP > 0)
      add({SINTER_FILTER_FLOOR, plan.scale, logitsBelow(settings.minP, plan.scale), 0, 0});
  }
  return plan;
}

void Sampler::applyFilter(Filter filter) {
  switch (filter) {
  case Filter::Penalties:
    return;
  case Filter::TopK:
    return keepTopK(settings.topK);
  case Filter::TopP:
    return keepTopP(settings.topP);
  case Filter::MinP:
    return keepMinP(settings.minP);
  case Filter::Temperature:
    scale = scaledBy(scale, settings.temperature);
    return;
  }
}

/// As llama.cpp: the repeat penalty divides positive logits and multiplies the others (Keskar et al., 2019);
/// frequency counts each occurrence, presence the first.
void Sampler::applyPenalties(std::span<const int32_t> history) {
  history = window(history);
  if (current.data() != changed.data()) {
    std::copy(current.begin(), current.end(), changed.begin());
    current = changed;
  }
  for (int32_t id : history)
    ++counts[size_t(id)];
  for (int32_t id : history) {
    const int32_t count = std::exchange(counts[size_t(id)], 0);
    if (count == 0)
      continue; // seen already
    float &logit = changed[size_t(id)];
    logit = logit <= 0 ? logit * settings.repeatPenalty : logit / settings.repeatPenalty;
    logit -= float(count) * settings.frequencyPenalty + settings.presencePenalty;
  }
}

/// Fills the bag with the candidates whose logit is at least `atLeast`.
void Sampler::gather(float atLeast) {
  assert(all && "the bag is filled already");
  for (size_t i = 0; i < current.size(); ++i)
    if (current[i] >= atLeast)
      bag.push_back({current[i], int32_t(i)});
  all = false;
  sorted = 0;
}

/// Brings the best `count` of the bag to its front, in order.
void Sampler::sortTo(size_t count) {
  if (count <= sorted)
    return;
  const auto begin = bag.begin() + ptrdiff_t(sorted), middle = bag.begin() + ptrdiff_t(count);
  if (count < bag.size())
    std::nth_element(begin, middle - 1, bag.end(), better);
  std::sort(begin, middle, better);
  sorted = count;
}

void Sampler::cut(Filter filter, size_t count) {
  assert(count <= sorted && count > 0);
  bag.resize(count);
  sorted = count;
  cuts.push_back({filter, bag.back()});
}

void Sampler::keepTopK(int64_t k) {
  if (k <= 0 || k >= int64_t(all ? current.size() : bag.size()))
    return;
  if (all) {
    selectBest(current, k, bag);
    all = false;
    sorted = bag.size();
  } else {
    sortTo(size_t(k));
  }
  cut(Filter::TopK, size_t(k));
}

uint64_t Sampler::totalWeight() const {
  if (all)
    return sumWeights(current, largest, scale);
  uint64_t sum = 0;
  for (const Candidate &each : bag)
    sum += weight(each.logit);
  return sum;
}

/// The smallest set of best candidates whose probabilities reach `p` (Holtzman et al., "The curious case of
/// neural text degeneration", 2020).
void Sampler::keepTopP(float p) {
  if (p >= 1)
    return;
  const uint64_t needed = neededWeight(shareOf(p), totalWeight());
  if (all)
    gather(largest + neverNeeded(p, int64_t(current.size()), scale));
  uint64_t reached = 0;
  size_t count = 0;
  while (count < bag.size()) {
    if (count == sorted)
      sortTo(std::min(bag.size(), std::max<size_t>(64, sorted * 4)));
    reached += weight(bag[count++].logit);
    if (reached >= needed)
      break;
  }
  if (count == bag.size())
    sortTo(count);
  cut(Filter::TopP, count);
}

/// Candidates at least `p` times as probable as the best (Nguyen et al., "Turning up the heat: min-p
/// sampling", 2024).
void Sampler::keepMinP(float p) {
  if (p <= 0)
    return;
  const float bar = largest + logitsBelow(p, scale);
  if (all)
    gather(bar);
  const auto end = std::partition(bag.begin() + ptrdiff_t(sorted), bag.end(),
                                  [&](const Candidate &each) { return each.logit >= bar; });
  bag.erase(end, bag.end());
  while (sorted > 0 && bag[sorted - 1].logit < bar) { // then nothing behind it was kept
    bag.pop_back();
    --sorted;
  }
  cuts.push_back({Filter::MinP, {bar, std::numeric_limits<int32_t>::max()}});
}

/// The candidate, in the order of ids, in whose weight the place random / 2^64 of all weight falls.
int32_t Sampler::draw(uint64_t random) {
  uint64_t at = upperHalf(random, total);
  if (!all) {
    std::sort(bag.begin(), bag.end(), [](const Candidate &a, const Candidate &b) { return a.id < b.id; });
    for (const Candidate &each : bag) {
      const uint64_t length = weight(each.logit);
      if (at < length)
        return each.id;
      at -= length;
    }
  } else {
    sumWeightBlocks(current, largest, scale, blocks);
    size_t block = 0;
    while (at >= blocks[block])
      at -= blocks[block++];
    for (size_t i = block * size_t(weightBlock); i < current.size(); ++i) {
      const uint64_t length = weight(current[i]);
      if (at < length)
        return int32_t(i);
      at -= length;
    }
  }
  assert(false && "a place below the sum lies in a part of it");
  return 0;
}

const char *Sampler::droppedBy(int32_t id) const {
  const Candidate candidate{current[size_t(id)], id};
  if (!(candidate.logit > -infinity))
    return "bias";
  for (const Cut &each : cuts)
    if (better(each.last, candidate))
      return filterName(each.filter);
  return nullptr;
}

double Sampler::drawProbability(int32_t id) const {
  return droppedBy(id) ? 0 : double(weight(current[size_t(id)])) / double(total);
}

} // namespace sinter
