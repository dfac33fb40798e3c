// SPDX-License-Identifier: Apache-2.0
// Tensors out of images and back, in pieces of any size: against what each part's numbers say of each
// element.
#include "runtime/training/ParameterTensors.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <random>

namespace sinter::training {
namespace {

/// A trainer of five parameters: queries and keys in one (keys in another order), a matrix that its tensor
/// has transposed, a vector, and two halves of one tensor; with adapters on the first.
class ParameterTensorsTest : public testing::Test {
protected:
  void SetUp() override {
    std::reverse(order, order + 12);
    std::swap(order[1], order[7]);
    add("qkv", 20, 5, SINTER_LAYOUT_PANELS,
        {{"q", 2, {8, 5}, 0, 8, 0, 5, 1, nullptr}, {"k", 2, {12, 5}, 8, 12, 0, 5, 1, order}});
    add("conv", 9, 6, SINTER_LAYOUT_PANELS, {{"transposed", 2, {6, 9}, 0, 9, 0, 1, 9, nullptr}});
    add("bias", 11, 1, SINTER_LAYOUT_PLAIN, {{"bias", 1, {11}, 0, 11, 0, 1, 0, nullptr}});
    add("gate", 4, 3, SINTER_LAYOUT_PANELS, {{"gate_up", 2, {8, 3}, 0, 4, 0, 3, 1, nullptr}});
    add("up", 4, 3, SINTER_LAYOUT_PANELS, {{"gate_up", 2, {8, 3}, 0, 4, 12, 3, 1, nullptr}});
    add("a", 2, 5, SINTER_LAYOUT_PANELS, {{"lora_A", 2, {2, 5}, 0, 2, 0, 5, 1, nullptr}});
    add("b", 20, 2, SINTER_LAYOUT_PANELS, {{"lora_B", 2, {20, 2}, 0, 20, 0, 2, 1, nullptr}});
    for (size_t i = 0; i < parameters.size(); ++i) {
      parameters[i].parts = parts[i].data();
      parameters[i].part_count = parts[i].size();
      parameters[i].is_adapter = i >= 5;
      parameters[i].adapters[0] = parameters[i].adapters[1] = -1;
    }
    parameters[0].adapters[0] = 5;
    parameters[0].adapters[1] = 6;
    trainer.parameters = parameters.data();
    trainer.parameter_count = parameters.size();
    trainer.image_floats = trainer.trained_floats = floats;
    trainer.adapter_rank = 2;
    trainer.adapter_alpha = 3;
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    image.resize(floats);
    for (float &number : image)
      number = normal(random);
  }

  void add(const char *name, int64_t rows, int64_t columns, uint32_t layout,
           std::vector<sinter_tensor_part> made) {
    sinter_parameter parameter = {};
    parameter.name = name;
    parameter.rows = rows;
    parameter.columns = columns;
    parameter.offset = floats;
    parameter.layout = layout;
    floats += uint64_t((rows + 15) / 16 * 16 * columns + 15) / 16 * 16;
    parameters.push_back(parameter);
    parts.push_back(std::move(made));
  }

  const float &at(size_t parameter, int64_t row, int64_t column) const {
    const sinter_parameter &p = parameters[parameter];
    return image[p.offset + size_t(p.layout == SINTER_LAYOUT_PANELS
                                       ? (row / 16 * p.columns + column) * 16 + row % 16
                                       : row * p.columns + column)];
  }

  /// (element) of the tensors of the model.
  std::map<std::string, std::vector<float>> expected() const {
    std::map<std::string, std::vector<float>> all;
    for (size_t i = 0; i < 5; ++i)
      for (const sinter_tensor_part &part : parts[i]) {
        std::vector<float> &tensor = all[part.tensor];
        tensor.resize(size_t(part.shape[0] * (part.rank > 1 ? part.shape[1] : 1)));
        for (int64_t row = 0; row < part.rows; ++row)
          for (int64_t column = 0; column < parameters[i].columns; ++column)
            tensor[size_t(part.offset + (part.order ? part.order[row] : row) * part.row_stride +
                          column * part.column_stride)] = at(i, part.row + row, column);
      }
    return all;
  }

  /// A tensor of `count` elements that `make(first, out)` makes in pieces of `size`.
  static std::vector<float> inPieces(size_t count, size_t size,
                                     const std::function<void(size_t, std::span<float>)> &make) {
    std::vector<float> whole;
    for (size_t first = 0; first < count; first += size) {
      std::vector<float> piece(std::min(size, count - first), NAN);
      make(first, piece);
      whole.insert(whole.end(), piece.begin(), piece.end());
    }
    return whole;
  }

  int64_t order[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  std::vector<sinter_parameter> parameters;
  std::vector<std::vector<sinter_tensor_part>> parts;
  uint64_t floats = 0;
  sinter_trainer trainer = {};
  std::vector<float> image;
};

TEST_F(ParameterTensorsTest, areGatheredAlikeInPiecesOfAnySizeAndScatteredBack) {
  const ParameterTensors tensors(trainer, ParameterTensors::Which::Model);
  const std::map<std::string, std::vector<float>> all = expected();
  ASSERT_EQ(tensors.tensors().size(), all.size());
  std::vector<float> copy = image;
  for (size_t i = 0; i < 5; ++i) // what the tensors hold is to come back
    for (int64_t row = 0; row < parameters[i].rows; ++row)
      for (int64_t column = 0; column < parameters[i].columns; ++column)
        copy[size_t(&at(i, row, column) - image.data())] = 0;
  for (size_t t = 0; t < all.size(); ++t) {
    const std::vector<float> &wanted = all.at(tensors.tensors()[t].name);
    ASSERT_EQ(tensors.tensors()[t].elements(), wanted.size());
    for (const size_t size : {size_t(1), size_t(7), size_t(100)})
      EXPECT_EQ(
          inPieces(wanted.size(), size,
                   [&](size_t first, std::span<float> out) { tensors.gather(t, image.data(), first, out); }),
          wanted)
          << tensors.tensors()[t].name << " in pieces of " << size;
    tensors.scatter(t, wanted, copy);
  }
  EXPECT_EQ(copy, image);
}

TEST_F(ParameterTensorsTest, haveTheirAdaptersAddedAlikeInPiecesOfAnySize) {
  const ParameterTensors tensors(trainer, ParameterTensors::Which::Model);
  for (size_t t = 0; t < tensors.tensors().size(); ++t) {
    const std::string &name = tensors.tensors()[t].name;
    std::vector<float> wanted = expected().at(name);
    for (const sinter_tensor_part &part : parts[0])
      for (int64_t row = 0; name == part.tensor && row < part.rows; ++row)
        for (int64_t column = 0; column < 5; ++column) {
          double sum = 0;
          for (int64_t r = 0; r < 2; ++r)
            sum += double(at(6, part.row + row, r)) * double(at(5, r, column));
          float &number = wanted[size_t((part.order ? part.order[row] : row) * 5 + column)];
          number = float(double(number) + 1.5 * sum);
        }
    for (const size_t size : {size_t(1), size_t(7), size_t(100)})
      EXPECT_EQ(inPieces(wanted.size(), size,
                         [&](size_t first, std::span<float> out) {
                           tensors.gather(t, image.data(), first, out);
                           tensors.addAdapters(t, image, first, out);
                         }),
                wanted)
          << name << " in pieces of " << size;
  }
}

} // namespace
} // namespace sinter::training
