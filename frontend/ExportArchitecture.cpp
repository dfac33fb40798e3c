// SPDX-License-Identifier: Apache-2.0
// The table of architectures that `sinter export` knows: names of tensors and how each describes itself in
// config.json.
#include "frontend/ExportArchitecture.h"
#include "frontend/ExportConfig.h"

namespace sinter {
namespace {

using Name = TensorName;

constexpr Name llamaNames[] = {
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
    {"blk.#.attn_norm", "model.layers.#.input_layernorm"},
    {"blk.#.attn_q", "model.layers.#.self_attn.q_proj"},
    {"blk.#.attn_k", "model.layers.#.self_attn.k_proj"},
    {"blk.#.attn_v", "model.layers.#.self_attn.v_proj"},
    {"blk.#.attn_output", "model.layers.#.self_attn.o_proj"},
    {"blk.#.attn_q_norm", "model.layers.#.self_attn.q_norm"},
    {"blk.#.attn_k_norm", "model.layers.#.self_attn.k_norm"},
    {"blk.#.ffn_norm", "model.layers.#.post_attention_layernorm"},
    {"blk.#.ffn_gate", "model.layers.#.mlp.gate_proj"},
    {"blk.#.ffn_up", "model.layers.#.mlp.up_proj"},
    {"blk.#.ffn_down", "model.layers.#.mlp.down_proj"},
    {"blk.#.ffn_gate_inp", "model.layers.#.mlp.gate"},
    {"blk.#.ffn_gate_exps", "model.layers.#.mlp.experts.@.gate_proj"},
    {"blk.#.ffn_up_exps", "model.layers.#.mlp.experts.@.up_proj"},
    {"blk.#.ffn_down_exps", "model.layers.#.mlp.experts.@.down_proj"},
};

constexpr Name mixtralNames[] = {
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
    {"blk.#.attn_norm", "model.layers.#.input_layernorm"},
    {"blk.#.attn_q", "model.layers.#.self_attn.q_proj"},
    {"blk.#.attn_k", "model.layers.#.self_attn.k_proj"},
    {"blk.#.attn_v", "model.layers.#.self_attn.v_proj"},
    {"blk.#.attn_output", "model.layers.#.self_attn.o_proj"},
    {"blk.#.ffn_norm", "model.layers.#.post_attention_layernorm"},
    {"blk.#.ffn_gate_inp", "model.layers.#.block_sparse_moe.gate"},
    {"blk.#.ffn_gate_exps", "model.layers.#.block_sparse_moe.experts.@.w1"},
    {"blk.#.ffn_up_exps", "model.layers.#.block_sparse_moe.experts.@.w3"},
    {"blk.#.ffn_down_exps", "model.layers.#.block_sparse_moe.experts.@.w2"},
};

// Gemma 2 and 3 have norms before and after each half; OLMo 2 has those after only.
constexpr Name sandwichNames[] = {
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
    {"blk.#.attn_norm", "model.layers.#.input_layernorm"},
    {"blk.#.attn_q", "model.layers.#.self_attn.q_proj"},
    {"blk.#.attn_k", "model.layers.#.self_attn.k_proj"},
    {"blk.#.attn_v", "model.layers.#.self_attn.v_proj"},
    {"blk.#.attn_output", "model.layers.#.self_attn.o_proj"},
    {"blk.#.attn_q_norm", "model.layers.#.self_attn.q_norm"},
    {"blk.#.attn_k_norm", "model.layers.#.self_attn.k_norm"},
    {"blk.#.post_attention_norm", "model.layers.#.post_attention_layernorm"},
    {"blk.#.ffn_norm", "model.layers.#.pre_feedforward_layernorm"},
    {"blk.#.ffn_gate", "model.layers.#.mlp.gate_proj"},
    {"blk.#.ffn_up", "model.layers.#.mlp.up_proj"},
    {"blk.#.ffn_down", "model.layers.#.mlp.down_proj"},
    {"blk.#.post_ffw_norm", "model.layers.#.post_feedforward_layernorm"},
};

constexpr Name phi3Names[] = {
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
    {"blk.#.attn_norm", "model.layers.#.input_layernorm"},
    {"blk.#.attn_qkv", "model.layers.#.self_attn.qkv_proj"},
    {"blk.#.attn_output", "model.layers.#.self_attn.o_proj"},
    {"blk.#.ffn_norm", "model.layers.#.post_attention_layernorm"},
    {"blk.#.ffn_up", "model.layers.#.mlp.gate_up_proj"},
    {"blk.#.ffn_down", "model.layers.#.mlp.down_proj"},
};

constexpr Name stableLmNames[] = {
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
    {"blk.#.attn_norm", "model.layers.#.input_layernorm"},
    {"blk.#.attn_q", "model.layers.#.self_attn.q_proj"},
    {"blk.#.attn_k", "model.layers.#.self_attn.k_proj"},
    {"blk.#.attn_v", "model.layers.#.self_attn.v_proj"},
    {"blk.#.attn_output", "model.layers.#.self_attn.o_proj"},
    {"blk.#.attn_q_norm", "model.layers.#.self_attn.q_layernorm.norms.@"},
    {"blk.#.attn_k_norm", "model.layers.#.self_attn.k_layernorm.norms.@"},
    {"blk.#.ffn_norm", "model.layers.#.post_attention_layernorm"},
    {"blk.#.ffn_gate", "model.layers.#.mlp.gate_proj"},
    {"blk.#.ffn_up", "model.layers.#.mlp.up_proj"},
    {"blk.#.ffn_down", "model.layers.#.mlp.down_proj"},
};

constexpr Name starcoder2Names[] = {
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
    {"blk.#.attn_norm", "model.layers.#.input_layernorm"},
    {"blk.#.attn_q", "model.layers.#.self_attn.q_proj"},
    {"blk.#.attn_k", "model.layers.#.self_attn.k_proj"},
    {"blk.#.attn_v", "model.layers.#.self_attn.v_proj"},
    {"blk.#.attn_output", "model.layers.#.self_attn.o_proj"},
    {"blk.#.ffn_norm", "model.layers.#.post_attention_layernorm"},
    {"blk.#.ffn_up", "model.layers.#.mlp.c_fc"},
    {"blk.#.ffn_down", "model.layers.#.mlp.c_proj"},
};

constexpr Name gpt2Names[] = {
    {"token_embd", "transformer.wte"},
    {"position_embd", "transformer.wpe"},
    {"output_norm", "transformer.ln_f"},
    {"output", "lm_head"},
    {"blk.#.attn_norm", "transformer.h.#.ln_1"},
    {"blk.#.attn_qkv", "transformer.h.#.attn.c_attn"},
    {"blk.#.attn_output", "transformer.h.#.attn.c_proj"},
    {"blk.#.ffn_norm", "transformer.h.#.ln_2"},
    {"blk.#.ffn_up", "transformer.h.#.mlp.c_fc"},
    {"blk.#.ffn_down", "transformer.h.#.mlp.c_proj"},
};

constexpr Name gptNeoXNames[] = {
    {"token_embd", "gpt_neox.embed_in"},
    {"output_norm", "gpt_neox.final_layer_norm"},
    {"output", "embed_out"},
    {"blk.#.attn_norm", "gpt_neox.layers.#.input_layernorm"},
    {"blk.#.attn_qkv", "gpt_neox.layers.#.attention.query_key_value"},
    {"blk.#.attn_output", "gpt_neox.layers.#.attention.dense"},
    {"blk.#.ffn_norm", "gpt_neox.layers.#.post_attention_layernorm"},
    {"blk.#.ffn_up", "gpt_neox.layers.#.mlp.dense_h_to_4h"},
    {"blk.#.ffn_down", "gpt_neox.layers.#.mlp.dense_4h_to_h"},
};

constexpr Name bloomNames[] = {
    {"token_embd", "transformer.word_embeddings"},
    {"token_embd_norm", "transformer.word_embeddings_layernorm"},
    {"output_norm", "transformer.ln_f"},
    {"output", "lm_head"},
    {"blk.#.attn_norm", "transformer.h.#.input_layernorm"},
    {"blk.#.attn_qkv", "transformer.h.#.self_attention.query_key_value"},
    {"blk.#.attn_output", "transformer.h.#.self_attention.dense"},
    {"blk.#.ffn_norm", "transformer.h.#.post_attention_layernorm"},
    {"blk.#.ffn_up", "transformer.h.#.mlp.dense_h_to_4h"},
    {"blk.#.ffn_down", "transformer.h.#.mlp.dense_4h_to_h"},
};

constexpr Name mptNames[] = {
    {"token_embd", "transformer.wte"},
    {"output_norm", "transformer.norm_f"},
    {"output", "lm_head"},
    {"blk.#.attn_norm", "transformer.blocks.#.norm_1"},
    {"blk.#.attn_qkv", "transformer.blocks.#.attn.Wqkv"},
    {"blk.#.attn_output", "transformer.blocks.#.attn.out_proj"},
    {"blk.#.ffn_norm", "transformer.blocks.#.norm_2"},
    {"blk.#.ffn_up", "transformer.blocks.#.ffn.up_proj"},
    {"blk.#.ffn_down", "transformer.blocks.#.ffn.down_proj"},
};

const ExportArchitecture architectures[] = {
    {.gguf = "llama",
     .modelType = "llama",
     .className = "LlamaForCausalLM",
     .names = llamaNames,
     .describe = describeLlama,
     .permutedHeads = true},
    {.gguf = "smollm3",
     .modelType = "smollm3",
     .className = "SmolLM3ForCausalLM",
     .names = llamaNames,
     .describe = describeSmolLm3,
     .permutedHeads = true},
    {.gguf = "qwen2",
     .modelType = "qwen2",
     .className = "Qwen2ForCausalLM",
     .names = llamaNames,
     .describe = describeQwen2},
    {.gguf = "qwen3",
     .modelType = "qwen3",
     .className = "Qwen3ForCausalLM",
     .names = llamaNames,
     .describe = describeQwen3},
    {.gguf = "qwen3moe",
     .modelType = "qwen3_moe",
     .className = "Qwen3MoeForCausalLM",
     .names = llamaNames,
     .describe = describeQwen3Moe},
    {.gguf = "gemma2",
     .modelType = "gemma2",
     .className = "Gemma2ForCausalLM",
     .names = sandwichNames,
     .describe = describeGemma2,
     .shiftedNorms = true},
    {.gguf = "gemma3",
     .modelType = "gemma3_text",
     .className = "Gemma3ForCausalLM",
     .names = sandwichNames,
     .describe = describeGemma3,
     .shiftedNorms = true},
    {.gguf = "olmo2",
     .modelType = "olmo2",
     .className = "Olmo2ForCausalLM",
     .names = sandwichNames,
     .describe = describeOlmo2},
    {.gguf = "phi3",
     .modelType = "phi3",
     .className = "Phi3ForCausalLM",
     .names = phi3Names,
     .describe = describePhi3},
    {.gguf = "stablelm",
     .modelType = "stablelm",
     .className = "StableLmForCausalLM",
     .names = stableLmNames,
     .describe = describeStableLm},
    {.gguf = "starcoder2",
     .modelType = "starcoder2",
     .className = "Starcoder2ForCausalLM",
     .names = starcoder2Names,
     .describe = describeStarcoder2},
    {.gguf = "gpt2",
     .modelType = "gpt2",
     .className = "GPT2LMHeadModel",
     .names = gpt2Names,
     .describe = describeGpt2,
     .transposed = true},
    {.gguf = "gptneox",
     .modelType = "gpt_neox",
     .className = "GPTNeoXForCausalLM",
     .names = gptNeoXNames,
     .describe = describeGptNeoX,
     .mergedHeads = true},
    {.gguf = "bloom",
     .modelType = "bloom",
     .className = "BloomForCausalLM",
     .names = bloomNames,
     .describe = describeBloom,
     .mergedHeads = true},
    {.gguf = "mpt",
     .modelType = "mpt",
     .className = "MptForCausalLM",
     .names = mptNames,
     .describe = describeMpt},
};

// A GGUF file calls Mixtral "llama" too; its experts tell it apart.
const ExportArchitecture mixtral = {.gguf = "llama",
                                    .modelType = "mixtral",
                                    .className = "MixtralForCausalLM",
                                    .names = mixtralNames,
                                    .describe = describeMixtral,
                                    .permutedHeads = true};

} // namespace

Result<const ExportArchitecture *> exportArchitecture(const Gguf &gguf) {
  Result<std::string> name = gguf.get<std::string>("general.architecture");
  Result<int64_t> experts =
      name ? gguf.getOr<int64_t>("llama.expert_count", 0) : tl::unexpected(name.error());
  if (!experts)
    return tl::unexpected(experts.error());
  if (*name == "llama" && *experts > 0)
    return &mixtral;
  std::string known;
  for (const ExportArchitecture &architecture : architectures) {
    if (architecture.gguf == *name)
      return &architecture;
    known += (known.empty() ? "" : ", ") + std::string(architecture.gguf);
  }
  return fail("{}: metadata key 'general.architecture': expected one of {}, found \"{}\"", gguf.path(), known,
              *name);
}

} // namespace sinter
