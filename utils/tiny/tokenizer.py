# SPDX-License-Identifier: Apache-2.0
"""Small tokenizers, trained here on a few sentences: byte-level BPE as GPT-2, SmolLM, Qwen2 and Llama 3 set it
up, and the SentencePiece kind of Llama 2 and Gemma. Written as tokenizer.json and as GGUF metadata."""
import json
import re
import struct
from collections import Counter

TEXT = """The sea was calm and the old lamp on the pier gave a small yellow light. She said that the boat would
come in the morning, and that there was nothing to do but wait; he counted the waves and the stars, one by one.
A compiler reads what a person wrote and writes what a machine can run. It has to be right first, then fast.
In the year 1969 there were 4 computers on the network; by 1985 there were about 2,000 of them.
def area(width, height): return width * height  # a rectangle
for (int i = 0; i < count; ++i) { total += values[i]; }
海面很平静，码头上的旧灯发出微弱的黄光。她说船早上会来，我们只能等待。他一个一个地数着海浪和星星。
编译器读人写的东西，写机器能运行的东西。它首先要正确，然后要快。The end of the story is the end of the day. 🚢 ✨"""

GPT2_SPLIT = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
QWEN2_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
               r"\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA3_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
                r"\s*[\r\n]+|\s+(?!\S)|\s+")
CHAT = ("{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>'"
        " + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")


def byteAlphabet():
    """GPT-2's printable stand-in for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {b: chr(b) for b in plain}
    table.update((b, chr(256 + i)) for i, b in enumerate(b for b in range(256) if b not in table))
    return table


def train(words, merges):
    """Merges of the most frequent pair; ties go to the pair that sorts first."""
    counts = Counter(map(tuple, words))
    out = []
    for _ in range(merges):
        pairs = Counter()
        for word, count in counts.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += count
        if not pairs:
            break
        best = min(pairs, key=lambda p: (-pairs[p], p))
        out.append(best)
        joined = Counter()
        for word, count in counts.items():
            new, i = [], 0
            while i < len(word):
                if word[i:i + 2] == best:
                    new.append(word[i] + word[i + 1])
                    i += 2
                else:
                    new.append(word[i])
                    i += 1
            joined[tuple(new)] += count
        counts = joined
    return out


def added(token, number):
    return {"id": number, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": True}


class ByteLevel:
    """GPT-2's alphabet and BPE; `pre` is llama.cpp's name of the splitting: gpt-2, smollm, qwen2, llama-bpe."""

    def __init__(self, pre="gpt-2", bos=None, merges=60):
        self.pre, self.addBos = pre, bos is not None
        self.specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] if bos is None else [bos, "<|eot_id|>"]
        table = byteAlphabet()
        words = re.findall(r" ?[A-Za-z]+| ?[0-9]| ?[^A-Za-z0-9\s]+|\s+", TEXT)
        self.merges = train(["".join(table[b] for b in w.encode()) for w in words], merges)
        alphabet = sorted(table.values())
        first = pre == "smollm"   # SmolLM has its special tokens in front, the others behind
        self.tokens = (self.specials if first else []) + alphabet + ["".join(m) for m in self.merges]
        self.tokens += [] if first else self.specials
        self.size = len(self.tokens)
        self.bos = self.tokens.index(self.specials[0])
        self.eos = self.tokens.index(self.specials[-1])
        self.unknown = None

    def json(self):
        byteLevel = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
        split = {"qwen2": QWEN2_SPLIT, "llama-bpe": LLAMA3_SPLIT}.get(self.pre)
        if split:
            pre = {"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": split}, "behavior": "Isolated", "invert": False},
                dict(byteLevel, use_regex=False)]}
        elif self.pre == "smollm":
            pre = {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, byteLevel]}
        else:
            pre = byteLevel
        post = dict(byteLevel, trim_offsets=False)
        if self.addBos:
            name = self.specials[0]
            start = {"SpecialToken": {"id": name, "type_id": 0}}
            post = {"type": "Sequence", "processors": [post, {
                "type": "TemplateProcessing", "single": [start, {"Sequence": {"id": "A", "type_id": 0}}],
                "pair": [start, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": {name: {"id": name, "ids": [self.bos], "tokens": [name]}}}]}
        special = set(self.specials)
        return {"version": "1.0", "truncation": None, "padding": None,
                "added_tokens": [added(t, i) for i, t in enumerate(self.tokens) if t in special],
                "normalizer": {"type": "NFC"} if self.pre == "qwen2" else None,
                "pre_tokenizer": pre, "post_processor": post,
                "decoder": dict(byteLevel),
                "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                          "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                          "ignore_merges": self.pre == "llama-bpe",
                          "vocab": {t: i for i, t in enumerate(self.tokens)},
                          "merges": [" ".join(m) for m in self.merges]}}

    def config(self):
        return {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": self.specials[0],
                "eos_token": self.specials[-1], "clean_up_tokenization_spaces": False, "chat_template": CHAT}

    def metadata(self, rows):
        special = set(self.specials)
        tokens = self.tokens + [f"[PAD{i}]" for i in range(self.size, rows)]
        types = [3 if t in special else 1 for t in self.tokens] + [5] * (rows - self.size)
        out = [("tokenizer.ggml.model", "string", "gpt2"), ("tokenizer.ggml.pre", "string", self.pre),
               ("tokenizer.ggml.tokens", "strings", tokens), ("tokenizer.ggml.token_type", "i32s", types),
               ("tokenizer.ggml.merges", "strings", [" ".join(m) for m in self.merges]),
               ("tokenizer.ggml.bos_token_id", "u32", self.bos), ("tokenizer.ggml.eos_token_id", "u32", self.eos)]
        if self.addBos:
            out.append(("tokenizer.ggml.add_bos_token", "bool", True))
        return out + [("tokenizer.chat_template", "string", CHAT)]


class SentencePiece:
    """BPE over characters with byte fallback; `gemma` numbers its specials otherwise and puts no space in front."""

    def __init__(self, gemma=False, merges=60):
        self.gemma = gemma
        self.specials = ["<pad>", "<eos>", "<bos>", "<unk>"] if gemma else ["<unk>", "<s>", "</s>"]
        self.unknown = self.specials.index("<unk>")
        self.bos, self.eos = (2, 1) if gemma else (1, 2)
        bytesPieces = [f"<0x{b:02X}>" for b in range(256)]
        words = re.findall(r"▁?[A-Za-z]+|▁?[^A-Za-z▁]+|▁+", TEXT.replace("\n", " ").replace(" ", "▁"))
        letters = sorted({c for w in words for c in w if ord(c) < 0x3000} | {"▁"})
        pieces = ["".join(m) for m in train([w for w in words if all(c in letters for c in w)], merges)]
        self.pieces = pieces + [c for c in letters if c not in pieces]
        self.tokens = self.specials + bytesPieces + self.pieces
        self.first = len(self.specials) + 256
        self.size = len(self.tokens)

    def json(self):
        rank = {p: i for i, p in enumerate(self.pieces)}
        merges = sorted((rank[p], len(p) - cut, p[:cut], p[cut:]) for p in self.pieces
                        for cut in range(1, len(p)) if p[:cut] in rank and p[cut:] in rank)
        replace = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
        normalizer = replace if self.gemma else {
            "type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, replace]}
        decoders = [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
                    {"type": "Fuse"}]
        if not self.gemma:
            decoders.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
        name = self.tokens[self.bos]
        start = {"SpecialToken": {"id": name, "type_id": 0}}
        return {"version": "1.0", "truncation": None, "padding": None,
                "added_tokens": [added(t, i) for i, t in enumerate(self.specials)],
                "normalizer": normalizer, "pre_tokenizer": None,
                "post_processor": {
                    "type": "TemplateProcessing", "single": [start, {"Sequence": {"id": "A", "type_id": 0}}],
                    "pair": [start, {"Sequence": {"id": "A", "type_id": 0}}, start,
                             {"Sequence": {"id": "B", "type_id": 1}}],
                    "special_tokens": {name: {"id": name, "ids": [self.bos], "tokens": [name]}}},
                "decoder": {"type": "Sequence", "decoders": decoders},
                "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                          "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True,
                          "ignore_merges": False, "vocab": {t: i for i, t in enumerate(self.tokens)},
                          "merges": [f"{left} {right}" for _, _, left, right in merges]}}

    def protobuf(self):
        """tokenizer.model: sentencepiece's ModelProto (sentencepiece_model.proto), a BPE with byte fallback."""
        def number(field, value):
            return varint(field << 3) + varint(value)

        def block(field, data):
            return varint(field << 3 | 2) + varint(len(data)) + data
        types = [2 if t == "<unk>" else 3 for t in self.specials] + [6] * 256 + [1] * len(self.pieces)
        out = b""
        for i, (piece, kind) in enumerate(zip(self.tokens, types)):
            score = struct.pack("<f", -float(i - self.first) if i >= self.first else 0.0)
            out += block(1, block(1, piece.encode()) + b"\x15" + score + number(3, kind))
        trainer = number(3, 2) + number(35, 1) + number(40, self.unknown) + number(41, self.bos) + number(42, self.eos)
        normalizer = block(1, b"identity") + number(3, int(not self.gemma)) + number(4, 0) + number(5, 1)
        return out + block(2, trainer) + block(3, normalizer)

    def config(self):
        return {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": self.tokens[self.bos],
                "eos_token": self.tokens[self.eos], "unk_token": "<unk>", "add_bos_token": True,
                "clean_up_tokenization_spaces": False, "chat_template": CHAT}

    def metadata(self, rows):
        padding = rows - self.size
        types = [2 if t == "<unk>" else 3 for t in self.specials] + [6] * 256 + [1] * len(self.pieces)
        scores = [0.0] * self.first + [-float(i) for i in range(len(self.pieces))]
        return [("tokenizer.ggml.model", "string", "llama"), ("tokenizer.ggml.pre", "string", "default"),
                ("tokenizer.ggml.tokens", "strings", self.tokens + [f"[PAD{self.size + i}]" for i in range(padding)]),
                ("tokenizer.ggml.scores", "f32s", scores + [-10000.0] * padding),
                ("tokenizer.ggml.token_type", "i32s", types + [5] * padding),
                ("tokenizer.ggml.bos_token_id", "u32", self.bos), ("tokenizer.ggml.eos_token_id", "u32", self.eos),
                ("tokenizer.ggml.unknown_token_id", "u32", self.unknown),
                ("tokenizer.ggml.add_bos_token", "bool", True), ("tokenizer.ggml.add_eos_token", "bool", False),
                ("tokenizer.ggml.add_space_prefix", "bool", not self.gemma),
                ("tokenizer.chat_template", "string", CHAT)]


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def write(tokenizer, folder, protobuf=False):
    """tokenizer.json, or tokenizer.model in its place."""
    if protobuf:
        config = dict(tokenizer.config(), tokenizer_class="LlamaTokenizer", add_eos_token=False)
        (folder / "tokenizer.model").write_bytes(tokenizer.protobuf())
        (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1))
        return
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer.json(), ensure_ascii=False, indent=1))
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer.config(), indent=1))
