// SPDX-License-Identifier: Apache-2.0
// The imported graph of every tiny model, in every format it is written in, gives transformers'
// log-probabilities when the reference evaluator runs it: this proves the graphs, the configurations, the
// tensor names and the orders of rows apart from any kernel.
#include "test/TemporaryFolder.h"
#include "test/frontend/ParameterValues.h"

#include "runtime/files/Json.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <gtest/gtest.h>

using namespace mlir;
using namespace sinter;

namespace {

namespace fs = std::filesystem;
const fs::path sourceFolder = SINTER_SOURCE_DIR;

/// "bloom.default hf", "bloom.default gguf", ...: each golden of a tiny model with each of its formats.
std::vector<std::string> cases() {
  std::vector<std::string> found;
  for (const fs::directory_entry &entry : fs::directory_iterator(sourceFolder / "test/models/goldens")) {
    std::string name = entry.path().stem().string();
    Result<Json> golden = Json::read(entry.path().string());
    if (name.find('.') == name.npos || !golden)
      continue; // a real model
    for (const std::string &format :
         golden->root().get<std::vector<std::string>>("formats").value_or(std::vector<std::string>()))
      found.push_back(name + " " + format);
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// log(softmax(row)).
std::vector<double> logProbabilities(const lm::Tensor &logits, int64_t row) {
  std::vector<double> values(logits.row(row), logits.row(row) + logits.rowSize());
  double largest = *std::max_element(values.begin(), values.end()), sum = 0;
  for (double value : values)
    sum += std::exp(value - largest);
  for (double &value : values)
    value -= largest + std::log(sum);
  return values;
}

lm::Datum ids(const std::vector<int64_t> &values) {
  lm::Tensor tensor({static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), tensor.values.begin());
  return tensor;
}

class Goldens : public testing::TestWithParam<std::string> {};

} // namespace

TEST_P(Goldens, TheImportedGraphGivesTransformersLogProbabilities) {
  std::string name = GetParam().substr(0, GetParam().find(' ')), format = GetParam().substr(name.size() + 1);
  std::string architecture = name.substr(0, name.find('.')), variant = name.substr(name.find('.') + 1);
  TemporaryFolder folder;
  std::string command = fmt::format("python3 {} {} --variant {} --format {} -o {}",
                                    (sourceFolder / "utils/make-tiny-model").string(), architecture, variant,
                                    format, folder.path("model"));
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  Result<Model> model = openModel(folder.path(format == "gguf" ? "model/model.gguf" : "model"));
  Result<Json> golden = Json::read((sourceFolder / "test/models/goldens" / (name + ".json")).string());
  ASSERT_TRUE(golden) << golden.error().message;
  ASSERT_TRUE(model) << model.error().message;
  MLIRContext context;
  OwningOpRef<ModuleOp> module = importModel(context, *model);
  ASSERT_TRUE(module);
  lm::Parameters parameters = readParameters(*module, *model->weights);
  auto function = module->lookupSymbol<func::FuncOp>("forward");

  int compared = 0;
  for (JsonValue prompt : golden->root()["prompts"]) {
    std::vector<int64_t> tokens = *prompt.get<std::vector<int64_t>>("tokens");
    std::vector<int64_t> positions(tokens.size()), sequences(tokens.size(), 0);
    for (size_t i = 0; i < tokens.size(); ++i)
      positions[i] = i;
    auto results = lm::evaluate(function, {ids(tokens), ids(positions), ids(sequences)}, parameters);
    ASSERT_TRUE(succeeded(results));
    const lm::Tensor &logits = std::get<lm::Tensor>((*results)[0]);
    std::vector<double> last = logProbabilities(logits, tokens.size() - 1);
    double worst = 0;
    for (JsonValue entry : prompt["top"])
      worst =
          std::max(worst, std::abs(last[*entry.element(0).as<int64_t>()] - *entry.element(1).as<double>()));
    EXPECT_LE(worst, 1e-4) << prompt.get<std::string>("name").value_or("");
    if (std::optional<double> expected = *prompt.find<double>("mean_nll")) {
      double sum = 0;
      for (size_t i = 0; i + 1 < tokens.size(); ++i)
        sum -= logProbabilities(logits, i)[tokens[i + 1]];
      EXPECT_NEAR(sum / (tokens.size() - 1), *expected, 1e-4) << prompt.get<std::string>("name").value_or("");
    }
    ++compared;
  }
  EXPECT_GE(compared, 2) << "expected prompts in the golden";
}

INSTANTIATE_TEST_SUITE_P(Tiny, Goldens, testing::ValuesIn(cases()), [](const auto &info) {
  std::string text = info.param;
  for (char &c : text)
    if (!isalnum(static_cast<unsigned char>(c)))
      c = '_';
  return text;
});
