# SPDX-License-Identifier: Apache-2.0
"""What a tiny model is: a configuration, tensors with seeded values, a tokenizer, and how GGUF names it all.

Values are uniform, from Python's Mersenne twister seeded by name (reproducible across versions), and wide:
a linear map of fan-in n has standard deviation gain/sqrt(n), norm weights lie in 0.5..1.5, biases in -0.5..0.5.
So attention is peaked, and a dropped bias, norm or scale moves the logits by far more than a tolerance.
"""
import math
import random
import struct
from array import array


class Tensor:
    """Row-major float32 values of a shape; `dtype` is what a file stores ("f32", "f16", "bf16")."""

    def __init__(self, shape, values, dtype="f32"):
        self.shape = tuple(shape)
        self.values = values
        self.dtype = dtype
        assert len(values) == math.prod(self.shape), "values must fill the shape"

    def map(self, function):
        return Tensor(self.shape, array("f", map(function, self.values)), self.dtype)

    def rows(self, order):
        """Rows (first dimension) taken in the given order."""
        width = len(self.values) // self.shape[0]
        out = array("f")
        for row in order:
            out.extend(self.values[row * width:(row + 1) * width])
        return Tensor((len(order),) + self.shape[1:], out, self.dtype)

    def transposed(self):
        rows, columns = self.shape
        out = array("f")
        for c in range(columns):
            out.extend(self.values[c::columns])
        return Tensor((columns, rows), out, self.dtype)


def stacked(tensors):
    out = array("f")
    for tensor in tensors:
        out.extend(tensor.values)
    return Tensor((len(tensors),) + tensors[0].shape, out, tensors[0].dtype)


def roundTo(dtype, values):
    """Values as the dtype keeps them, to nearest even."""
    if dtype == "f32":
        return values
    if dtype == "f16":
        count = len(values)
        return array("f", struct.unpack(f"<{count}e", struct.pack(f"<{count}e", *values)))
    bits = array("I", values.tobytes())
    kept = array("I", (((b + 0x7FFF + ((b >> 16) & 1)) & 0xFFFF0000) for b in bits))
    return array("f", kept.tobytes())


class Model:
    """A tiny model. `config` is in the style of transformers 5; `ropeStyle` says how version 4 spells positions."""

    def __init__(self, arch, variant, tokenizer, dtype="f32"):
        self.arch, self.variant, self.tokenizer, self.dtype = arch, variant, tokenizer, dtype
        self.config = {}
        self.config4 = None      # a full configuration, where the general rule in folder.py does not do
        self.tensors = {}
        self.legacy = {}         # old buffers that a reader must accept and ignore
        self.omitted = ()        # prefixes left out of tensor names in the file
        self.ggufArch = None
        self.metadata = []       # (key, type, value)
        self.ggufTensors = {}
        self.rows = tokenizer.size   # embedding rows; more than tokens is padding

    def add(self, name, shape, center, spread):
        """A tensor uniform in center-spread..center+spread."""
        draw = random.Random(f"{self.arch}/{self.variant}/{name}").random
        low, width = center - spread, 2 * spread
        values = array("f", [low + width * draw() for _ in range(math.prod(shape))])
        self.tensors[name] = Tensor(shape, roundTo(self.dtype, values), self.dtype)

    def forget(self, keys):
        """Leaves keys out of the configuration, or ("key", None) makes them null: the defaults are transformers'."""
        for key in keys:
            if isinstance(key, tuple):
                self.config[key[0]] = None
            else:
                self.config.pop(key, None)

    def linear(self, name, outputs, inputs, gain=1.0, bias=False, transposed=False):
        shape = (inputs, outputs) if transposed else (outputs, inputs)
        self.add(name + ".weight", shape, 0.0, gain * math.sqrt(3 / inputs))
        if bias:
            self.add(name + ".bias", (outputs,), 0.0, 0.5)

    def norm(self, name, width, bias=False, center=1.0):
        self.add(name + ".weight", (width,), center, 0.5)
        if bias:
            self.add(name + ".bias", (width,), 0.0, 0.5)

    def embedding(self, name, rows, width, std):
        self.add(name + ".weight", (rows, width), 0.0, std * math.sqrt(3))

    # GGUF: what llama.cpp's converter would write for this model.
    def gguf(self, arch):
        self.ggufArch = arch

    def meta(self, key, kind, value):
        self.metadata.append((f"{self.ggufArch}.{key}", kind, value))

    def toGguf(self, name, tensor):
        # One-dimensional tensors and norms stay in f32 (convert_hf_to_gguf's rule).
        if len(tensor.shape) == 1 or name.endswith("_norm.weight"):
            tensor = Tensor(tensor.shape, tensor.values, "f32")
        self.ggufTensors[name] = tensor


def permuted(heads, tensor):
    """Llama's Q and K as llama.cpp stores them: the halves of a rotated pair side by side."""
    size = tensor.shape[0] // heads
    half = size // 2
    return tensor.rows([h * size + j * half + i for h in range(heads) for i in range(half) for j in range(2)])


def regrouped(heads, tensor):
    """Fused QKV of GPT-NeoX and BLOOM, (head, 3, size), as llama.cpp stores it: (3, head, size)."""
    size = tensor.shape[0] // (3 * heads)
    return tensor.rows([(h * 3 + part) * size + i for part in range(3) for h in range(heads) for i in range(size)])
