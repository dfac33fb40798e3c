// SPDX-License-Identifier: Apache-2.0
#include "compiler/AdapterConfig.h"

#include "dialects/lm/LmDialect.h"
#include "frontend/Architecture.h"
#include "runtime/files/JsonWriter.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace sinter {

std::string adapterPrefix(const Model &model) {
  // Any parameter of a layer tells: each has the same prefix.
  const ParameterNames *names = findNames(*model.config.architecture, "layers.*.attention.output");
  if (!names || !model.weights)
    return "";
  std::string expected(names->huggingFace.tensor.substr(0, names->huggingFace.tensor.find('|')));
  expected.replace(expected.find('*'), 1, "0");
  for (const Weight &weight : model.weights->weights()) {
    llvm::StringRef whole = expected, name(weight.name.data(), weight.name.size());
    if (whole.consume_back(name) && (whole.empty() || whole.ends_with(".")))
      return whole.str();
  }
  return "";
}

std::string adapterTargets(const PipelineOptions &options) {
  return options.adapterTargets.empty() ? "all-linear" : llvm::join(options.adapterTargets, ",");
}

std::string makeAdapterConfig(ModuleOp module, const PipelineOptions &options, const std::string &base) {
  llvm::SetVector<llvm::StringRef> targets;
  for (const std::string &target : options.adapterTargets)
    targets.insert(target);
  bool isTransposed = false;
  for (auto parameter : module.getOps<lm::ParameterOp>()) {
    if (!parameter->hasAttr("lm.adapters"))
      continue;
    isTransposed |= parameter.getSource()->getTransposed();
    llvm::StringRef name = parameter.getSource()->getTensors().front().getValue();
    name.consume_back(".weight");
    if (options.adapterTargets.empty())
      targets.insert(name.substr(name.rfind('.') + 1));
  }
  JsonWriter json(2);
  json.beginObject().key("peft_type").value("LORA").key("task_type").value("CAUSAL_LM");
  json.key("base_model_name_or_path").value(base).key("inference_mode").value(true);
  json.key("r").value(options.adapterRank).key("lora_alpha").value(options.adapterAlpha);
  json.key("target_modules").beginArray();
  for (llvm::StringRef target : targets)
    json.value(std::string_view(target));
  json.endArray();
  // Of modules that keep their weight as (inputs, outputs): GPT-2's Conv1D.
  json.key("fan_in_fan_out").value(isTransposed);
  json.key("lora_dropout").value(0.0).key("bias").value("none").key("init_lora_weights").value(true);
  json.key("use_rslora").value(false).key("use_dora").value(false).key("modules_to_save").null().endObject();
  return json.take() + "\n";
}

} // namespace sinter
