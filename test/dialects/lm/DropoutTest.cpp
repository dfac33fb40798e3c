// SPDX-License-Identifier: Apache-2.0
// The generator of dropout: that its numbers look independent wherever they are used together. Bounds are 5
// standard deviations of what independent bits give.
#include "dialects/lm/Dropout.h"
#include "test/dialects/lm/Graphs.h"

#include <algorithm>

using namespace sinter::lm;

namespace {

constexpr double rate = 0.3;

bool dropped(uint64_t seed, uint64_t site, uint64_t row, uint32_t column) {
  return dropoutFactor(seed, site, row, column, rate) == 0;
}

/// Expects a share of `count` independent draws of probability `p`.
void expectShare(double found, double p, double count, const std::string &what) {
  EXPECT_NEAR(found / count, p, 5 * std::sqrt(p * (1 - p) / count)) << what;
}

TEST(Dropout, DropsTheShareItIsToldAndKeepsTheMean) {
  for (double wanted : {0.01, 0.1, 0.5, 0.9}) {
    double zeros = 0, sum = 0;
    const int64_t rows = 400, columns = 500;
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t c = 0; c < columns; ++c) {
        const double factor = dropoutFactor(7, 3, row, c, wanted);
        EXPECT_TRUE(factor == 0 || factor == 1 / (1 - wanted));
        zeros += factor == 0;
        sum += factor;
      }
    expectShare(zeros, wanted, rows * columns, "dropped");
    const double deviation = std::sqrt(wanted / (1 - wanted) / (rows * columns));
    EXPECT_NEAR(sum / (rows * columns), 1, 5 * deviation) << "mean of the factors";
  }
}

TEST(Dropout, NeighboursAreIndependentInEveryDirection) {
  // Row and column of probabilities of attention are its number and a distance: small numbers, with heads
  // between.
  struct Direction {
    const char *name;
    uint64_t seed, site, row;
    uint32_t column;
  };
  const Direction directions[] = {{"column", 0, 0, 0, 1},   {"8 columns", 0, 0, 0, 8},
                                  {"row", 0, 0, 1, 0},      {"12 rows", 0, 0, 12, 0},
                                  {"diagonal", 0, 0, 1, 1}, {"site", 0, 1, 0, 0},
                                  {"seed", 1, 0, 0, 0},     {"2^32 seeds", uint64_t(1) << 32, 0, 0, 0}};
  for (const Direction &d : directions) {
    double both = 0;
    const int64_t rows = 300, columns = 600;
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t c = 0; c < columns; ++c)
        both += dropped(1, 2, row, c) && dropped(1 + d.seed, 2 + d.site, row + d.row, c + d.column);
    expectShare(both, rate * rate, rows * columns, d.name);
  }
}

TEST(Dropout, CountsOfRowsAndColumnsSpreadAsThoseOfIndependentDraws) {
  const int64_t size = 1024;
  std::vector<double> ofRow(size), ofColumn(size);
  for (int64_t row = 0; row < size; ++row)
    for (int64_t c = 0; c < size; ++c)
      if (dropped(11, 0, row, c)) {
        ofRow[row] += 1;
        ofColumn[c] += 1;
      }
  for (const std::vector<double> &counts : {ofRow, ofColumn}) {
    double square = 0;
    for (double count : counts)
      square += std::pow(count - rate * size, 2);
    // Chi-square over its degrees of freedom; its variance is 2 / size.
    EXPECT_NEAR(square / (rate * (1 - rate) * size) / size, 1, 5 * std::sqrt(2.0 / size));
  }
}

TEST(Dropout, EachBitOfTheNumbersIsFair) {
  const int64_t count = 1 << 16;
  for (int bit = 0; bit < 32; ++bit) {
    double ones = 0;
    for (int64_t c = 0; c < count; ++c)
      ones += dropoutBits(dropoutKey(dropoutKey(1, 0), c >> 8), c & 255) >> bit & 1;
    expectShare(ones, 0.5, count, "bit " + std::to_string(bit));
  }
}

TEST(Dropout, OfAGraphMultipliesByTheFactorsOfItsSeedSiteAndRate) {
  Graph graph(
      Graph::function("(%x: tensor<?x6xf32>, %s: tensor<2xi32>) -> tensor<?x6xf32>",
                      "%y = lm.dropout %x seed %s {rate = 0.3 : f64, site = 4 : i64} : tensor<?x6xf32>, "
                      "tensor<2xi32>\nreturn %y : tensor<?x6xf32>"));
  Tensor x = wave({5, 6}, 0.1), seed = ids({3, 4294967295.0});
  std::vector<double> y = graph.run({x, seed});
  ASSERT_EQ(y.size(), x.values.size()) << graph.message;
  for (int64_t i = 0; i < 30; ++i)
    EXPECT_EQ(y[i], x.values[i] * dropoutFactor(0xFFFFFFFF00000003u, 4, i / 6, i % 6, rate));
  EXPECT_GT(std::count(y.begin(), y.end(), 0.0), 3);
}

TEST(Dropout, OfAttentionIsBehindTheSoftmax) {
  const std::string types =
      "(tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?xi32>, tensor<?xi32>";
  const std::string heads = "heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64";
  Graph graph(Graph::function(
      "(%q: tensor<?x4xf32>, %p: tensor<?xi32>, %n: tensor<?xi32>, %s: tensor<2xi32>) -> tensor<?x4xf32>",
      "%y = lm.attention %q, %q, %q, %p, %n seed %s {" + heads + ", dropout = 0.3 : f64, site = 1 : i64} : " +
          types + ", tensor<2xi32>) -> tensor<?x4xf32>\nreturn %y : tensor<?x4xf32>"));
  Tensor q = wave({4, 4}, 0.3);
  std::vector<double> y = graph.run({q, ids({0, 1, 2, 3}), ids({0, 0, 0, 0}), ids({9, 0})});
  ASSERT_EQ(y.size(), 16u) << graph.message;
  for (int64_t i = 0; i < 4; ++i)
    for (int64_t h = 0; h < 2; ++h) {
      double total = 0, expected[2] = {};
      for (int64_t j = 0; j <= i; ++j)
        total +=
            std::exp(0.5 * (q.row(i)[2 * h] * q.row(j)[2 * h] + q.row(i)[2 * h + 1] * q.row(j)[2 * h + 1]));
      for (int64_t j = 0; j <= i; ++j) {
        const double score =
            0.5 * (q.row(i)[2 * h] * q.row(j)[2 * h] + q.row(i)[2 * h + 1] * q.row(j)[2 * h + 1]);
        const double p = std::exp(score) / total * dropoutFactor(9, 1, i * 2 + h, i - j, rate);
        for (int64_t c = 0; c < 2; ++c)
          expected[c] += p * q.row(j)[2 * h + c];
      }
      for (int64_t c = 0; c < 2; ++c)
        EXPECT_NEAR(y[i * 4 + 2 * h + c], expected[c], 1e-12);
    }
}

} // namespace
