// SPDX-License-Identifier: Apache-2.0
// Operations and bytes, counted by hand.
#include "dialects/lm/Cost.h"
#include "test/dialects/lm/Graphs.h"

using namespace sinter::lm;

namespace {

Cost cost(const std::string &text, Step step) {
  Graph graph(text);
  return costOf(graph.f().getBody().front(), step);
}

const std::string weight = "lm.parameter @w : tensor<64x32x!lm.block<q4_1>>\n";
const std::string linear =
    "%w = lm.read @w : tensor<64x32x!lm.block<q4_1>>\n%y = lm.linear %x, %w : (tensor<?x32xf32>, "
    "tensor<64x32x!lm.block<q4_1>>) -> tensor<?x64xf32>\n";

TEST(Cost, OfALinearLayerIsTwoOperationsAWeightAndRow) {
  Cost found = cost(weight + Graph::function("(%x: tensor<?x32xf32>) -> tensor<?x64xf32>",
                                             linear + "return %y : tensor<?x64xf32>"),
                    {.rows = 3});
  EXPECT_EQ(found.flops, 2 * 3 * 64 * 32);
  EXPECT_EQ(found.weightBytes, 64 * 20) << "a block of 32 weights is 20 bytes";
  EXPECT_EQ(found.readBytes, 3 * 32 * 4);
  EXPECT_EQ(found.writtenBytes, 3 * 64 * 4);
}

TEST(Cost, OfAGroupHasOnlyTheActivationsThatCross) {
  Cost found =
      cost(weight + Graph::function("(%x: tensor<?x32xf32>, %r: tensor<?x64xf32>) -> tensor<?x64xf32>",
                                    "%g = lm.group matmul {\n" + linear +
                                        "%s = lm.silu %y : tensor<?x64xf32>\n%z = lm.add %s, %r : "
                                        "tensor<?x64xf32>\nlm.yield %z : tensor<?x64xf32>\n} : "
                                        "tensor<?x64xf32>\n return %g : tensor<?x64xf32>"),
           {.rows = 3});
  EXPECT_EQ(found.flops, 2 * 3 * 64 * 32 + 5 * 3 * 64 + 3 * 64);
  EXPECT_EQ(found.weightBytes, 64 * 20);
  EXPECT_EQ(found.readBytes, 3 * 32 * 4 + 3 * 64 * 4);
  EXPECT_EQ(found.writtenBytes, 3 * 64 * 4);
}

TEST(Cost, BehindASelectionCountsSelectedRows) {
  Cost found =
      cost(weight + Graph::function("(%h: tensor<?x32xf32>, %rows: tensor<?xi32>) -> tensor<?x64xf32>",
                                    "%x = lm.select_rows %h, %rows : (tensor<?x32xf32>, tensor<?xi32>) -> "
                                    "tensor<?x32xf32>\n" +
                                        linear + "return %y : tensor<?x64xf32>"),
           {.rows = 100, .selected = 1});
  EXPECT_EQ(found.flops, 2 * 64 * 32);
  EXPECT_EQ(found.writtenBytes, 32 * 4 + 64 * 4);
}

TEST(Cost, OfALookupReadsTheRowsOfTheTokensOnly) {
  Cost found = cost(
      weight + Graph::function("(%i: tensor<?xi32>) -> tensor<?x32xf32>",
                               "%w = lm.read @w : tensor<64x32x!lm.block<q4_1>>\n%y = lm.embedding %i, %w : "
                               "(tensor<?xi32>, tensor<64x32x!lm.block<q4_1>>) -> tensor<?x32xf32>\n"
                               "return %y : tensor<?x32xf32>"),
      {.rows = 3});
  EXPECT_EQ(found.flops, 0);
  EXPECT_EQ(found.weightBytes, 3 * 20);
}

TEST(Cost, OfCachedAttentionGrowsWithTheKeysUpToTheWindow) {
  auto attention = [](const std::string &window, Step step) {
    return cost(
        Graph::function(
            "(%q: tensor<?x8xf32>, %c: !lm.cache, %p: tensor<?xi32>, %s: tensor<?xi32>) -> tensor<?x8xf32>",
            "%y = lm.cached_attention %q, %c, %p, %s {layer = 0 : i64, heads = 4 : i64, kv_heads = 2 : i64, "
            "scale = 1.0 : f64" +
                window +
                "} : (tensor<?x8xf32>, !lm.cache, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8xf32>\n return "
                "%y : "
                "tensor<?x8xf32>"),
        step);
  };
  Cost all = attention("", {.rows = 1, .keys = 100});
  EXPECT_EQ(all.flops, 4 * 100 * (2 * 2 + 2 * 2 + 3));
  EXPECT_EQ(all.cacheBytes, 100 * 2 * (2 + 2) * 2) << "two heads of keys and values in two bytes";
  EXPECT_EQ(attention(", window = 10 : i64", {.rows = 1, .keys = 100}).cacheBytes, 10 * 2 * (2 + 2) * 2);
}

TEST(Cost, OfAttentionInAStepIsATriangle) {
  Cost found = cost(Graph::function("(%q: tensor<?x8xf32>, %p: tensor<?xi32>) -> tensor<?x8xf32>",
                                    "%y = lm.attention %q, %q, %q, %p, %p {heads = 4 : i64, kv_heads = 4 : "
                                    "i64, scale = 1.0 : f64} : (tensor<?x8xf32>, "
                                    "tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>) -> "
                                    "tensor<?x8xf32>\n return %y : tensor<?x8xf32>"),
                    {.rows = 5, .keys = 5});
  EXPECT_EQ(found.flops, 4 * (1 + 2 + 3 + 4 + 5) * (2 * 2 + 2 * 2 + 3));
}

} // namespace
