// SPDX-License-Identifier: Apache-2.0
// The list of architectures, and the tensor names that most of them share.
#include "frontend/Architecture.h"

namespace sinter {

std::span<const Architecture *const> architectures() {
  static constexpr const Architecture *all[] = {&llama,      &mistral, &mixtral, &smolLm3, &qwen2, &qwen3,
                                                &qwen3Moe,   &gemma2,  &gemma3,  &olmo2,   &phi3,  &stableLm,
                                                &starCoder2, &gpt2,    &gptNeoX, &bloom,   &mpt,   &opt};
  return all;
}

static const Architecture *findBy(std::span<const std::string_view> Architecture::*names,
                                  std::string_view name) {
  for (const Architecture *architecture : architectures())
    for (std::string_view candidate : architecture->*names)
      if (candidate == name)
        return architecture;
  return nullptr;
}

const Architecture *findArchitecture(std::string_view modelType) {
  return findBy(&Architecture::modelTypes, modelType);
}
const Architecture *findGgufArchitecture(std::string_view name) {
  return findBy(&Architecture::ggufNames, name);
}

const ParameterNames *findNames(const Architecture &architecture, std::string_view parameter) {
  for (std::span<const ParameterNames> names : {architecture.tensors, llamaNames()})
    for (const ParameterNames &name : names)
      if (name.parameter == parameter)
        return &name;
  return nullptr;
}

std::span<const ParameterNames> llamaNames() {
  static constexpr ParameterNames names[] = {
      {"embedding", {"model.embed_tokens.weight"}, {"token_embd.weight"}},
      {"layers.*.attention_norm", {"model.layers.*.input_layernorm.weight"}, {"blk.*.attn_norm.weight"}},
      {"layers.*.attention.query", {"model.layers.*.self_attn.q_proj.weight"}, {"blk.*.attn_q.weight"}},
      {"layers.*.attention.key", {"model.layers.*.self_attn.k_proj.weight"}, {"blk.*.attn_k.weight"}},
      {"layers.*.attention.value", {"model.layers.*.self_attn.v_proj.weight"}, {"blk.*.attn_v.weight"}},
      {"layers.*.attention.query_key_value",
       {"model.layers.*.self_attn.qkv_proj.weight"},
       {"blk.*.attn_qkv.weight"}},
      {"layers.*.attention.query_norm",
       {"model.layers.*.self_attn.q_norm.weight"},
       {"blk.*.attn_q_norm.weight"}},
      {"layers.*.attention.key_norm",
       {"model.layers.*.self_attn.k_norm.weight"},
       {"blk.*.attn_k_norm.weight"}},
      {"layers.*.attention.output", {"model.layers.*.self_attn.o_proj.weight"}, {"blk.*.attn_output.weight"}},
      {"layers.*.mlp_norm", {"model.layers.*.post_attention_layernorm.weight"}, {"blk.*.ffn_norm.weight"}},
      {"layers.*.mlp.gate", {"model.layers.*.mlp.gate_proj.weight"}, {"blk.*.ffn_gate.weight"}},
      {"layers.*.mlp.up", {"model.layers.*.mlp.up_proj.weight"}, {"blk.*.ffn_up.weight"}},
      {"layers.*.mlp.down", {"model.layers.*.mlp.down_proj.weight"}, {"blk.*.ffn_down.weight"}},
      {"final_norm", {"model.norm.weight"}, {"output_norm.weight"}},
      {"head", {"lm_head.weight"}, {"output.weight"}},
  };
  return names;
}

} // namespace sinter
