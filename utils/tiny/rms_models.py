# SPDX-License-Identifier: Apache-2.0
"""Tiny models of Llama and its descendants: RMS norms, rotary positions, gated MLPs or experts."""
from .model import Model, Tensor, permuted, stacked
from .quantized import quantize
from .tokenizer import ByteLevel, SentencePiece
from array import array
import math

ROPE = {
    "default": {},
    "linear": {"factor": 2.5},
    "dynamic": {"factor": 2.0},
    "yarn": {"factor": 4.0, "original_max_position_embeddings": 32},
    "yarn-factors": {"factor": 4.0, "original_max_position_embeddings": 32, "beta_fast": 8.0, "beta_slow": 0.5,
                     "attention_factor": 0.8},
    "llama3": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32},
}
LAYER = {  # Hugging Face -> llama.cpp, inside a layer
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.qkv_proj": "attn_qkv", "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.gate_up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "mlp.gate": "ffn_gate_inp",
    "block_sparse_moe.gate": "ffn_gate_inp", "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}


def ropeParameters(kind, theta):
    return {"rope_type": kind.split("-")[0], "rope_theta": theta, **ROPE[kind]}


def build(arch, variant, o):
    """A model of this family; `o` are the options of a row of VARIANTS."""
    tokenizer = o["tokenizer"]()
    m = Model(arch, variant, tokenizer, o.get("dtype", "f32"))
    hidden, heads, kv = o["hidden"], o["heads"], o["kv"]
    size, ff, layers = o.get("head_dim", hidden // heads), o["ff"], o["layers"]
    m.rows = tokenizer.size + o.get("padding", 0)
    tied = o.get("tied", False)
    gemma = arch.startswith("gemma")
    center = 0.0 if gemma else 1.0     # Gemma stores weight - 1
    config = {"architectures": [o["class"]], "model_type": o.get("model_type", arch), "vocab_size": m.rows,
              "hidden_size": hidden, "intermediate_size": ff, "num_hidden_layers": layers,
              "num_attention_heads": heads, "num_key_value_heads": kv, "rms_norm_eps": o.get("eps", 1e-5),
              "max_position_embeddings": o.get("context", 128), "tie_word_embeddings": tied,
              ("hidden_activation" if gemma else "hidden_act"): "gelu_pytorch_tanh" if gemma else "silu",
              "rope_parameters": o.get("rope", {"rope_type": "default", "rope_theta": o.get("theta", 10000.0)}),
              "bos_token_id": tokenizer.bos, "eos_token_id": tokenizer.eos, "dtype": TORCH[m.dtype],
              "transformers_version": "5.23.0", **o.get("config", {})}
    if o.get("head_dim"):
        config["head_dim"] = size
    m.config = config

    m.embedding("model.embed_tokens", m.rows, hidden, 3 / math.sqrt(hidden) if tied else 1.0)
    for layer in range(layers):
        p = f"model.layers.{layer}."
        pre = o.get("pre_norm", True)
        if pre:
            m.norm(p + "input_layernorm", hidden, center=center)
        a = p + "self_attn."
        qkvBias = o.get("qkv_bias", False)
        if arch == "phi3":
            m.linear(a + "qkv_proj", (heads + 2 * kv) * size, hidden, 1.3)
        else:
            m.linear(a + "q_proj", heads * size, hidden, 1.3, qkvBias)
            m.linear(a + "k_proj", kv * size, hidden, 1.3, qkvBias)
            m.linear(a + "v_proj", kv * size, hidden, 1.0, qkvBias)
        if o.get("qk_norm"):
            whole = o["qk_norm"] == "row"
            m.norm(a + "q_norm", heads * size if whole else size, center=center + 0.4)
            m.norm(a + "k_norm", kv * size if whole else size, center=center + 0.4)
        m.linear(a + "o_proj", hidden, heads * size, 1.2, o.get("o_bias", False))
        m.norm(p + "post_attention_layernorm", hidden, center=center)
        if gemma:
            m.norm(p + "pre_feedforward_layernorm", hidden, center=center)
        mlp(m, p, layer, o, hidden, ff)
        if gemma or not pre:
            m.norm(p + "post_feedforward_layernorm", hidden, center=center)
    m.norm("model.norm", hidden, center=center)
    if not tied:
        m.linear("lm_head", m.rows, hidden, 3.0)
    if o.get("legacy"):   # a folder of an old version: buffers, no base prefix
        m.omitted = ("model.",)
        for layer in range(layers):
            m.legacy[f"model.layers.{layer}.self_attn.rotary_emb.inv_freq"] = Tensor(
                (size // 2,), array("f", [10000.0 ** (-2 * i / size) for i in range(size // 2)]))
    if o.get("conditional"):
        conditional(m)
    if "gguf" in o:
        toGguf(m, o, heads, kv, size, center)
        if "quantized" in o:
            quantize(m, o["quantized"])
    m.forget(o.get("forget", ()))
    return m


def mlp(m, p, layer, o, hidden, ff):
    experts = o.get("experts")
    config = o.get("config", {})
    sparse = experts and layer not in config.get("mlp_only_layers", []) \
        and (layer + 1) % config.get("decoder_sparse_step", 1) == 0
    if not sparse:
        bias = o.get("mlp_bias", False)
        if m.arch == "phi3":
            m.linear(p + "mlp.gate_up_proj", 2 * ff, hidden, 1.4)
        else:
            m.linear(p + "mlp.gate_proj", ff, hidden, 1.5, bias)
            m.linear(p + "mlp.up_proj", ff, hidden, 1.3, bias)
        m.linear(p + "mlp.down_proj", hidden, ff, 1.2, bias)
        return
    mixtral = m.arch == "mixtral"
    block = p + ("block_sparse_moe." if mixtral else "mlp.")
    gate, up, down = ("w1", "w3", "w2") if mixtral else ("gate_proj", "up_proj", "down_proj")
    width = o.get("expert_ff", ff)
    m.linear(block + "gate", experts, hidden, 1.5)
    for e in range(experts):
        m.linear(f"{block}experts.{e}.{gate}", width, hidden, 1.5)
        m.linear(f"{block}experts.{e}.{up}", width, hidden, 1.3)
        m.linear(f"{block}experts.{e}.{down}", hidden, width, 1.2)


def conditional(m):
    """Gemma3ForConditionalGeneration: the text model inside a larger one, as the hub's files name it."""
    text = dict(m.config, model_type="gemma3_text")
    for key in ("architectures", "transformers_version", "dtype"):
        text.pop(key)
    m.config = {"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "text_config": text,
                "vision_config": {"model_type": "siglip_vision_model", "hidden_size": 16, "intermediate_size": 16,
                                  "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28,
                                  "patch_size": 14},
                "mm_tokens_per_image": 4, "image_token_index": m.rows - 1, "boi_token_index": m.rows - 2,
                "eoi_token_index": m.rows - 3, "bos_token_id": m.tokenizer.bos, "eos_token_id": m.tokenizer.eos,
                "dtype": "float32", "transformers_version": "5.23.0"}
    m.tensors = {"language_model." + name: tensor for name, tensor in m.tensors.items()}
    # A piece of the vision tower, which the text part does not need.
    m.legacy["vision_tower.vision_model.post_layernorm.weight"] = Tensor((16,), array("f", [1.0] * 16))


def toGguf(m, o, heads, kv, size, center):
    llama = o["gguf"] in ("llama", "smollm3")
    m.gguf(o["gguf"])
    c = m.config
    meta(m, o, c, size)
    names = {"post_attention_layernorm": "ffn_norm" if o.get("pre_norm", True) and center == 1.0
             else "post_attention_norm", **LAYER}
    for name, tensor in m.tensors.items():
        if ".experts." in name:
            continue
        base, kind = name.rsplit(".", 1)
        if base.startswith("model.layers."):
            _, _, layer, rest = base.split(".", 3)
            new = f"blk.{layer}.{names[rest]}"
        else:
            new = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}[base]
        if llama and base.endswith(("q_proj", "k_proj")):
            tensor = permuted(heads if base.endswith("q_proj") else kv, tensor)
        if center == 0.0 and base.endswith("norm"):
            tensor = tensor.map(lambda v: v + 1)
        m.toGguf(f"{new}.{kind}", tensor)
    if o.get("experts"):
        mixtral = m.arch == "mixtral"
        for layer in range(o["layers"]):
            block = f"model.layers.{layer}." + ("block_sparse_moe." if mixtral else "mlp.")
            for new, old in (("gate", "w1" if mixtral else "gate_proj"), ("down", "w2" if mixtral else "down_proj"),
                             ("up", "w3" if mixtral else "up_proj")):
                parts = [m.tensors[f"{block}experts.{e}.{old}.weight"] for e in range(o["experts"])]
                m.toGguf(f"blk.{layer}.ffn_{new}_exps.weight", stacked(parts))
    rope = c["rope_parameters"]
    if rope.get("rope_type") == "llama3":
        m.toGguf("rope_freqs.weight", llama3Factors(rope, size))
    if rope.get("rope_type") == "longrope":
        for kind in ("long", "short"):
            m.toGguf(f"rope_factors_{kind}.weight",
                     Tensor((len(rope[f"{kind}_factor"]),), array("f", rope[f"{kind}_factor"])))


def llama3Factors(rope, size):
    """What each frequency is divided by (transformers' _compute_llama3_parameters, as the converter writes it)."""
    low = rope["original_max_position_embeddings"] / rope["low_freq_factor"]
    high = rope["original_max_position_embeddings"] / rope["high_freq_factor"]
    factors = array("f")
    for i in range(0, size, 2):
        wave = 2 * math.pi * rope["rope_theta"] ** (i / size)
        smooth = (rope["original_max_position_embeddings"] / wave - rope["low_freq_factor"]) / (
            rope["high_freq_factor"] - rope["low_freq_factor"])
        if wave < high:
            factors.append(1.0)
        elif wave > low:
            factors.append(rope["factor"])
        else:
            factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return Tensor((len(factors),), factors)


def meta(m, o, c, size):
    """Metadata keys in the order of the converter's set_gguf_parameters."""
    m.meta("block_count", "u32", c["num_hidden_layers"])
    m.meta("context_length", "u32", c["max_position_embeddings"])
    m.meta("embedding_length", "u32", c["hidden_size"])
    m.meta("feed_forward_length", "u32", c["intermediate_size"])
    m.meta("attention.head_count", "u32", c["num_attention_heads"])
    m.meta("attention.head_count_kv", "u32", c["num_key_value_heads"])
    rope = c["rope_parameters"]
    rope, local = rope.get("full_attention", rope), rope.get("sliding_attention")
    if rope["rope_type"] == "linear":
        m.meta("rope.scaling.type", "string", "linear")
        m.meta("rope.scaling.factor", "f32", rope["factor"])
    if rope["rope_type"] == "yarn":
        m.meta("rope.scaling.type", "string", "yarn")
        m.meta("rope.scaling.factor", "f32", rope["factor"])
        m.meta("rope.scaling.original_context_length", "u32", rope["original_max_position_embeddings"])
    if m.arch == "phi3":
        original = rope.get("original_max_position_embeddings", c["original_max_position_embeddings"])
        m.meta("rope.scaling.original_context_length", "u32", original)
        if rope["rope_type"] == "longrope":
            scale = c["max_position_embeddings"] / original
            m.meta("rope.scaling.attn_factor", "f32", math.sqrt(1 + math.log(scale) / math.log(original)))
    if m.arch != "gemma2":   # its converter writes no base: 10000
        m.meta("rope.freq_base", "f32", rope["rope_theta"])
    if local:
        m.meta("rope.freq_base_swa", "f32", local["rope_theta"])
    m.meta("attention.layer_norm_rms_epsilon", "f32", c["rms_norm_eps"])
    if o.get("experts"):
        m.meta("expert_count", "u32", o["experts"])
        m.meta("expert_used_count", "u32", c["num_experts_per_tok"])
        if "moe_intermediate_size" in c:
            m.meta("expert_feed_forward_length", "u32", c["moe_intermediate_size"])
    if "head_dim" in c:
        m.meta("attention.key_length", "u32", size)
        m.meta("attention.value_length", "u32", size)
    if m.ggufArch in ("llama", "smollm3"):
        m.meta("vocab_size", "u32", m.rows)
        m.meta("rope.dimension_count", "u32", size)
    if m.arch == "phi3":
        m.meta("rope.dimension_count", "u32", int(size * rope.get("partial_rotary_factor", 1.0)))
    if m.arch == "gemma2":
        m.meta("attn_logit_softcapping", "f32", c["attn_logit_softcapping"])
        m.meta("final_logit_softcapping", "f32", c["final_logit_softcapping"])
    if m.arch in ("gemma2", "gemma3"):
        m.meta("attention.sliding_window", "u32", c["sliding_window"])
    if m.arch == "phi3":
        m.meta("attention.sliding_window", "u32", 0)


TORCH = {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}
HF, BOTH, ALL = ["hf"], ["hf", "hf4"], ["hf", "hf4", "gguf"]


def llama3Tokenizer():
    return ByteLevel("llama-bpe", bos="<|begin_of_text|>")


def smollm():
    return ByteLevel("smollm")


def qwen():
    return ByteLevel("qwen2")


def gemmaTokenizer():
    return SentencePiece(gemma=True)


LLAMA = {"class": "LlamaForCausalLM", "tokenizer": llama3Tokenizer, "hidden": 72, "heads": 6, "kv": 2, "ff": 100,
         "layers": 3, "gguf": "llama"}
MISTRAL = dict(LLAMA, **{"class": "MistralForCausalLM", "tokenizer": SentencePiece})
QWEN2 = dict(LLAMA, **{"class": "Qwen2ForCausalLM", "tokenizer": qwen, "qkv_bias": True, "gguf": "qwen2",
                       "theta": 1000000.0})
QWEN3 = dict(LLAMA, **{"class": "Qwen3ForCausalLM", "tokenizer": qwen, "qk_norm": "head", "gguf": "qwen3",
                       "hidden": 56, "heads": 5, "kv": 1, "head_dim": 16, "theta": 1000000.0, "eps": 1e-6})
GEMMA2 = {"class": "Gemma2ForCausalLM", "tokenizer": gemmaTokenizer, "hidden": 60, "heads": 5, "kv": 1, "ff": 84,
          "layers": 4, "head_dim": 16, "tied": True, "eps": 1e-6, "gguf": "gemma2",
          "config": {"sliding_window": 9, "attn_logit_softcapping": 3.0, "final_logit_softcapping": 6.0,
                     "query_pre_attn_scalar": 16}}
GEMMA3_ROPE = {"full_attention": {"rope_type": "default", "rope_theta": 1000000.0},
               "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}}


def gemma3Layers(layers, pattern):
    return ["full_attention" if (i + 1) % pattern == 0 else "sliding_attention" for i in range(layers)]


GEMMA3 = {"class": "Gemma3ForCausalLM", "model_type": "gemma3_text", "tokenizer": gemmaTokenizer, "hidden": 48,
          "heads": 4, "kv": 2, "ff": 76, "layers": 7, "head_dim": 10, "tied": True, "eps": 1e-6, "qk_norm": "head",
          "gguf": "gemma3", "rope": GEMMA3_ROPE,
          "config": {"sliding_window": 11, "query_pre_attn_scalar": 10, "sliding_window_pattern": 6,
                     "layer_types": gemma3Layers(7, 6), "final_logit_softcapping": None,
                     "attn_logit_softcapping": None}}
PHI3 = dict(LLAMA, **{"class": "Phi3ForCausalLM", "tokenizer": SentencePiece, "gguf": "phi3", "context": 128,
                      "config": {"original_max_position_embeddings": 128, "sliding_window": None,
                                 "pad_token_id": 2}})
OLMO2 = dict(LLAMA, **{"class": "Olmo2ForCausalLM", "tokenizer": ByteLevel, "pre_norm": False, "qk_norm": "row",
                       "gguf": "olmo2", "theta": 500000.0, "eps": 1e-6, "config": {"pad_token_id": None}})
SMOLLM3 = dict(LLAMA, **{"class": "SmolLM3ForCausalLM", "gguf": "smollm3", "layers": 4, "tied": True,
                         "theta": 5000000.0, "hidden": 60, "heads": 6, "kv": 3,
                         "config": {"pad_token_id": None, "no_rope_layer_interval": 4}})
MIXTRAL = dict(LLAMA, **{"class": "MixtralForCausalLM", "tokenizer": SentencePiece, "experts": 5, "ff": 52,
                         "hidden": 48, "heads": 4, "kv": 2, "layers": 2, "theta": 1000000.0,
                         "config": {"num_local_experts": 5, "num_experts_per_tok": 2, "sliding_window": None}})
QWEN3_MOE = dict(QWEN3, **{"class": "Qwen3MoeForCausalLM", "gguf": "qwen3moe", "experts": 6, "expert_ff": 36,
                           "config": {"num_experts": 6, "num_experts_per_tok": 3, "norm_topk_prob": True,
                                      "moe_intermediate_size": 36, "decoder_sparse_step": 1,
                                      "mlp_only_layers": []}})


def having(base, formats=None, config=None, **options):
    """A row of VARIANTS: the base with changes; without "gguf" among the formats no GGUF is described."""
    row = dict(base, **options)
    row["config"] = {**base.get("config", {}), **(config or {})}
    row["formats"] = formats or ALL
    if "gguf" not in row["formats"]:
        row.pop("gguf")
    return row


LONGROPE = {"rope_type": "longrope", "rope_theta": 10000.0, "partial_rotary_factor": 1.0,
            "original_max_position_embeddings": 48, "short_factor": [1.0, 1.05, 1.1, 1.3, 1.4, 1.5],
            "long_factor": [1.0, 1.3, 2.1, 3.7, 5.0, 8.0]}
K = {"token_embd": "q6_k", "output": "q4_k", "attn_q": "q2_k", "attn_k": "q3_k", "attn_v": "q6_k",
     "attn_output": "q4_k", "ffn_gate": "q5_k", "ffn_up": "q3_k", "ffn_down": "q2_k"}
BLOCKS32 = {"token_embd": "q8_0", "output": "q5_1", "attn_q": "q4_0", "attn_k": "q4_1", "attn_v": "q8_0",
            "attn_output": "q5_0", "ffn_gate": "q4_1", "ffn_up": "q5_1", "ffn_down": "q4_0"}

# Keys whose defaults a configuration may rely on; some are traps (Qwen3 has heads of 128, Mistral 8 key heads).
COMMON = ["rms_norm_eps", "rope_parameters", "tie_word_embeddings", "hidden_act", "hidden_activation"]

VARIANTS = {
    "llama": {
        "default": having(LLAMA),
        "tied": having(LLAMA, tokenizer=smollm, tied=True, heads=9, kv=3, theta=100000.0),
        "tinyllama": having(LLAMA, tokenizer=SentencePiece, hidden=64, heads=8, kv=4, ff=88),
        "tokenizer-model": having(LLAMA, HF, tokenizer=SentencePiece, protobuf=True),
        "multihead": having(LLAMA, kv=6, config={"hidden_act": "silu"}),
        "biases": having(LLAMA, BOTH, qkv_bias=True, o_bias=True, mlp_bias=True,
                         config={"attention_bias": True, "mlp_bias": True}),
        "head-dim": having(LLAMA, head_dim=16),
        "linear": having(LLAMA, rope=ropeParameters("linear", 10000.0)),
        "dynamic": having(LLAMA, BOTH, rope=ropeParameters("dynamic", 10000.0), context=64),
        "yarn": having(LLAMA, rope=ropeParameters("yarn", 10000.0)),
        "yarn-factors": having(LLAMA, BOTH, rope=ropeParameters("yarn-factors", 10000.0)),
        "llama3": having(LLAMA, rope=ropeParameters("llama3", 10000.0)),
        "padded": having(LLAMA, padding=13),
        "f16": having(LLAMA, dtype="f16"),
        "bf16": having(LLAMA, dtype="bf16"),
        "sharded": having(LLAMA, HF, sharded=True),
        "legacy": having(LLAMA, ["hf4"], legacy=True),
        "q8_0": having(LLAMA, ["gguf"], hidden=96, ff=160, quantized=dict.fromkeys(BLOCKS32, "q8_0")),
        "q4_0": having(LLAMA, ["gguf"], hidden=96, ff=160, quantized=dict.fromkeys(BLOCKS32, "q4_0")),
        "blocks-of-32": having(LLAMA, ["gguf"], hidden=96, ff=160, quantized=BLOCKS32),
        "k-quants": having(LLAMA, ["gguf"], hidden=256, heads=4, kv=4, ff=256, layers=2, quantized=K),
        "defaults": having(LLAMA, HF, kv=6, forget=[*COMMON, "num_key_value_heads", ("head_dim", None)]),
    },
    "mistral": {
        "default": having(MISTRAL, BOTH, config={"sliding_window": 9}),
        "full": having(MISTRAL, ALL, config={"sliding_window": None}),
        "defaults": having(MISTRAL, HF, hidden=64, heads=8, kv=8, forget=[*COMMON, "num_key_value_heads", "sliding_window"]),
    },
    "qwen2": {
        "default": having(QWEN2),
        "tied": having(QWEN2, tied=True),
        "windows": having(QWEN2, BOTH, config={"use_sliding_window": True, "sliding_window": 10,
                                               "max_window_layers": 1}),
        "defaults": having(QWEN2, HF, kv=6, theta=10000.0, forget=[*COMMON, ("num_key_value_heads", None)]),
    },
    "qwen3": {
        "default": having(QWEN3),
        "tied": having(QWEN3, tied=True, hidden=72, heads=6, kv=3, head_dim=12),
        "biases": having(QWEN3, BOTH, qkv_bias=True, o_bias=True, config={"attention_bias": True}),
        "defaults": having(QWEN3, HF, hidden=40, heads=2, kv=1, head_dim=128, layers=2, forget=[*COMMON, "head_dim"]),
    },
    "gemma2": {
        "default": having(GEMMA2),
        "scalar": having(GEMMA2, BOTH, config={"query_pre_attn_scalar": 7, "attn_logit_softcapping": None}),
        "defaults": having(GEMMA2, HF, hidden=40, heads=2, kv=1, head_dim=256, layers=2, forget=[
            *COMMON, "head_dim", "query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping",
            "sliding_window"]),
    },
    "gemma3": {
        "default": having(GEMMA3),
        "pattern": having(GEMMA3, BOTH, layers=4, rope={
            "full_attention": {"rope_type": "linear", "rope_theta": 500000.0, "factor": 4.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 5000.0}},
            config={"query_pre_attn_scalar": 24, "sliding_window_pattern": 2, "layer_types": gemma3Layers(4, 2),
                    "final_logit_softcapping": 5.0}),
        "conditional": having(GEMMA3, HF, layers=3, conditional=True,
                              config={"layer_types": gemma3Layers(3, 3), "sliding_window_pattern": 3}),
        "defaults": having(GEMMA3, HF, hidden=32, heads=2, kv=1, head_dim=256, layers=6, forget=[
            *COMMON, "head_dim", "query_pre_attn_scalar", "sliding_window", "layer_types", "sliding_window_pattern",
            "final_logit_softcapping", "attn_logit_softcapping"]),
    },
    "phi3": {
        "default": having(PHI3),
        "longrope": having(PHI3, rope=LONGROPE, config={"original_max_position_embeddings": 48}),
        "partial": having(PHI3, rope={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}),
        "blocks-of-32": having(PHI3, ["gguf"], hidden=96, ff=64, quantized={
            "token_embd": "q4_1", "output": "q8_0", "attn_qkv": "q4_0", "attn_output": "q5_1", "ffn_up": "q4_1",
            "ffn_down": "q8_0"}),
        "windows": having(PHI3, BOTH, config={"sliding_window": 12}),
        "defaults": having(PHI3, HF, kv=6, forget=[*COMMON, ("num_key_value_heads", None), "original_max_position_embeddings",
                                                   "sliding_window"]),
    },
    "olmo2": {
        "default": having(OLMO2),
        "defaults": having(OLMO2, HF, kv=6, forget=[*COMMON, ("num_key_value_heads", None)]),
    },
    "smollm3": {
        "default": having(SMOLLM3),
        "interval": having(SMOLLM3, BOTH, tied=False, layers=3, config={"no_rope_layers": [1, 0, 1]}),
        "defaults": having(SMOLLM3, HF, hidden=64, heads=8, kv=4, forget=[*COMMON, "num_key_value_heads", "no_rope_layer_interval"]),
    },
    "mixtral": {
        "default": having(MIXTRAL),
        "blocks-of-32": having(MIXTRAL, ["gguf"], hidden=64, ff=96, quantized={
            **BLOCKS32, "ffn_gate_exps": "q4_0", "ffn_up_exps": "q5_1", "ffn_down_exps": "q8_0"}),
        "k-quants": having(MIXTRAL, ["gguf"], hidden=256, ff=256, experts=3, config={"num_local_experts": 3}, quantized={
            **K, "ffn_gate_exps": "q4_k", "ffn_up_exps": "q2_k", "ffn_down_exps": "q6_k"}),
        "windows": having(MIXTRAL, BOTH, config={"sliding_window": 10, "num_experts_per_tok": 1}),
        "defaults": having(MIXTRAL, HF, hidden=64, heads=8, kv=8, experts=8, ff=32, forget=[
            *COMMON, "num_key_value_heads", "num_local_experts", "num_experts_per_tok", "sliding_window"]),
    },
    "qwen3_moe": {
        "default": having(QWEN3_MOE),
        "mixed": having(QWEN3_MOE, BOTH, layers=4, config={"norm_topk_prob": False, "decoder_sparse_step": 2,
                                                           "mlp_only_layers": [1]}),
        "defaults": having(QWEN3_MOE, HF, hidden=48, heads=4, kv=4, head_dim=12, experts=12, expert_ff=20, layers=2,
                           config={"num_experts": 12, "moe_intermediate_size": 20}, forget=[
            *COMMON, "num_key_value_heads", "head_dim", "norm_topk_prob", "decoder_sparse_step", "mlp_only_layers",
            "num_experts_per_tok"]),
    },
}
