// SPDX-License-Identifier: Apache-2.0
// Importing: what the module declares, and what it says about files that do not fit their configuration.
#include "dialects/lm/LmDialect.h"
#include "frontend/Info.h"
#include "frontend/Model.h"
#include "test/TemporaryFolder.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace sinter;

namespace {

/// A folder with a tiny model, and what importing it says.
struct Tiny {
  TemporaryFolder folder;
  MLIRContext context;
  std::string said;
  OwningOpRef<ModuleOp> module;

  explicit Tiny(const std::string &arguments) {
    std::string command = fmt::format("python3 {}/utils/make-tiny-model {} -o {}", SINTER_SOURCE_DIR,
                                      arguments, folder.path("model"));
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
  }

  /// Replaces `from` by `to` in config.json.
  void edit(const std::string &from, const std::string &to) {
    std::string text = folder.read("model/config.json");
    size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << text;
    folder.write("model/config.json", text.replace(at, from.size(), to));
  }

  void import(const std::string &weights = "keep", const std::string &file = "model") {
    Result<Model> model = openModel(folder.path(file), weights);
    if (!model) {
      said = model.error().message;
      return;
    }
    ScopedDiagnosticHandler handler(&context,
                                    [&](Diagnostic &diagnostic) { said += diagnostic.str() + "\n"; });
    module = importModel(context, *model);
  }

  lm::ParameterOp parameter(StringRef name) { return module->lookupSymbol<lm::ParameterOp>(name); }
};

} // namespace

TEST(Import, ParametersHaveUniformNamesAndSourcesInTheFile) {
  Tiny tiny("llama --format hf");
  tiny.import();
  ASSERT_TRUE(tiny.module) << tiny.said;
  EXPECT_EQ(tiny.said, "");
  lm::ParameterOp query = tiny.parameter("layers.2.attention.query");
  ASSERT_TRUE(query);
  EXPECT_EQ(query.getSource()->getTensors()[0], "model.layers.2.self_attn.q_proj.weight");
  EXPECT_EQ(query.getSource()->getOrder(), lm::RowOrder::plain);
  auto function = tiny.module->lookupSymbol<func::FuncOp>("forward");
  ASSERT_TRUE(function);
  EXPECT_EQ(function.getNumArguments(), 3u);
  EXPECT_TRUE(tiny.module.get()->hasAttr("lm.vocabulary"));
}

TEST(Import, AHeadWithOtherNumbersThanTheEmbeddingIsNotTied) {
  Tiny tiny("llama --format hf");
  tiny.edit("\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true");
  tiny.import();
  ASSERT_TRUE(tiny.module) << tiny.said;
  EXPECT_TRUE(tiny.parameter("head"));
}

TEST(Import, AHeadAloneIsTheEmbeddingToo) {
  Tiny tiny("llama --format hf");
  tiny.edit("\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true");
  std::string file = tiny.folder.read("model/model.safetensors"), name = "model.embed_tokens.weight";
  ASSERT_NE(file.find(name), std::string::npos);
  tiny.folder.write("model/model.safetensors",
                    file.replace(file.find(name), name.size(), "something.else.of.a.model"));
  tiny.import();
  ASSERT_TRUE(tiny.module) << tiny.said;
  EXPECT_FALSE(tiny.parameter("head"));
  EXPECT_EQ(tiny.parameter("embedding").getSource()->getTensors()[0], "lm_head.weight");
}

TEST(Import, TheModuleSurvivesPrintingAndParsing) {
  Tiny tiny("mixtral --format hf"); // a parameter of several tensors
  tiny.import();
  ASSERT_TRUE(tiny.module) << tiny.said;
  std::string text, again;
  llvm::raw_string_ostream(text) << *tiny.module;
  OwningOpRef<ModuleOp> parsed = parseSourceString<ModuleOp>(text, &tiny.context);
  ASSERT_TRUE(parsed) << text.substr(0, 2000);
  llvm::raw_string_ostream(again) << *parsed;
  EXPECT_EQ(text, again);
}

TEST(Import, WeightsConvertWhereTheyAreMatrices) {
  Tiny tiny("llama --format hf");
  tiny.import("bf16");
  ASSERT_TRUE(tiny.module) << tiny.said;
  auto element = [&](StringRef name) {
    return cast<RankedTensorType>(tiny.parameter(name).getType()).getElementType();
  };
  EXPECT_TRUE(element("layers.0.mlp.up").isBF16());
  EXPECT_TRUE(element("layers.0.mlp_norm").isF32());
  tiny.import("int3");
  EXPECT_NE(tiny.said.find("--weights: expected keep, f32"), std::string::npos) << tiny.said;
}

TEST(Import, AWrongShapeIsReportedWithTensorShapesAndFile) {
  Tiny tiny("llama --format hf");
  tiny.edit("\"intermediate_size\": 100", "\"intermediate_size\": 104");
  tiny.import();
  EXPECT_FALSE(tiny.module);
  for (const char *part :
       {"model.layers.0.mlp.gate_proj.weight", "[104, 72]", "[100, 72]", "model.safetensors"})
    EXPECT_NE(tiny.said.find(part), std::string::npos) << part << " in " << tiny.said;
}

TEST(Import, MissingTensorsAreAllReportedUpToALimit) {
  Tiny tiny("llama --format hf");
  tiny.edit("\"num_hidden_layers\": 3", "\"num_hidden_layers\": 5");
  tiny.import();
  EXPECT_FALSE(tiny.module);
  EXPECT_NE(tiny.said.find("model.layers.3.input_layernorm.weight"), std::string::npos) << tiny.said;
  EXPECT_NE(tiny.said.find("more tensors are missing or wrong"), std::string::npos) << tiny.said;
}

TEST(Import, TensorsThatNoParameterIsAreNamedInAWarning) {
  Tiny tiny("llama --format hf");
  tiny.edit("\"num_hidden_layers\": 3", "\"num_hidden_layers\": 2");
  tiny.import();
  EXPECT_TRUE(tiny.module);
  EXPECT_NE(tiny.said.find("9 tensors are no part of a model of architecture llama"), std::string::npos)
      << tiny.said;
}

TEST(Import, ABareConfigurationImportsWithoutWeights) {
  Tiny tiny("gpt2 --format hf");
  tiny.import("keep", "model/config.json");
  ASSERT_TRUE(tiny.module) << tiny.said;
  lm::ParameterOp parameter = tiny.parameter("layers.0.attention.query_key_value");
  ASSERT_TRUE(parameter);
  EXPECT_TRUE(parameter.getSource()->getTransposed());
  EXPECT_EQ(parameter.getSource()->getTensors()[0], "transformer.h.0.attn.c_attn.weight");
}

TEST(Import, WhatIsNoModelIsRefused) {
  TemporaryFolder folder;
  auto errorOf = [&](const std::string &path) {
    Result<Model> model = openModel(path);
    return model ? "no error" : model.error().message;
  };
  EXPECT_NE(errorOf(folder.path("none")).find("found nothing there"), std::string::npos);
  EXPECT_NE(errorOf("").find("found an empty path"), std::string::npos);
  EXPECT_NE(errorOf(folder.write("text", "hello")).find("found a file that begins otherwise"),
            std::string::npos);
  folder.write("config.json", R"({"model_type": "llama"})");
  folder.write("pytorch_model.bin", "");
  EXPECT_NE(errorOf(folder.path()).find("found pickled weights in pytorch_model.bin; convert them"),
            std::string::npos);
}

TEST(Info, TheReportOfATinyLlamaSaysWhatItIs) {
  Tiny tiny("llama --format hf");
  Result<std::string> report = describeModel(tiny.folder.path("model"));
  ASSERT_TRUE(report) << report.error().message;
  for (const char *part :
       {"architecture    llama", "F32: 30 tensors, ", "layers          3",
        "6 of 12 columns, 2 of keys and values", "positions       rotary", "tokenizer.json", "chat template"})
    EXPECT_NE(report->find(part), std::string::npos) << part << " in\n" << *report;
}
