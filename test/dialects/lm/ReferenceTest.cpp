// SPDX-License-Identifier: Apache-2.0
// The reference evaluator against PyTorch (f64) and transformers: the numbers expected here were computed
// with torch.nn.functional, with attention as a masked softmax, and with rotary helpers as in transformers'
// models.
#include "test/dialects/lm/Graphs.h"

using namespace sinter::lm;

namespace {

const std::string rows8 =
    "(%x: tensor<?x8xf32>, %w: tensor<8xf32>, %b: tensor<8xf32>, %h: tensor<4xf32>) -> tensor<?x8xf32>";

std::vector<double> norm(const std::string &op) {
  Graph graph(Graph::function(rows8, "%y = " + op + " : tensor<?x8xf32>\n return %y : tensor<?x8xf32>"));
  return graph.run({wave({3, 8}, 0), wave({8}, 1), wave({8}, 2), wave({4}, 1)});
}

TEST(Reference, RmsNormOfHeadsAddsTheOffsetToTheWeight) {
  expectRow(
      norm(
          "lm.rms_norm %x, %h : tensor<4xf32> {epsilon = 1.0e-3 : f64, offset = 1.0 : f64, group = 4 : i64}"),
      2,
      {-2.69218211165, -1.83814215854, 0.0841104556595, 1.04127818006, 2.62040928295, 2.41968777278,
       0.729541205989, -0.571663097494});
}

TEST(Reference, LayerNormUsesTheBiasedVariance) {
  expectRow(
      norm("lm.layer_norm %x weight %w : tensor<8xf32> bias %b : tensor<8xf32> {epsilon = 1.0e-3 : f64}"), 2,
      {-0.446891057376, -0.640066320236, -0.32993373357, -0.783652798328, -1.79688115919, -1.77485838731,
       -0.338770887679, 0.850036301065});
}

TEST(Reference, LayerNormOfHeadsMayHaveAWeightForEachHead) {
  expectRow(norm("lm.layer_norm %x weight %w : tensor<8xf32> {epsilon = 1.0e-3 : f64, group = 4 : i64}"), 2,
            {-1.00711630481, -0.619798675629, 0.275115846128, 0.0588183742972, -0.624630280317,
             -0.735696096228, 0.222885311866, 0.56873875597});
}

std::vector<double> activation(const std::string &op) {
  Graph graph(Graph::function("(%x: tensor<?x5xf32>) -> tensor<?x5xf32>",
                              "%y = " + op + " : tensor<?x5xf32>\n return %y : tensor<?x5xf32>"));
  Tensor x({1, 5});
  x.values = {-3, -1, 0, 0.5, 2};
  return graph.run({x});
}

TEST(Reference, ActivationsAreThoseOfTorch) {
  expectRow(activation("lm.silu %x"), 0, {-0.142277619533, -0.26894142137, 0, 0.311229665601, 1.76159415596});
  expectRow(activation("lm.gelu %x"), 0,
            {-0.00404969409489, -0.158655253931, 0, 0.345731230637, 1.9544997361});
  expectRow(activation("lm.gelu_tanh %x"), 0,
            {-0.00363739208177, -0.158808009392, 0, 0.345714009825, 1.95459769409});
  expectRow(activation("lm.quick_gelu %x"), 0,
            {-0.0180713097078, -0.154204234067, 0, 0.350388436606, 1.93565862314});
  expectRow(activation("lm.softcap %x {cap = 1.5 : f64}"), 0,
            {-1.44604137011, -0.874174418022, 0, 0.482269106297, 1.30509249261});
  expectRow(activation("lm.relu %x"), 0, {0, 0, 0, 0.5, 2});
}

// Two sequences, mixed: rows 0, 1 and 3 are of the first, 2 and 4 of the second.
std::vector<double> attention(const std::string &attributes, bool logSumExp = false) {
  std::string types = "(tensor<?x8xf32>, tensor<?x4xf32>, tensor<?x6xf32>, tensor<?xi32>, tensor<?xi32>) -> "
                      "(tensor<?x12xf32>, tensor<?x4xf32>)";
  Graph graph(Graph::function(
      "(%q: tensor<?x8xf32>, %k: tensor<?x4xf32>, %v: tensor<?x6xf32>, %p: tensor<?xi32>, %s: tensor<?xi32>) "
      "-> " +
          std::string(logSumExp ? "tensor<?x4xf32>" : "tensor<?x12xf32>"),
      "%y, %l = lm.attention %q, %k, %v, %p, %s {heads = 4 : i64, kv_heads = 2 : i64, scale = 0.9 : f64" +
          attributes + "} : " + types + "\n return " +
          (logSumExp ? "%l : tensor<?x4xf32>" : "%y : tensor<?x12xf32>")));
  return graph.run(
      {wave({5, 8}, 0), wave({5, 4}, 1), wave({5, 6}, 2), ids({0, 1, 0, 2, 1}), ids({0, 0, 1, 0, 1})});
}

TEST(Reference, AttentionSeesEarlierRowsOfItsSequence) {
  expectRow(attention(""), 3,
            {0.24204847634, 0.519263801434, 0.552261246993, 0.456405761889, 0.485659437881, 0.286499891599,
             -0.500321401586, -0.733779259255, -0.62212926568, -0.503528802453, -0.735670581529,
             -0.621814990942});
  expectRow(attention("", true), 3, {1.75047159206, 1.08361214763, 0.805518374359, 0.927753694101});
}

TEST(Reference, AWindowOfTwoSeesOneEarlierToken) {
  expectRow(attention(", window = 2 : i64"), 3,
            {0.216319809457, 0.522806783103, 0.583409557575, 0.325767623168, 0.502470374195, 0.442853456921,
             0.248770255909, -0.115609273437, -0.42561595504, 0.120476157577, -0.219227567699,
             -0.45582514236});
}

TEST(Reference, SoftcapLimitsScores) {
  expectRow(attention(", softcap = 0.5 : f64"), 3,
            {0.466839522955, 0.481690218373, 0.269994477472, 0.470927634729, 0.483496557521, 0.268669494468,
             -0.419481372158, -0.66539945724, -0.598369780428, -0.422431764792, -0.66784411982,
             -0.599158949944});
}

TEST(Reference, AlibiLowersScoresWithDistance) {
  expectRow(attention(", alibi = array<f32: 0.5, 0.25, 0.125, 0.0625>"), 4,
            {-0.235149893237, 0.223934492246, 0.577698986953, -0.241853270424, 0.210152981672, 0.563321002756,
             0.485917065453, 0.469968428425, 0.232986296049, 0.454875977326, 0.476831896958, 0.274526324746});
}

std::vector<double> rope(const std::string &attributes) {
  Graph graph(Graph::function(
      "(%x: tensor<?x8xf32>, %p: tensor<?xi32>) -> tensor<?x8xf32>",
      "%c, %s = lm.rope_angles %p {frequencies = array<f32: 1.0, 0.3>} : tensor<?xi32> -> tensor<?x2xf32>, "
      "tensor<?x2xf32>\n %y = lm.rope %x, %c, %s {" +
          attributes +
          "} : tensor<?x8xf32>, tensor<?x2xf32>, tensor<?x2xf32>\n return %y : tensor<?x8xf32>"));
  return graph.run({wave({3, 8}, 0), ids({0, 5, 7})});
}

TEST(Reference, RopeTurnsHalvesAsLlamaDoes) {
  expectRow(rope("head_dim = 4 : i64"), 2,
            {-0.760294188842, -0.265914652446, -0.617958154718, -0.871611469399, 0.54767642042,
             -0.0971644991663, 0.879337369767, 0.922943839201});
}

TEST(Reference, RopeTurnsNeighboursOfAPartOfTheHeadAsGptJDoes) {
  expectRow(rope("head_dim = 8 : i64, interleaved"), 2,
            {-0.332096498499, -1.10932160823, -0.594953310564, -0.309006042015, 0.990607355695,
             0.845746831143, 0.303118356746, -0.382071417184});
}

// transformers' "dynamic" for 20 tokens of a model trained on 8; its frequencies are f32, hence 1e-6.
TEST(Reference, DynamicNtkGrowsTheBaseWithTheSequence) {
  Graph graph(Graph::function("(%p: tensor<?xi32>) -> tensor<?x4xf32>",
                              "%c, %s = lm.rope_angles %p {frequencies = array<f32: 1.0, 0.1, 0.01, 0.001>, "
                              "dynamic = #lm.dynamic_ntk<base = "
                              "1.0e4 : f64, factor = 2.0 : f64, length = 8, dim = 8>} : tensor<?xi32> -> "
                              "tensor<?x4xf32>, tensor<?x4xf32>\n"
                              "return %s : tensor<?x4xf32>"));
  std::vector<double> sines = graph.run({ids({19})});
  std::vector<double> expected = {0.149877209663, 0.930920447217, 0.0753301244067, 0.00474998245096};
  ASSERT_EQ(sines.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(sines[i], expected[i], 1e-6);
  EXPECT_NEAR(graph.run({ids({7})})[1], std::sin(static_cast<double>(7 * 0.1f)), 1e-12)
      << "as trained up to 8";
}

TEST(Reference, LongFrequenciesAndTheirFactorCountFromLongFromOn) {
  Graph graph(Graph::function("(%p: tensor<?xi32>) -> tensor<?x1xf32>",
                              "%c, %s = lm.rope_angles %p {frequencies = array<f32: 1.0>, factor = 1.5 : "
                              "f64, long_frequencies = array<f32: "
                              "0.5>, long_from = 8 : i64, long_factor = 2.0 : f64} : tensor<?xi32> -> "
                              "tensor<?x1xf32>, tensor<?x1xf32>\n"
                              "return %s : tensor<?x1xf32>"));
  expectRow(graph.run({ids({3, 7})}), 0, {1.5 * std::sin(3.0)});
  expectRow(graph.run({ids({3, 8})}), 0, {2 * std::sin(1.5)});
}

TEST(Reference, SinusoidsAreInFairseqsOrder) {
  Graph graph(Graph::function("(%p: tensor<?xi32>) -> tensor<?x6xf32>",
                              "%y = lm.sinusoids %p {offset = 2 : i64} : tensor<?xi32> -> tensor<?x6xf32>\n"
                              "return %y : tensor<?x6xf32>"));
  expectRow(
      graph.run({ids({3})}), 0,
      {-0.958924274663, 0.0499791692707, 0.000499999979167, 0.283662185463, 0.998750260395, 0.999999875});
}

std::vector<double> experts(const std::string &route, const std::string &result, const std::string &type) {
  Graph graph(Graph::function(
      "(%l: tensor<?x5xf32>, %x: tensor<?x3xf32>, %w: tensor<5x4x3xf32>) -> " + type,
      "%p, %c = lm.route %l {k = 2 : i64" + route +
          "} : tensor<?x5xf32> -> tensor<?x2xf32>, tensor<?x2xi32>\n"
          "%u = lm.expert_linear %x, %w, %c : (tensor<?x3xf32>, tensor<5x4x3xf32>, tensor<?x2xi32>) -> "
          "tensor<?x2x4xf32>\n"
          "%y = lm.combine %u, %p : (tensor<?x2x4xf32>, tensor<?x2xf32>) -> tensor<?x4xf32>\n return " +
          result + " : " + type));
  return graph.run({wave({2, 5}, 0.3), wave({2, 3}, 0), wave({5, 4, 3}, 1)});
}

TEST(Reference, RouteChoosesTheMostProbableExperts) {
  EXPECT_EQ(experts("", "%c", "tensor<?x2xi32>"), (std::vector<double>{2, 1, 4, 3}));
  expectRow(experts("", "%p", "tensor<?x2xf32>"), 1, {0.40334325123, 0.203236415768});
  expectRow(experts(", normalise", "%p", "tensor<?x2xf32>"), 1, {0.664946870419, 0.335053129581});
}

TEST(Reference, ExpertsAreCombinedByTheirWeights) {
  expectRow(experts("", "%u", "tensor<?x2x4xf32>"), 3,
            {0.865591791409, 0.102633184749, -0.969219718456, 0.875980413979});
  expectRow(experts("", "%y", "tensor<?x4xf32>"), 1,
            {0.210102758421, -0.366976281441, 0.160430333912, 0.204991023171});
}

TEST(Reference, CrossEntropyIsTheMeanOverRowsWithATarget) {
  Graph graph(
      Graph::function("(%x: tensor<?x5xf32>, %t: tensor<?xi32>) -> tensor<f32>",
                      "%y = lm.cross_entropy %x, %t : (tensor<?x5xf32>, tensor<?xi32>) -> tensor<f32>\n"
                      "return %y : tensor<f32>"));
  expectRow(graph.run({wave({3, 5}, 0), ids({2, -1, 4})}), 0, {1.90886034629});
  expectRow(graph.run({wave({3, 5}, 0), ids({-1, -1, -1})}), 0, {0});
}

TEST(Reference, LinearMultipliesByTheTransposedWeight) {
  Graph graph(Graph::function(
      "(%x: tensor<?x3xf32>, %w: tensor<4x3xf32>, %b: tensor<4xf32>) -> tensor<?x4xf32>",
      "%y = lm.linear %x, %w bias %b : (tensor<?x3xf32>, tensor<4x3xf32>, tensor<4xf32>) -> tensor<?x4xf32>\n"
      "return %y : tensor<?x4xf32>"));
  expectRow(graph.run({wave({2, 3}, 0), wave({4, 3}, 1), wave({4}, 2)}), 1,
            {1.73091786844, 0.601208724311, -1.25267517324, 0.0146925480941});
}

TEST(Reference, AParameterOfPartsIsTheirRowsOneAfterTheOther) {
  Graph graph("lm.parameter @a : tensor<2x3xf32>\nlm.parameter @b : tensor<1x3xf32>\n"
              "lm.parameter @ab : tensor<3x3xf32> parts [@a, @b]\n" +
              Graph::function("() -> tensor<3x3xf32>",
                              "%y = lm.read @ab : tensor<3x3xf32>\n return %y : tensor<3x3xf32>"));
  Parameters parameters;
  parameters["a"] = std::make_shared<const Datum>(wave({2, 3}, 0));
  parameters["b"] = std::make_shared<const Datum>(wave({1, 3}, 1));
  std::vector<double> stacked = graph.run({}, parameters);
  expectRow(stacked, 1, {std::sin(2.1), std::sin(2.8), std::sin(3.5)});
  expectRow(stacked, 2, {std::sin(1.0), std::sin(1.7), std::sin(2.4)});
}

TEST(Reference, OfAnAllReduceIsTheSumOverTheRanksOnEachOfThem) {
  // The gradient of a sum of losses, its rows on three ranks, is the gradient of all rows on one.
  const auto text = [](int ranks) {
    return Graph::function(
        "(%g: tensor<?x4xf32>, %x: tensor<?x3xf32>) -> tensor<4x3xf32>",
        "%w = lm.linear_backward_weight %g, %x : (tensor<?x4xf32>, tensor<?x3xf32>) -> tensor<4x3xf32>\n"
        "%y = lm.all_reduce %w {ranks = " +
            std::to_string(ranks) + " : i64} : tensor<4x3xf32>\nreturn %y : tensor<4x3xf32>");
  };
  Graph one(text(1)), three(text(3));
  Tensor g = wave({6, 4}, 0.2), x = wave({6, 3}, 0.9);
  std::vector<double> expected = one.run({g, x});
  ASSERT_EQ(expected.size(), 12u) << one.message;
  std::vector<std::vector<Datum>> arguments;
  for (auto [begin, end] : {std::pair(0, 1), {1, 4}, {4, 6}}) {
    Tensor ofG({end - begin, 4}), ofX({end - begin, 3});
    std::copy(g.row(begin), g.row(begin) + ofG.values.size(), ofG.values.begin());
    std::copy(x.row(begin), x.row(begin) + ofX.values.size(), ofX.values.begin());
    arguments.push_back({ofG, ofX});
  }
  auto found = evaluateRanks(three.f(), arguments, {});
  ASSERT_TRUE(mlir::succeeded(found)) << three.message;
  ASSERT_EQ(found->size(), 3u);
  for (const std::vector<Datum> &rank : *found)
    for (size_t i = 0; i < 12; ++i)
      EXPECT_NEAR(std::get<Tensor>(rank[0]).values[i], expected[i], 1e-12);
}

} // namespace
