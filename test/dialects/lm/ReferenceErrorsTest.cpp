// SPDX-License-Identifier: Apache-2.0
// What the reference evaluator says when the inputs do not fit the graph.
#include "test/dialects/lm/Graphs.h"

using namespace sinter::lm;

namespace {

void expectError(Graph &graph, const std::vector<Datum> &arguments, const std::string &message,
                 const Parameters &parameters = {}) {
  EXPECT_TRUE(graph.run(arguments, parameters).empty());
  EXPECT_NE(graph.message.find(message), std::string::npos) << "found: " << graph.message;
}

TEST(ReferenceErrors, NameAnIdBeyondTheTable) {
  Graph graph(
      Graph::function("(%i: tensor<?xi32>, %t: tensor<5x2xf32>) -> tensor<?x2xf32>",
                      "%y = lm.embedding %i, %t {offset = 2 : i64} : (tensor<?xi32>, tensor<5x2xf32>) -> "
                      "tensor<?x2xf32>\n return %y : tensor<?x2xf32>"));
  expectError(graph, {ids({1, 3}), wave({5, 2}, 0)}, "expected ids within [-2, 3), found 3 at 1");
}

TEST(ReferenceErrors, NameTheRanksThatAreEvaluated) {
  Graph graph(Graph::function(
      "(%x: tensor<2x2xf32>) -> tensor<2x2xf32>",
      "%y = lm.all_reduce %x {ranks = 3 : i64} : tensor<2x2xf32>\nreturn %y : tensor<2x2xf32>"));
  expectError(graph, {wave({2, 2}, 0)}, "expected an evaluation of 3 ranks, found one of 1");
}

TEST(ReferenceErrors, NameATargetBeyondTheVocabulary) {
  Graph graph(
      Graph::function("(%x: tensor<?x5xf32>, %t: tensor<?xi32>) -> tensor<f32>",
                      "%y = lm.cross_entropy %x, %t : (tensor<?x5xf32>, tensor<?xi32>) -> tensor<f32>\n"
                      "return %y : tensor<f32>"));
  expectError(graph, {wave({2, 5}, 0), ids({-1, 5})}, "expected targets below 5, found 5 at 1");
}

TEST(ReferenceErrors, NameRowsThatDiffer) {
  Graph graph(Graph::function("(%x: tensor<?x5xf32>, %y: tensor<?x5xf32>) -> tensor<?x5xf32>",
                              "%z = lm.add %x, %y : tensor<?x5xf32>\n return %z : tensor<?x5xf32>"));
  expectError(graph, {wave({2, 5}, 0), wave({3, 5}, 0)}, "expected equally many rows, found 2 and 3");
}

TEST(ReferenceErrors, NameTheNumberOfArguments) {
  Graph graph(Graph::function("(%x: tensor<?x5xf32>) -> tensor<?x5xf32>", "return %x : tensor<?x5xf32>"));
  expectError(graph, {}, "expected a body and 1 arguments, found 0 arguments");
}

TEST(ReferenceErrors, NameAParameterWithoutAValueOrOfAnotherShape) {
  Graph graph("lm.parameter @w : tensor<2x3xf32>\n" +
              Graph::function("() -> tensor<2x3xf32>",
                              "%y = lm.read @w : tensor<2x3xf32>\n return %y : tensor<2x3xf32>"));
  expectError(graph, {}, "expected a value for parameter @w, found none");
  Parameters parameters;
  parameters["w"] = std::make_shared<const Datum>(wave({3, 2}, 0));
  expectError(graph, {}, "expected a value of 'tensor<2x3xf32>', found another shape", parameters);
}

TEST(ReferenceErrors, NamePartsThatDoNotFillTheirParameter) {
  std::string read = Graph::function("() -> tensor<3x3xf32>",
                                     "%y = lm.read @w : tensor<3x3xf32>\n return %y : tensor<3x3xf32>");
  Parameters parameters;
  parameters["a"] = std::make_shared<const Datum>(wave({2, 3}, 0));
  Graph less("lm.parameter @a : tensor<2x3xf32>\nlm.parameter @w : tensor<3x3xf32> parts [@a]\n" + read);
  expectError(less, {}, "expected parts that fill 'tensor<3x3xf32>', found less", parameters);
  Graph more("lm.parameter @a : tensor<2x3xf32>\nlm.parameter @w : tensor<3x3xf32> parts [@a, @a]\n" + read);
  expectError(more, {}, "expected parts that fill 'tensor<3x3xf32>', found more", parameters);
}

TEST(ReferenceErrors, NameARowThatTheCacheDoesNotHold) {
  Graph graph(Graph::function(
      "(%q: tensor<?x4xf32>, %c: !lm.cache, %p: tensor<?xi32>, %s: tensor<?xi32>) -> tensor<?x4xf32>",
      "%y = lm.cached_attention %q, %c, %p, %s {layer = 3 : i64, heads = 2 : i64, kv_heads = 2 : i64, scale "
      "= 1.0 : f64} "
      ": (tensor<?x4xf32>, !lm.cache, tensor<?xi32>, tensor<?xi32>) -> tensor<?x4xf32>\n return %y : "
      "tensor<?x4xf32>"));
  expectError(graph, {wave({1, 4}, 0), Cache(), ids({7}), ids({2})},
              "expected layer 3 of the cache to hold the step's own rows, found no position 7 of sequence 2");
  Cache narrow;
  narrow[3].push_back({2, 7, {1, 2}, {1, 2, 3, 4}});
  expectError(graph, {wave({1, 4}, 0), narrow, ids({7}), ids({2})},
              "expected keys and values of widths 4 and 4 in layer 3, found 2 and 4");
}

} // namespace
