# SPDX-License-Identifier: Apache-2.0
"""What tests of `sinter train` share: text of a chain of second order, tokens of it, and runs that are read. Standard library only."""
import array
import json
import pathlib
import random
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[3]
LETTERS = "abcdefghijklmnop"
CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 257, "hidden_size": 64,
          "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
          "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": True,
          "bos_token_id": 0, "eos_token_id": 0}
RUN = ["--batch", 16, "--seq", 64, "--lr", "3e-3"]


def makeChain(seed=5):
    draw = random.Random(seed)
    return {a + b: draw.sample(LETTERS, 2) for a in LETTERS for b in LETTERS}


def makeText(chain, length, seed):
    draw = random.Random(seed)
    text = draw.choice(LETTERS) + draw.choice(LETTERS)
    while len(text) < length:
        text += draw.choice(chain[text[-2:]])
    return text


def tensorsOf(path):
    """name -> shape and numbers of f32."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = {name: entry for name, entry in json.loads(data[8:8 + size]).items() if name != "__metadata__"}
    return {name: (e["shape"], array.array("f", data[8 + size + e["data_offsets"][0]:8 + size + e["data_offsets"][1]]).tolist())
            for name, e in header.items()}


def metricsOf(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "loss" in line], [line for line in lines if "val_loss" in line]


class Program:
    """Runs `sinter`, and what it makes, and counts what was checked."""

    def __init__(self, sinter):
        self.sinter, self.checks = sinter, 0

    def __call__(self, *arguments, code=0, says=""):
        """What it writes to both streams; it must end with `code`, and `says` must be in what it writes."""
        done = subprocess.run([str(a) for a in arguments], capture_output=True, timeout=900)
        output = (done.stdout + done.stderr).decode(errors="replace")
        assert done.returncode == code, f"{arguments}: expected exit code {code}, found {done.returncode}: {output}"
        assert says in output, f"{arguments}: expected '{says}', found: {output}"
        self.checks += 1
        return output

    def makeTokens(self, folder, texts):
        """Cleans `texts`, trains a tokenizer and writes folder/tokens, with folder/tok beside it."""
        (folder / "corpus.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        self(self.sinter, "data", "clean", folder / "corpus.jsonl", "-o", folder / "data", "--val", "0.05", "--filters", "none",
             "--exact-only", "-q")
        self(self.sinter, "tokenizer", "train", folder / "data", "--vocab-size", 256, "--special", "<|endoftext|>", "-o",
             folder / "tok")
        self(self.sinter, "data", "tokenize", folder / "data", "--tokenizer", folder / "tok", "-o", folder / "tokens", "-q")
