# SPDX-License-Identifier: Apache-2.0
"""Tiny models with layer norms: GPT-2, GPT-NeoX, StableLM, StarCoder2, BLOOM, MPT and OPT."""
from array import array
import math

from .model import Model, Tensor, regrouped, stacked
from .tokenizer import ByteLevel

HF, BOTH, ALL = ["hf"], ["hf", "hf4"], ["hf", "hf4", "gguf"]


def start(arch, variant, o):
    m = Model(arch, variant, ByteLevel())
    m.config = {"architectures": [o["class"]], "model_type": arch, "vocab_size": m.rows,
                "bos_token_id": m.tokenizer.bos, "eos_token_id": m.tokenizer.eos, "pad_token_id": None,
                "dtype": "float32", "transformers_version": "5.23.0", **o.get("config", {})}
    return m


def rename(m, table, layer, transform=lambda name, tensor: tensor):
    """GGUF tensors by a table of base names; `layer` is the prefix of a layer, like "transformer.h."."""
    for name, tensor in m.tensors.items():
        base, kind = name.rsplit(".", 1)
        if base.startswith(layer):
            number, rest = base.removeprefix(layer).split(".", 1)
            if table.get(rest) is None:
                continue
            new = f"blk.{number}.{table[rest]}"
        else:
            new = table[base]
        m.toGguf(f"{new}.{kind}", transform(base, tensor))


def gpt2(arch, variant, o):
    m = start(arch, variant, o)
    width, heads, layers, context = 60, 5, 3, 96
    inner = m.config.get("n_inner") or 4 * width
    m.config.update({"n_embd": width, "n_head": heads, "n_layer": layers, "n_positions": context, "n_ctx": context,
                     "layer_norm_epsilon": 1e-5})
    m.config.setdefault("activation_function", "gelu_new")
    m.embedding("transformer.wte", m.rows, width, 3 / math.sqrt(width))
    m.embedding("transformer.wpe", context, width, 0.3)
    for layer in range(layers):
        p = f"transformer.h.{layer}."
        m.norm(p + "ln_1", width, True)
        m.linear(p + "attn.c_attn", 3 * width, width, 1.3, True, transposed=True)
        m.linear(p + "attn.c_proj", width, width, 1.2, True, transposed=True)
        m.norm(p + "ln_2", width, True)
        m.linear(p + "mlp.c_fc", inner, width, 1.3, True, transposed=True)
        m.linear(p + "mlp.c_proj", width, inner, 1.5, True, transposed=True)
        if o.get("legacy"):
            ones = array("f", [float(j <= i) for i in range(context) for j in range(context)])
            m.legacy[p + "attn.bias"] = Tensor((1, 1, context, context), ones)
            m.legacy[p + "attn.masked_bias"] = Tensor((1,), array("f", [-1e4]))
    m.norm("transformer.ln_f", width, True)
    if o.get("legacy"):
        m.omitted = ("transformer.",)
    if not m.config.get("tie_word_embeddings", True):
        m.linear("lm_head", m.rows, width, 3.0)
    if "gguf" in o["formats"]:
        m.gguf("gpt2")
        m.meta("block_count", "u32", layers)
        m.meta("context_length", "u32", context)
        m.meta("embedding_length", "u32", width)
        m.meta("feed_forward_length", "u32", 4 * width)
        m.meta("attention.head_count", "u32", heads)
        m.meta("attention.layer_norm_epsilon", "f32", 1e-5)
        rename(m, {"transformer.wte": "token_embd", "transformer.wpe": "position_embd", "transformer.ln_f": "output_norm",
                   "lm_head": "output", "ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output",
                   "ln_2": "ffn_norm", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"}, "transformer.h.",
               lambda name, t: t.transposed() if ".c_" in name and len(t.shape) == 2 else t)
    return m


def gptNeox(arch, variant, o):
    m = start(arch, variant, o)
    width, heads, layers, ff = 80, 5, 3, 108
    partial = o.get("partial", 0.25)
    m.config.update({"hidden_size": width, "num_attention_heads": heads, "num_hidden_layers": layers,
                     "intermediate_size": ff, "max_position_embeddings": 128, "layer_norm_eps": 1e-5,
                     "hidden_act": "gelu", "tie_word_embeddings": False, "attention_bias": True,
                     "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0,
                                         "partial_rotary_factor": partial}})
    m.config.setdefault("use_parallel_residual", True)
    m.config4 = {k: v for k, v in m.config.items() if k not in ("rope_parameters", "dtype")}
    m.config4.update({"rotary_pct": partial, "rotary_emb_base": 10000, "torch_dtype": "float32", "rope_scaling": None,
                      "transformers_version": "4.46.3"})
    m.embedding("gpt_neox.embed_in", m.rows, width, 1.0)
    for layer in range(layers):
        p = f"gpt_neox.layers.{layer}."
        m.norm(p + "input_layernorm", width, True)
        m.norm(p + "post_attention_layernorm", width, True)
        m.linear(p + "attention.query_key_value", 3 * width, width, 1.3, True)
        m.linear(p + "attention.dense", width, width, 1.2, True)
        m.linear(p + "mlp.dense_h_to_4h", ff, width, 1.3, True)
        m.linear(p + "mlp.dense_4h_to_h", width, ff, 1.5, True)
    m.norm("gpt_neox.final_layer_norm", width, True)
    m.linear("embed_out", m.rows, width, 3.0)
    m.gguf("gptneox")
    m.meta("context_length", "u32", 128)
    m.meta("embedding_length", "u32", width)
    m.meta("block_count", "u32", layers)
    m.meta("feed_forward_length", "u32", ff)
    m.meta("rope.dimension_count", "u32", int(partial * (width // heads)))
    m.meta("attention.head_count", "u32", heads)
    m.meta("use_parallel_residual", "bool", m.config["use_parallel_residual"])
    m.meta("attention.layer_norm_epsilon", "f32", 1e-5)
    rename(m, {"gpt_neox.embed_in": "token_embd", "gpt_neox.final_layer_norm": "output_norm", "embed_out": "output",
               "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
               "attention.query_key_value": "attn_qkv", "attention.dense": "attn_output",
               "mlp.dense_h_to_4h": "ffn_up", "mlp.dense_4h_to_h": "ffn_down"}, "gpt_neox.layers.",
           lambda name, t: regrouped(heads, t) if name.endswith("query_key_value") else t)
    return m


def stablelm(arch, variant, o):
    m = start(arch, variant, o)
    width, heads, kv, layers, ff = 80, 5, o.get("kv", 5), 3, 92
    size = width // heads
    for key in ("use_qkv_bias", "qk_layernorm", "use_parallel_residual"):
        m.config.setdefault(key, False)
    m.config.update({"hidden_size": width, "num_attention_heads": heads, "num_key_value_heads": kv,
                     "num_hidden_layers": layers, "intermediate_size": ff, "max_position_embeddings": 128,
                     "layer_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": False,
                     "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0,
                                         "partial_rotary_factor": 0.25}})
    parallel, bias = m.config["use_parallel_residual"], m.config["use_qkv_bias"]
    m.embedding("model.embed_tokens", m.rows, width, 1.0)
    for layer in range(layers):
        p = f"model.layers.{layer}."
        m.norm(p + "input_layernorm", width, True)
        m.linear(p + "self_attn.q_proj", heads * size, width, 1.3, bias)
        m.linear(p + "self_attn.k_proj", kv * size, width, 1.3, bias)
        m.linear(p + "self_attn.v_proj", kv * size, width, 1.0, bias)
        m.linear(p + "self_attn.o_proj", width, width, 1.2)
        if m.config["qk_layernorm"]:
            for h in range(heads):
                m.norm(f"{p}self_attn.q_layernorm.norms.{h}", size)
            for h in range(kv):
                m.norm(f"{p}self_attn.k_layernorm.norms.{h}", size)
        if not parallel:
            m.norm(p + "post_attention_layernorm", width, True)
        m.linear(p + "mlp.gate_proj", ff, width, 1.5)
        m.linear(p + "mlp.up_proj", ff, width, 1.3)
        m.linear(p + "mlp.down_proj", width, ff, 1.2)
    m.norm("model.norm", width, True)
    m.linear("lm_head", m.rows, width, 3.0)
    m.gguf("stablelm")
    m.meta("context_length", "u32", 128)
    m.meta("embedding_length", "u32", width)
    m.meta("block_count", "u32", layers)
    m.meta("feed_forward_length", "u32", ff)
    m.meta("rope.dimension_count", "u32", size // 4)
    m.meta("attention.head_count", "u32", heads)
    m.meta("attention.head_count_kv", "u32", kv)
    m.meta("use_parallel_residual", "bool", parallel)
    m.meta("attention.layer_norm_epsilon", "f32", 1e-5)
    rename(m, {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
               "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
               "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
               "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}, "model.layers.")
    if m.config["qk_layernorm"]:
        for layer in range(layers):
            for part, count in (("q", heads), ("k", kv)):
                base = f"model.layers.{layer}.self_attn.{part}_layernorm.norms."
                m.toGguf(f"blk.{layer}.attn_{part}_norm.weight",
                         stacked([m.tensors[f"{base}{h}.weight"] for h in range(count)]))
    return m


def starcoder2(arch, variant, o):
    m = start(arch, variant, o)
    width, heads, kv, layers, ff = 72, 6, 2, 3, 100
    size, tied, bias = width // heads, o.get("tied", True), o.get("bias", True)
    m.config.update({"hidden_size": width, "num_attention_heads": heads, "num_key_value_heads": kv,
                     "num_hidden_layers": layers, "intermediate_size": ff, "max_position_embeddings": 128,
                     "norm_epsilon": 1e-5, "hidden_act": "gelu_pytorch_tanh", "tie_word_embeddings": tied,
                     "use_bias": bias, "rope_parameters": {"rope_type": "default", "rope_theta": 100000.0}})
    m.embedding("model.embed_tokens", m.rows, width, 3 / math.sqrt(width) if tied else 1.0)
    for layer in range(layers):
        p = f"model.layers.{layer}."
        m.norm(p + "input_layernorm", width, True)
        m.linear(p + "self_attn.q_proj", heads * size, width, 1.3, bias)
        m.linear(p + "self_attn.k_proj", kv * size, width, 1.3, bias)
        m.linear(p + "self_attn.v_proj", kv * size, width, 1.0, bias)
        m.linear(p + "self_attn.o_proj", width, width, 1.2, bias)
        m.norm(p + "post_attention_layernorm", width, True)
        m.linear(p + "mlp.c_fc", ff, width, 1.3, bias)
        m.linear(p + "mlp.c_proj", width, ff, 1.5, bias)
    m.norm("model.norm", width, True)
    if not tied:
        m.linear("lm_head", m.rows, width, 3.0)
    if "gguf" in o["formats"]:
        m.gguf("starcoder2")
        m.meta("block_count", "u32", layers)
        m.meta("context_length", "u32", 128)
        m.meta("embedding_length", "u32", width)
        m.meta("feed_forward_length", "u32", ff)
        m.meta("attention.head_count", "u32", heads)
        m.meta("attention.head_count_kv", "u32", kv)
        m.meta("rope.freq_base", "f32", 100000.0)
        m.meta("attention.layer_norm_epsilon", "f32", 1e-5)
        rename(m, {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
                   "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
                   "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
                   "self_attn.o_proj": "attn_output", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"},
               "model.layers.")
    return m


def bloom(arch, variant, o):
    m = start(arch, variant, o)
    heads, width, layers = o["heads"], o["width"], 3
    m.config.update({"hidden_size": width, "n_head": heads, "n_layer": layers, "layer_norm_epsilon": 1e-5,
                     "seq_length": 128, "tie_word_embeddings": True})
    m.embedding("transformer.word_embeddings", m.rows, width, 3 / math.sqrt(width))
    m.norm("transformer.word_embeddings_layernorm", width, True)
    for layer in range(layers):
        p = f"transformer.h.{layer}."
        m.norm(p + "input_layernorm", width, True)
        m.linear(p + "self_attention.query_key_value", 3 * width, width, 1.3, True)
        m.linear(p + "self_attention.dense", width, width, 1.2, True)
        m.norm(p + "post_attention_layernorm", width, True)
        m.linear(p + "mlp.dense_h_to_4h", 4 * width, width, 1.3, True)
        m.linear(p + "mlp.dense_4h_to_h", width, 4 * width, 1.5, True)
    m.norm("transformer.ln_f", width, True)
    if o.get("legacy"):
        m.omitted = ("transformer.",)
    if "gguf" in o["formats"]:
        m.gguf("bloom")
        m.meta("context_length", "u32", 128)
        m.meta("embedding_length", "u32", width)
        m.meta("feed_forward_length", "u32", 4 * width)
        m.meta("block_count", "u32", layers)
        m.meta("attention.head_count", "u32", heads)
        m.meta("attention.head_count_kv", "u32", heads)
        m.meta("attention.layer_norm_epsilon", "f32", 1e-5)
        rename(m, {"transformer.word_embeddings": "token_embd", "transformer.ln_f": "output_norm",
                   "transformer.word_embeddings_layernorm": "token_embd_norm", "input_layernorm": "attn_norm",
                   "self_attention.query_key_value": "attn_qkv", "self_attention.dense": "attn_output",
                   "post_attention_layernorm": "ffn_norm", "mlp.dense_h_to_4h": "ffn_up",
                   "mlp.dense_4h_to_h": "ffn_down"}, "transformer.h.",
               lambda name, t: regrouped(heads, t) if name.endswith("query_key_value") else t)
    return m


def mpt(arch, variant, o):
    m = start(arch, variant, o)
    heads, width, layers = o["heads"], o["width"], 3
    attention = {"attn_type": "multihead_attention", "attn_pdrop": 0, "attn_impl": "torch", "clip_qkv": None,
                 "softmax_scale": None, "prefix_lm": False, "qk_ln": False, "attn_uses_sequence_id": False,
                 "alibi": True, "alibi_bias_max": 8, **o.get("attention", {})}
    m.config.update({"d_model": width, "n_heads": heads, "n_layers": layers, "max_seq_len": 128, "no_bias": True,
                     "expansion_ratio": 4, "attn_config": attention, "learned_pos_emb": True, "logit_scale": None,
                     "tie_word_embeddings": True, "layer_norm_epsilon": 1e-5})
    m.embedding("transformer.wte", m.rows, width, 3 / math.sqrt(width))
    for layer in range(layers):
        p = f"transformer.blocks.{layer}."
        m.norm(p + "norm_1", width)
        m.linear(p + "attn.Wqkv", 3 * width, width, 1.3)
        m.linear(p + "attn.out_proj", width, width, 1.2)
        m.norm(p + "norm_2", width)
        m.linear(p + "ffn.up_proj", 4 * width, width, 1.3)
        m.linear(p + "ffn.down_proj", width, 4 * width, 1.5)
    m.norm("transformer.norm_f", width)
    if "gguf" in o["formats"]:
        m.gguf("mpt")
        m.meta("context_length", "u32", 128)
        m.meta("embedding_length", "u32", width)
        m.meta("block_count", "u32", layers)
        m.meta("feed_forward_length", "u32", 4 * width)
        m.meta("attention.head_count", "u32", heads)
        m.meta("attention.layer_norm_epsilon", "f32", 1e-5)
        if attention["clip_qkv"]:
            m.meta("attention.clamp_kqv", "f32", attention["clip_qkv"])
        m.meta("attention.max_alibi_bias", "f32", float(attention["alibi_bias_max"]))
        rename(m, {"transformer.wte": "token_embd", "transformer.norm_f": "output_norm", "norm_1": "attn_norm",
                   "attn.Wqkv": "attn_qkv", "attn.out_proj": "attn_output", "norm_2": "ffn_norm",
                   "ffn.up_proj": "ffn_up", "ffn.down_proj": "ffn_down"}, "transformer.blocks.")
    return m


def opt(arch, variant, o):
    m = start(arch, variant, o)
    width, heads, layers, ff, context = 60, 5, 3, 100, 96
    words, pre, bias = o.get("words", width), o.get("pre", True), o.get("bias", True)
    m.config.update({"hidden_size": width, "num_attention_heads": heads, "num_hidden_layers": layers, "ffn_dim": ff,
                     "max_position_embeddings": context, "do_layer_norm_before": pre, "word_embed_proj_dim": words,
                     "activation_function": "relu", "enable_bias": bias, "layer_norm_elementwise_affine": True,
                     "tie_word_embeddings": True, "pad_token_id": 1, "_remove_final_layer_norm": False})
    d = "model.decoder."
    m.embedding(d + "embed_tokens", m.rows, words, 3 / math.sqrt(words))
    m.embedding(d + "embed_positions", context + 2, width, 0.3)
    if words != width:
        m.linear(d + "project_in", width, words, 1.0)
        m.linear(d + "project_out", words, width, 1.0)
    for layer in range(layers):
        p = f"{d}layers.{layer}."
        for part, gain in (("q", 1.3), ("k", 1.3), ("v", 1.0), ("out", 1.2)):
            m.linear(f"{p}self_attn.{part}_proj", width, width, gain, bias)
        m.norm(p + "self_attn_layer_norm", width, True)
        m.linear(p + "fc1", ff, width, 1.3, bias)
        m.linear(p + "fc2", width, ff, 1.5, bias)
        m.norm(p + "final_layer_norm", width, True)
    if pre:
        m.norm(d + "final_layer_norm", width, True)
    return m


def build(arch, variant, o):
    m = BUILDERS[arch](arch, variant, o)
    if o.get("rename"):
        m.config = {o["rename"].get(key, key): value for key, value in m.config.items()}
    m.forget(o.get("forget", ()))
    return m


def row(name, formats, **options):
    return {"class": name, "formats": formats, **options}


VARIANTS = {
    "gpt2": {
        "default": row("GPT2LMHeadModel", ALL),
        "legacy": row("GPT2LMHeadModel", ["hf4"], legacy=True),
        "inner": row("GPT2LMHeadModel", BOTH, config={"n_inner": 76, "scale_attn_by_inverse_layer_idx": True,
                                                      "activation_function": "gelu", "tie_word_embeddings": False}),
        "defaults": row("GPT2LMHeadModel", HF, forget=["n_ctx", "activation_function", "layer_norm_epsilon"]),
    },
    "gpt_neox": {
        "default": row("GPTNeoXForCausalLM", ALL),
        "serial": row("GPTNeoXForCausalLM", ALL, partial=1.0, config={"use_parallel_residual": False}),
        "defaults": row("GPTNeoXForCausalLM", HF, forget=["rope_parameters", "hidden_act", "use_parallel_residual",
                                                          "layer_norm_eps", "attention_bias", "tie_word_embeddings"]),
    },
    "stablelm": {
        "default": row("StableLmForCausalLM", ALL),
        "biases": row("StableLmForCausalLM", ALL, kv=1, config={"use_qkv_bias": True}),
        "parallel": row("StableLmForCausalLM", ALL, config={"use_parallel_residual": True, "qk_layernorm": True}),
        "defaults": row("StableLmForCausalLM", HF, forget=[
            "rope_parameters", "hidden_act", "layer_norm_eps", "use_qkv_bias", "qk_layernorm", "use_parallel_residual",
            "tie_word_embeddings"]),
    },
    "starcoder2": {
        "default": row("Starcoder2ForCausalLM", ALL, config={"sliding_window": None}),
        "windows": row("Starcoder2ForCausalLM", BOTH, tied=False, bias=False, config={"sliding_window": 9}),
        "defaults": row("Starcoder2ForCausalLM", HF, forget=[
            "num_key_value_heads", "use_bias", "tie_word_embeddings", "hidden_act", "norm_epsilon", "rope_parameters"]),
    },
    "bloom": {
        "default": row("BloomForCausalLM", ALL, heads=6, width=72),
        "residual": row("BloomForCausalLM", BOTH, heads=4, width=48, legacy=True,
                        config={"apply_residual_connection_post_layernorm": True}),
        "defaults": row("BloomForCausalLM", HF, heads=4, width=48, rename={"hidden_size": "n_embed"},
                        forget=["layer_norm_epsilon", "seq_length", "tie_word_embeddings"]),
    },
    "mpt": {
        "default": row("MPTForCausalLM", ALL, heads=4, width=56),
        "six-heads": row("MPTForCausalLM", BOTH, heads=6, width=72, attention={"alibi_bias_max": 6}),
        "clip": row("MPTForCausalLM", ALL, heads=4, width=56, attention={"clip_qkv": 0.7}),
        "defaults": row("MPTForCausalLM", HF, heads=4, width=56, forget=[
            "attn_config", "no_bias", "expansion_ratio", "learned_pos_emb", "layer_norm_epsilon", "tie_word_embeddings"]),
    },
    "opt": {
        "default": row("OPTForCausalLM", BOTH),
        "post-norm": row("OPTForCausalLM", BOTH, pre=False, words=44),
        "projected": row("OPTForCausalLM", BOTH, words=36, bias=False),
        "defaults": row("OPTForCausalLM", HF, forget=[
            "do_layer_norm_before", ("word_embed_proj_dim", None), "activation_function", "enable_bias",
            "layer_norm_elementwise_affine", "tie_word_embeddings", "_remove_final_layer_norm"]),
    },
}
BUILDERS = {"gpt2": gpt2, "gpt_neox": gptNeox, "stablelm": stablelm, "starcoder2": starcoder2, "bloom": bloom,
            "mpt": mpt, "opt": opt}
