# SPDX-License-Identifier: Apache-2.0
"""What the goldens of training are made of, and how they are compared. Standard library only.

A tensor is described by its norm, some of its numbers and its products with some vectors of random signs: the norm of
the difference of the products, over the norm of the products, is the relative difference of the tensors but for the
spread of such an estimate (about 18% with 16 products).
"""
import array
import json
import math
import pathlib
import random
import struct
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Each architecture, and the variants that take another way through the graph.
MODELS = ["gpt2.default", "llama.default", "qwen3.default", "gemma3.default", "mixtral.default", "bloom.default",
          "gemma2.default", "gpt_neox.default", "mistral.default", "mpt.clip", "mpt.default", "olmo2.default",
          "opt.default", "opt.post-norm", "opt.projected", "phi3.default", "qwen2.default", "qwen3_moe.default",
          "smollm3.default", "stablelm.default", "stablelm.parallel", "starcoder2.default"]
MODELS += ["llama.default.smooth", "mixtral.default.balance", "qwen3_moe.default.balance", "gpt_neox.default.muon"]
# Adapters beside plain matrices, Conv1D's, matrices in one (two kinds), projections of the embedding, and beside experts.
MODELS += [f"{name}.lora" for name in ("llama.default", "gpt2.default", "phi3.default", "gpt_neox.default", "opt.projected",
                                       "mixtral.default")]
MODELS += [f"{name}.dropout" for name in ("gpt2.default", "gpt_neox.default", "bloom.default", "mpt.default", "opt.default",
                                          "phi3.default", "stablelm.parallel", "starcoder2.default", "gemma3.default")]
MODELS += [f"{name}.default.bf16" for name in ("gpt2", "llama", "qwen3", "gemma3", "mixtral")]
# Where a token is rounded into another expert, in PyTorch or here, gradients are those of another model. Of 60 draws PyTorch
# keeps the experts of all tokens in 25; this one decides with the widest margin (0.027 between logits of the second and third).
DRAWS = {"mixtral.default.bf16": 20}
# What a third word of a name adds to the loss: flags of a trainer, or of its compilation.
SETTINGS = {"smooth": {"label-smoothing": 0.1, "z-loss": 0.01}, "balance": {"router-aux-loss": 0.2},
            "muon": {"optimizer": "muon", "muon-lr": 0.02}, "lora": {"lora": 4, "lora-alpha": 6},
            "dropout": {"dropout": "config"}, "bf16": {"dtype": "bf16"}}
COMPILED = {"router-aux-loss", "lora", "lora-alpha", "dropout", "dtype"}
# Shares of dropout that are put into the configurations.
DROPOUT = {"gpt2": {"embd_pdrop": 0.05, "attn_pdrop": 0.2, "resid_pdrop": 0.1},
           "gpt_neox": {"hidden_dropout": 0.1, "attention_dropout": 0.2},
           "bloom": {"hidden_dropout": 0.1, "attention_dropout": 0.2}, "mpt": {"attn_config": {"attn_pdrop": 0.1}},
           "opt": {"dropout": 0.1, "attention_dropout": 0.2}, "phi3": {"resid_pdrop": 0.1, "attention_dropout": 0.2},
           "stablelm": {"hidden_dropout": 0.1, "attention_dropout": 0.2},
           "starcoder2": {"embedding_dropout": 0.05, "residual_dropout": 0.1, "attention_dropout": 0.2},
           "gemma3": {"attention_dropout": 0.2}}
THOROUGH = MODELS[:5]   # goldens of the others have shorter sketches
STEPS = 10
HYPER = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.95, "eps": 1e-6, "weight-decay": 0.1, "clip": 1.0}
PRODUCTS, SAMPLES = 16, 16
BRIEF = 6, 2
NOTHING = 1e-6   # of the norm of all gradients: a gradient below is the rounding of a zero (keys' biases under a softmax)


class Case:
    """Tokens of two sequences of 40; some begin with the end of a document, some targets do not count."""
    BATCH, SEQUENCE = 2, 40
    WHOLE = ("bloom", "mpt", "opt")   # transformers counts their positions from the mask alone: documents are sequences

    def __init__(self, name):
        draw = random.Random(f"{name}/training{DRAWS.get(name, '')}")
        rows = self.BATCH * self.SEQUENCE
        self.settings = SETTINGS[name.split(".")[2]] if name.count(".") == 2 else {}
        self.tokens = [draw.randrange(3, 250) for _ in range(rows)]
        self.positions, self.targets = [], []
        whole = name.split(".")[0] in self.WHOLE
        starts = {i * self.SEQUENCE for i in range(self.BATCH)} | (set() if whole else {17, 71})
        position = 0
        for i in range(rows):
            position = 0 if i in starts else position + 1
            self.positions.append(position)
            last = i + 1 == rows or i + 1 in starts
            self.targets.append(-1 if last or draw.random() < 0.1 else self.tokens[i + 1])

    def documents(self):
        starts = [i for i, p in enumerate(self.positions) if p == 0] + [len(self.positions)]
        return list(zip(starts, starts[1:]))

    def counted(self):
        return sum(t >= 0 for t in self.targets)

    def write(self, folder):
        for what in ("tokens", "positions", "targets"):
            numbers = array.array("i", getattr(self, what))
            header = f"{{'descr': '<i4', 'fortran_order': False, 'shape': ({len(numbers)},), }}"
            header += " " * (-(len(header) + 11) % 64) + "\n"
            (folder / f"{what}.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) +
                                                 header.encode() + numbers.tobytes())


def makeModel(name, folder):
    """The tiny model of a case, with dropout in its configuration where the case has it."""
    arch, variant = name.split(".")[:2]
    subprocess.run([sys.executable, ROOT / "utils/make-tiny-model", arch, "--variant", variant, "-o", folder],
                   check=True, capture_output=True)
    if not name.endswith(".dropout"):
        return
    path = pathlib.Path(folder) / "config.json"
    config = json.loads(path.read_text())
    part = config.get("text_config", config)
    for key, value in DROPOUT[arch].items():
        part[key] = {**part.get(key, {}), **value} if isinstance(value, dict) else value
    path.write_text(json.dumps(config))


def readTensors(path):
    """name -> flat list of float32."""
    data = pathlib.Path(path).read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for name, entry in json.loads(data[8:8 + size]).items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "F32", f"{path}: expected F32, found {entry['dtype']}"
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        tensors[name] = array.array("f", data[begin:end]).tolist()
    return tensors


def writeTensors(path, tensors):
    """name -> (shape, flat list of numbers), as float32."""
    header, data = {}, b""
    for name, (shape, numbers) in tensors.items():
        numbers = array.array("f", numbers).tobytes()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(numbers)]}
        data += numbers
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + data)


def adapterStart(name, shape):
    """What an adapter begins with: B too, so that A has a gradient at once."""
    draw = random.Random(f"{name}/adapter")
    return array.array("f", [draw.uniform(-0.2, 0.2) for _ in range(shape[0] * shape[1])]).tolist()


def sameName(name, tensors):
    """The tensor `name`, whose prefix may differ; None without one."""
    short = lambda n: n.removeprefix("model.").removeprefix("transformer.").removeprefix("language_model.")
    while short(name) != name:
        name = short(name)
    for own, value in tensors.items():
        while short(own) != own:
            own = short(own)
        if own == name:
            return value
    return None


class Found:
    """What a trainer computed."""


def compileTrainer(sinter, scratch, case, target="cpu:native"):
    """scratch/trainer of scratch/model."""
    # By itself a machine with AMX would choose bf16.
    settings = {"dtype": "f32"} | {k: v for k, v in case.settings.items() if k in COMPILED}
    call([sinter, "compile", scratch / "model", "--train", f"--target={target}", "--batch", case.BATCH, "--seq", case.SEQUENCE,
          *(x for name, value in settings.items() for x in (f"--{name}", value)), "-o", scratch / "trainer"])


def runTrainer(sinter, scratch, case, flags=(), folder="probe", adapters=None, target="cpu:native"):
    """`adapters`: the shapes of those that are trained."""
    scratch = pathlib.Path(scratch)
    trainer, probe = scratch / "trainer", scratch / folder
    probe.mkdir()
    case.write(probe)
    if adapters:
        writeTensors(probe / "parameters.safetensors", {n: (shape, adapterStart(n, shape)) for n, shape in adapters.items()})
    if not trainer.exists():
        compileTrainer(sinter, scratch, case, target)
    settings = HYPER | {k: v for k, v in case.settings.items() if k not in COMPILED}
    hyper = [x for name, value in settings.items() for x in (f"--{name}", value)]
    lines = call([trainer, "--probe", probe, "--steps", STEPS, *hyper, *flags]).splitlines()
    found = Found()
    found.steps = [tuple(map(float, line.split()[1:3])) for line in lines]
    logits = (probe / "logits.npy").read_bytes()
    offset = 10 + struct.unpack("<H", logits[8:10])[0]
    found.logits = array.array("f", logits[offset:]).tolist()
    found.gradients = readTensors(probe / "gradients.safetensors")
    start, end = readTensors(scratch / "model/model.safetensors"), readTensors(probe / "updated.safetensors")
    difference = lambda start, end: {n: [b - a for a, b in zip(sameName(n, start), value)] for n, value in end.items()}
    if adapters:
        found.merged = difference(start, readTensors(probe / "merged.safetensors"))
        start = readTensors(probe / "parameters.safetensors")
    found.moved = difference(start, end)
    return found


def call(command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=900)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command[:2]))}: exit code {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def describe(name, numbers, size=(PRODUCTS, SAMPLES)):
    draw = random.Random(f"{name}/sketch")
    places = [draw.randrange(len(numbers)) for _ in range(size[1])]
    products = []
    for _ in range(size[0]):
        bits = format(draw.getrandbits(len(numbers)), f"0{len(numbers)}b")
        products.append(math.fsum(x if bit == "1" else -x for x, bit in zip(numbers, bits)))
    short = lambda x: float(f"{x:.7g}")
    return {"norm": short(math.sqrt(math.fsum(x * x for x in numbers))), "size": len(numbers),
            "numbers": [short(numbers[i]) for i in places], "products": [short(x) for x in products]}


def describeAs(expected, name, numbers):
    """Numbers described as those of a golden are."""
    return describe(name, numbers, (len(expected["products"]), len(expected["numbers"])))


def difference(expected, found):
    """The relative difference of two descriptions, estimated."""
    if expected["size"] != found["size"]:
        return math.inf
    if expected["norm"] == 0:
        return 0.0 if found["norm"] < 1e-9 else math.inf
    distance = math.sqrt(sum((a - b) ** 2 for a, b in zip(expected["products"], found["products"])) /
                         len(expected["products"]))
    # Some numbers too: an error in one place is not to hide.
    largest = max(abs(a - b) for a, b in zip(expected["numbers"], found["numbers"]))
    result = max(distance, largest, abs(expected["norm"] - found["norm"])) / expected["norm"]
    return result if result == result else math.inf
