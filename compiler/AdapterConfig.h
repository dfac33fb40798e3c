// SPDX-License-Identifier: Apache-2.0
// What PEFT is told about low-rank adapters.
#ifndef SINTER_COMPILER_ADAPTERCONFIG_H
#define SINTER_COMPILER_ADAPTERCONFIG_H

#include "compiler/Options.h"
#include "frontend/Model.h"

#include "mlir/IR/BuiltinOps.h"

namespace sinter {

/// What the modules of transformers' class for causal language models have in front of the names in the
/// model's file: "transformer." for a GPT-2 that was saved without it, mostly nothing.
std::string adapterPrefix(const Model &model);

/// --lora-targets in one text: "q_proj,v_proj", or "all-linear" for none.
std::string adapterTargets(const PipelineOptions &options);

/// adapter_config.json for the adapters that --lm-add-adapters put into `module`, beside the model `base`.
std::string makeAdapterConfig(mlir::ModuleOp module, const PipelineOptions &options, const std::string &base);

} // namespace sinter

#endif // SINTER_COMPILER_ADAPTERCONFIG_H
