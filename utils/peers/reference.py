# SPDX-License-Identifier: Apache-2.0
"""transformers in float32 as the reference: from a folder, or on the dequantised weights of a GGUF file."""
import re

import gguf
import numpy as np
import tokenizers
import torch
import transformers

PINNED = {"transformers": "5.23.0", "torch": "2.15.0", "tokenizers": "0.23.3", "gguf": "0.19.0"}
RENAMED = {"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
           "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "attn_q_norm": "self_attn.q_norm",
           "attn_k_norm": "self_attn.k_norm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
           "ffn_down": "mlp.down_proj", "ffn_gate_inp": "mlp.gate", "attn_qkv": "self_attn.qkv_proj", "post_ffw_norm": "post_feedforward_layernorm",
           "token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def checkVersions():
    import importlib.metadata
    for package, version in PINNED.items():
        found = importlib.metadata.version(package).split("+")[0]
        if found != version:
            raise SystemExit(f"expected {package} {version} (goldens are made with pinned versions), found {found}")


def quiet():
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(2)
    torch.set_grad_enabled(False)


def fromFolder(folder):
    """A folder's model in float32; every tensor must have been used, none missing."""
    model, info = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager",
        output_loading_info=True)
    missing = [k for k in info["missing_keys"] if k not in ("lm_head.weight", "embed_out.weight")
               and "vision_tower" not in k and "multi_modal_projector" not in k]
    unexpected = [k for k in info["unexpected_keys"]
                  if not re.search(r"rotary_emb.inv_freq|attn.(masked_)?bias$|vision_tower", k)]
    wrong = list(info.get("mismatched_keys", []))
    if missing or unexpected or wrong:
        raise SystemExit(f"{folder}: missing {missing}, unexpected {unexpected}, wrong shape {wrong}")
    return model.eval()


class GgufModel:
    """Metadata and tokens of a GGUF file, and its weights in transformers (llama with and without experts, phi3, gemma3)."""

    def __init__(self, path):
        self.reader = gguf.GGUFReader(path)
        self.arch = self["general.architecture"]

    def get(self, key, default=None):
        field = self.reader.fields.get(key.replace("$", getattr(self, "arch", "")))
        return default if field is None else field.contents()

    def __getitem__(self, key):
        value = self.get(key)
        assert value is not None, f"expected the key {key}"
        return value

    def config(self):
        heads, hidden = self["$.attention.head_count"], self["$.embedding_length"]
        common = dict(vocab_size=len(self["tokenizer.ggml.tokens"]), hidden_size=hidden,
                      intermediate_size=self["$.feed_forward_length"], num_hidden_layers=self["$.block_count"],
                      num_attention_heads=heads, num_key_value_heads=self["$.attention.head_count_kv"],
                      head_dim=self.get("$.attention.key_length", hidden // heads),
                      rms_norm_eps=float(np.float32(self["$.attention.layer_norm_rms_epsilon"])),
                      max_position_embeddings=self["$.context_length"],
                      tie_word_embeddings="output.weight" not in {t.name for t in self.reader.tensors})
        theta = self["$.rope.freq_base"]
        rope = {"rope_type": "default", "rope_theta": theta}
        if self.get("$.expert_count"):
            return transformers.MixtralConfig(**common, rope_parameters=rope, num_local_experts=self["$.expert_count"],
                                              num_experts_per_tok=self["$.expert_used_count"], sliding_window=None)
        if self.arch == "llama":
            return transformers.LlamaConfig(**common, rope_parameters=rope)
        if self.arch == "phi3":
            return transformers.Phi3Config(**common, rope_parameters=rope, pad_token_id=None, sliding_window=None)
        assert self.arch == "gemma3", f"expected llama, phi3 or gemma3, found {self.arch}"
        return transformers.Gemma3TextConfig(
            **common, sliding_window=self["$.attention.sliding_window"], query_pre_attn_scalar=common["head_dim"],
            rope_parameters={"full_attention": {"rope_type": "default", "rope_theta": theta},
                             "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}})

    def model(self):
        config = self.config()
        state, experts = {}, {}
        for tensor in self.reader.tensors:
            data = torch.from_numpy(gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32, copy=True))
            name = tensor.name.removesuffix(".weight")
            if name.startswith("blk."):
                _, layer, rest = name.split(".", 2)
                if self.arch == "gemma3":
                    special = {"ffn_norm": "pre_feedforward_layernorm", "post_attention_norm": "post_attention_layernorm"}
                else:
                    special = {"ffn_norm": "post_attention_layernorm"}
                if rest.endswith("_exps"):
                    experts.setdefault(layer, {})[rest] = data
                    continue
                if self.arch == "phi3":
                    special["ffn_up"] = "mlp.gate_up_proj"
                new = f"model.layers.{layer}.{special.get(rest) or RENAMED[rest]}"
            else:
                new = RENAMED[name]
            if self.arch == "llama" and new.endswith(("q_proj", "k_proj")):   # undo llama.cpp's interleaving
                heads = config.num_attention_heads if new.endswith("q_proj") else config.num_key_value_heads
                data = data.reshape(heads, -1, 2, data.shape[-1]).transpose(1, 2).reshape(data.shape)
            if self.arch == "gemma3" and new.endswith("norm"):
                data = data - 1
            state[new + ".weight"] = data
        for layer, parts in experts.items():
            block = f"model.layers.{layer}.mlp.experts."
            state[block + "gate_up_proj"] = torch.cat([parts["ffn_gate_exps"], parts["ffn_up_exps"]], 1)
            state[block + "down_proj"] = parts["ffn_down_exps"]
        config._attn_implementation = "eager"
        config._experts_implementation = "eager"
        kind = {"llama": transformers.LlamaForCausalLM, "mixtral": transformers.MixtralForCausalLM,
                "phi3": transformers.Phi3ForCausalLM, "gemma3_text": transformers.Gemma3ForCausalLM}[config.model_type]
        with torch.device("meta"):
            model = kind(config)
        missing, unexpected = model.load_state_dict(state, strict=False, assign=True)
        assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
        model.tie_weights()
        # Buffers were made on no device: make them again from the configuration.
        model.model.rotary_emb = type(model.model.rotary_emb)(config=config)
        if hasattr(model.model.embed_tokens, "embed_scale"):
            model.model.embed_tokens.embed_scale = torch.tensor(float(config.hidden_size) ** 0.5)
        return model.eval()

    def tokenizer(self):
        """The Hugging Face tokenizer that the metadata describe (kinds: smollm, llama-bpe and Gemma's)."""
        tokens, types = self["tokenizer.ggml.tokens"], self["tokenizer.ggml.token_type"]
        vocab = {t: i for i, t in enumerate(tokens)}
        special = [tokenizers.AddedToken(t, special=k == 3, normalized=False)
                   for t, k in zip(tokens, types) if k in (3, 4)]
        if self["tokenizer.ggml.model"] == "llama":
            scores = self["tokenizer.ggml.scores"]
            merges = sorted((-scores[i], len(t) - cut, t[:cut], t[cut:]) for t, i in vocab.items() if types[i] == 1
                            for cut in range(1, len(t)) if t[:cut] in vocab and t[cut:] in vocab)
            out = tokenizers.Tokenizer(tokenizers.models.BPE(
                vocab, [(left, right) for _, _, left, right in merges], unk_token="<unk>", fuse_unk=True,
                byte_fallback=True))
            replace = tokenizers.normalizers.Replace(" ", "▁")
            spaced = self.get("tokenizer.ggml.add_space_prefix", True)
            out.normalizer = tokenizers.normalizers.Sequence(
                [tokenizers.normalizers.Prepend("▁"), replace]) if spaced else replace
        else:
            merges = [tuple(m.split(" ")) for m in self["tokenizer.ggml.merges"]]
            out = tokenizers.Tokenizer(tokenizers.models.BPE(vocab, merges))
            pre, kind = tokenizers.pre_tokenizers, self["tokenizer.ggml.pre"]
            if kind == "smollm":
                out.pre_tokenizer = pre.Sequence([pre.Digits(individual_digits=True), pre.ByteLevel(False)])
            else:
                from tiny.tokenizer import LLAMA3_SPLIT
                assert kind == "llama-bpe", f"expected smollm or llama-bpe, found {kind}"
                out.pre_tokenizer = pre.Sequence([pre.Split(tokenizers.Regex(LLAMA3_SPLIT), "isolated"),
                                                  pre.ByteLevel(False, use_regex=False)])
            out.decoder = tokenizers.decoders.ByteLevel()
        out.add_tokens(special)
        front = [self["tokenizer.ggml.bos_token_id"]] if self.get("tokenizer.ggml.add_bos_token") else []
        return out, front


def logProbs(model, tokens):
    """Log-probabilities (position, vocabulary) over one sequence, no cache."""
    return torch.log_softmax(model(torch.tensor([tokens]), use_cache=False).logits[0], -1)
