// SPDX-License-Identifier: Apache-2.0
// Every filter keeps the best candidates down to some last one, so candidates are sorted only as far as a
// filter looks, and "which filter dropped this token" is one comparison a filter.
#include "runtime/generate/Sampler.h"
#include "runtime/generate/Random.h"
#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

namespace sinter {

namespace {
constexpr float infinity = std::numeric_limits<float>::infinity();
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
      blocks(size_t((vocabulary + expBlock - 1) / expBlock)) {
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
  if (std::find(settings.order.begin(), settings.order.end(), Filter::Penalties) != settings.order.end())
    applyPenalties(history);
  const Peak peak = findPeak(current);
  if (peak.nans)
    return fail("{} of {} logits are not a number (NaN) after {} tokens", peak.nans, current.size(),
                history.size());
  largest = peak.largest;
  if (!(std::fabs(largest) < infinity))
    return fail("no token can be drawn: the largest of {} logits is {}", current.size(), largest);

  const bool temperatureUsed =
      std::find(settings.order.begin(), settings.order.end(), Filter::Temperature) != settings.order.end();
  if (temperatureUsed && settings.temperature <= 0) {
    bag.push_back({largest, argmax(current)});
    all = false;
    total = 1;
    cuts.push_back({Filter::Temperature, bag[0]});
    return bag[0].id;
  }
  for (Filter filter : settings.order)
    applyFilter(filter);
  total = totalWeight();
  return draw(uniform(settings.seed, stream, index) * total);
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
    // Below 1e-38 the quotient is infinite, and infinity times 0, the best token's difference, not a number.
    scale = std::min(scale / settings.temperature, std::numeric_limits<float>::max());
    return;
  }
}

/// As llama.cpp: the repeat penalty divides positive logits and multiplies the others (Keskar et al., 2019);
/// frequency counts each occurrence, presence the first.
void Sampler::applyPenalties(std::span<const int32_t> history) {
  const bool off =
      settings.repeatPenalty == 1 && settings.presencePenalty == 0 && settings.frequencyPenalty == 0;
  if (off || settings.repeatLastN == 0)
    return;
  if (settings.repeatLastN > 0 && history.size() > size_t(settings.repeatLastN))
    history = history.last(size_t(settings.repeatLastN));
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

double Sampler::weight(float logit) const { return std::exp(double(logit - largest) * double(scale)); }

double Sampler::totalWeight() {
  if (all)
    return sumExp(current, largest, scale);
  double sum = 0;
  for (const Candidate &each : bag)
    sum += weight(each.logit);
  return sum;
}

/// The smallest set of best candidates whose probabilities reach `p` (Holtzman et al., "The curious case of
/// neural text degeneration", 2020).
void Sampler::keepTopP(double p) {
  if (p >= 1)
    return;
  const double sum = totalWeight();
  if (all) // all candidates below (1 - p) / vocabulary together are less than 1 - p: never needed
    gather(largest + float(std::log((1 - p) * 0.999 * sum / double(current.size())) / double(scale)) - 1e-3f);
  double reached = 0;
  size_t count = 0;
  while (count < bag.size()) {
    if (count == sorted)
      sortTo(std::min(bag.size(), std::max<size_t>(64, sorted * 4)));
    reached += weight(bag[count++].logit);
    if (reached >= p * sum)
      break;
  }
  if (count == bag.size())
    sortTo(count);
  cut(Filter::TopP, count);
}

/// Candidates at least `p` times as probable as the best (Nguyen et al., "Turning up the heat: min-p
/// sampling", 2024).
void Sampler::keepMinP(double p) {
  if (p <= 0)
    return;
  const float bar = largest + float(std::log(p) / double(scale));
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

/// The candidate at which the running sum of weights passes `at`.
int32_t Sampler::draw(double at) {
  if (!all) {
    double sum = 0;
    for (const Candidate &each : bag) {
      sum += weight(each.logit);
      if (at < sum)
        return each.id;
    }
    return bag.back().id; // rounding
  }
  sumExpBlocks(current, largest, scale, blocks);
  size_t block = 0;
  while (block + 1 < blocks.size() && at >= blocks[block])
    at -= blocks[block++];
  const size_t begin = block * size_t(expBlock), end = std::min(begin + size_t(expBlock), current.size());
  size_t last = begin;
  for (size_t i = begin; i < end; ++i) {
    const double each = weight(current[i]);
    if (each > 0)
      last = i;
    if (at < each)
      return int32_t(i);
    at -= each;
  }
  return int32_t(last);
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
  return droppedBy(id) ? 0 : weight(current[size_t(id)]) / total;
}

} // namespace sinter
