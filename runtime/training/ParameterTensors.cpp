// SPDX-License-Identifier: Apache-2.0
// Element by element between panels and rows; normal numbers from a counter (Box and Muller 1958, on
// splitmix64).
#include "runtime/training/ParameterTensors.h"

#include "runtime/device/ThreadTeam.h"
#include "runtime/training/Trainer.h"
#include <algorithm>
#include <atomic>
#include <cassert>
#include <cmath>
#include <numbers>
#include <unordered_map>

namespace sinter::training {

static bool isAdapter(const sinter_parameter &parameter) { return parameter.is_adapter != 0; }

ParameterTensors::ParameterTensors(const sinter_trainer &trainer, Which which)
    : trainer(trainer), which(which) {
  std::unordered_map<std::string, size_t> known;
  for (uint64_t i = 0; i < trainer.parameter_count; ++i) {
    const sinter_parameter &parameter = trainer.parameters[i];
    if (isAdapter(parameter) != (which == Which::Adapters))
      continue;
    for (uint64_t j = 0; j < parameter.part_count; ++j) {
      const sinter_tensor_part &part = parameter.parts[j];
      auto [place, isNew] = known.try_emplace(part.tensor, list.size());
      if (isNew) {
        list.push_back({part.tensor, {part.shape, part.shape + part.rank}});
        parts.emplace_back();
      }
      parts[place->second].push_back({&parameter, &part});
    }
  }
}

namespace {

/// Columns of a row of a part that lie in elements `first` to `first` + `count` - 1 of its tensor.
struct Columns {
  int64_t row, begin, end; ///< element of column 0, and the columns
};
Columns columnsIn(const sinter_parameter &parameter, const sinter_tensor_part &part, int64_t index,
                  size_t first, size_t count) {
  const int64_t row = part.offset + (part.order ? part.order[index] : index) * part.row_stride;
  const int64_t stride = std::max<int64_t>(part.column_stride, 1); // one column may have none
  // Columns before an element.
  const auto before = [&](int64_t element) {
    return std::clamp<int64_t>((element - row + stride - 1) / stride, 0, parameter.columns);
  };
  return {row, before(std::max(row, int64_t(first))), before(std::max(row, int64_t(first + count)))};
}

} // namespace

/// Calls copy(place in the image, place in the tensor) for `count` elements of the tensor.
template <typename Copy>
void ParameterTensors::forEachElement(size_t tensor, size_t first, size_t count, Copy copy) const {
  for (const auto &[parameter, part] : parts[tensor])
    for (int64_t i = 0; i < part->rows; ++i) {
      const Columns columns = columnsIn(*parameter, *part, i, first, count);
      const bool panels = parameter->layout == SINTER_LAYOUT_PANELS;
      const uint64_t place = placeOf(*parameter, part->row + i, 0);
      for (int64_t column = columns.begin; column < columns.end; ++column)
        copy(place + uint64_t(panels ? column * 16 : column), columns.row + column * part->column_stride);
    }
}

void ParameterTensors::gather(size_t tensor, const float *image, size_t first, std::span<float> out) const {
  assert(first + out.size() <= list[tensor].elements());
  forEachElement(tensor, first, out.size(),
                 [&](uint64_t place, int64_t element) { out[size_t(element) - first] = image[place]; });
}

void ParameterTensors::scatter(size_t tensor, std::span<const float> in, std::span<float> image) const {
  assert(in.size() == list[tensor].elements() && image.size() == trainer.trained_floats);
  forEachElement(tensor, 0, in.size(),
                 [&](uint64_t place, int64_t element) { image[place] = in[size_t(element)]; });
}

void ParameterTensors::addAdapters(size_t tensor, std::span<const float> image, size_t first,
                                   std::span<float> out) const {
  const double factor = double(trainer.adapter_alpha) / double(std::max<int64_t>(trainer.adapter_rank, 1));
  std::vector<double> sums;
  for (const auto &[parameter, part] : parts[tensor]) {
    if (parameter->adapters[0] < 0)
      continue;
    const sinter_parameter &a = trainer.parameters[parameter->adapters[0]],
                           &b = trainer.parameters[parameter->adapters[1]];
    sums.resize(size_t(parameter->columns));
    for (int64_t i = 0; i < part->rows; ++i) {
      const Columns columns = columnsIn(*parameter, *part, i, first, out.size());
      if (columns.begin == columns.end)
        continue;
      std::fill(sums.begin() + columns.begin, sums.begin() + columns.end, 0.0);
      for (int64_t r = 0; r < trainer.adapter_rank; ++r) {
        const double left = image[placeOf(b, part->row + i, r)];
        for (int64_t column = columns.begin; column < columns.end; ++column)
          sums[size_t(column)] += left * double(image[placeOf(a, r, column)]);
      }
      for (int64_t column = columns.begin; column < columns.end; ++column) {
        float &number = out[size_t(columns.row + column * part->column_stride) - first];
        number = float(double(number) + factor * sums[size_t(column)]);
      }
    }
  }
}

namespace {

uint64_t mix(uint64_t state) { // splitmix64's finaliser
  state = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9u;
  state = (state ^ (state >> 27)) * 0x94d049bb133111ebu;
  return state ^ (state >> 31);
}

uint64_t hash(const char *text, uint64_t seed) {
  uint64_t state = mix(seed + 0x9e3779b97f4a7c15u);
  for (; *text; ++text)
    state = mix(state ^ uint8_t(*text)) + 0x9e3779b97f4a7c15u;
  return state;
}

/// Rows of a parameter that one thread draws: whole panels, and an even number, so that a pair of normal
/// numbers stays together.
struct Share {
  const sinter_parameter *parameter;
  uint64_t key;
  int64_t begin, end;
};
constexpr int64_t shareRows = 64;

void draw(const Share &share, std::span<float> image) {
  const sinter_parameter &parameter = *share.parameter;
  double spare = 0;
  for (int64_t row = share.begin; row < share.end; ++row)
    for (int64_t column = 0; column < parameter.columns; ++column) {
      float &number = image[placeOf(parameter, row, column)];
      const uint64_t index = uint64_t(row * parameter.columns + column);
      if (parameter.start == SINTER_START_UNIFORM) {
        const double unit = double(mix(share.key + index) >> 11) * 0x1p-53;
        number = float((2 * unit - 1) * double(parameter.start_deviation));
        continue;
      }
      if (parameter.start != SINTER_START_NORMAL) {
        number = parameter.start == SINTER_START_ONES ? 1.0f : 0.0f;
        continue;
      }
      double normal = spare;
      if (index % 2 == 0) {
        // 53 bits each; the first in (0, 1].
        const double a = double((mix(share.key + index) >> 11) + 1) * 0x1p-53;
        const double b = double(mix(share.key + index + 1) >> 11) * 0x1p-53;
        const double radius = std::sqrt(-2 * std::log(a)), angle = 2 * std::numbers::pi * b;
        normal = radius * std::cos(angle);
        spare = radius * std::sin(angle);
      }
      number = row == parameter.zero_row ? 0.0f : float(normal * double(parameter.start_deviation));
    }
}

} // namespace

void ParameterTensors::initialise(uint64_t seed, std::span<float> image, int threads) const {
  struct Work {
    std::vector<Share> shares;
    std::span<float> image;
    std::atomic<size_t> next{0};
  } work{{}, image};
  for (uint64_t i = 0; i < trainer.parameter_count; ++i) {
    const sinter_parameter &parameter = trainer.parameters[i];
    if (isAdapter(parameter) != (which == Which::Adapters))
      continue;
    const uint64_t key = hash(parameter.name, seed);
    for (int64_t row = 0; row < parameter.rows; row += shareRows)
      work.shares.push_back({&parameter, key, row, std::min(row + shareRows, parameter.rows)});
  }
  const auto body = [](void *context, int) {
    Work &all = *static_cast<Work *>(context);
    for (size_t i = all.next++; i < all.shares.size(); i = all.next++)
      draw(all.shares[i], all.image);
  };
  Result<std::unique_ptr<device::ThreadTeam>> team =
      device::ThreadTeam::start(device::threadsOrCores(threads));
  team ? (*team)->run(body, &work) : body(&work, 0); // without more threads it takes longer
}

} // namespace sinter::training
