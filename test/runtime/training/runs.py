# SPDX-License-Identifier: Apache-2.0
"""What tests of `sinter train` share: text of a chain of second order, tokens of it, and runs that are read, compared and killed.
Standard library only."""
import array
import json
import pathlib
import random
import signal
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


def withoutTimes(run):
    return [{k: v for k, v in line.items() if k not in ("ms", "tokens_per_s")} for part in metricsOf(run) for line in part]


def near(ours, theirs, what, limit=1e-4):
    """Numbers as those of a run that computes the same in another order."""
    assert len(ours) == len(theirs) > 0, what
    for a, b in zip(ours, theirs):
        assert abs(a - b) <= limit * abs(b), f"{what}: expected {theirs}, found {ours}"


def sameTensors(ours, theirs, what, limit):
    """Each tensor (name -> shape and numbers) within `limit` of the other's norm."""
    assert list(ours) == list(theirs), f"{what}: expected {list(theirs)}, found {list(ours)}"
    for name, (_, numbers) in ours.items():
        apart = sum((a - b) ** 2 for a, b in zip(numbers, theirs[name][1], strict=True)) ** 0.5
        norm = sum(b * b for b in theirs[name][1]) ** 0.5
        assert apart <= limit * norm, f"{what}, {name}: expected at most {limit}, found {apart / norm if norm else apart}"


def compare(run, other):
    """Losses, norms and evaluations of a run as those of another device, and how far the weights are apart."""
    (ours, evaluated), (theirs, expected) = metricsOf(run), metricsOf(other)
    for key in ("loss", "grad_norm", "router_loss"):
        if key in theirs[0]:
            near([step[key] for step in ours], [step[key] for step in theirs], key, 1e-3)
    near([e["val_loss"] for e in evaluated], [e["val_loss"] for e in expected], "val_loss")
    sameTensors(tensorsOf(run / "model.safetensors"), tensorsOf(other / "model.safetensors"), run.name, 1e-3)


def killAndResume(arguments, waits):
    """Starts a run with --resume again and again; each is killed after so many lines of steps."""
    for wait in waits:
        process = subprocess.Popen([str(a) for a in [*arguments, "--resume"]], stdout=subprocess.PIPE)
        for line in process.stdout:
            wait -= line.startswith(b"step ") and b"loss" in line
            if wait <= 0:
                process.send_signal(signal.SIGKILL)
                break
        process.stdout.close()
        process.wait()


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
