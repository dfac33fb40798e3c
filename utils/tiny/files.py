# SPDX-License-Identifier: Apache-2.0
"""Writes a tiny model as a Hugging Face folder, in the style of transformers 5 or 4, or as GGUF version 3."""
import json
import math
import struct

from . import tokenizer

SAFETENSORS = {"f32": "F32", "f16": "F16", "bf16": "BF16"}
TORCH = {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}
GGML = {"f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8, "q2_k": 10, "q3_k": 11,
        "q4_k": 12, "q5_k": 13, "q6_k": 14, "bf16": 30}
FILE_TYPE = {"f32": 0, "f16": 1, "bf16": 32, "q8_0": 7}


def raw(tensor):
    """The tensor's bytes in its dtype; the values already lie on its grid."""
    if tensor.dtype == "f32":
        return tensor.values.tobytes()
    if tensor.dtype == "f16":
        return struct.pack(f"<{len(tensor.values)}e", *tensor.values)
    if tensor.dtype == "bf16":
        data = tensor.values.tobytes()
        out = bytearray(len(data) // 2)
        out[0::2], out[1::2] = data[2::4], data[3::4]
        return bytes(out)
    return tensor.blocks   # quantised: see quantized.py


class Holes:
    """A tensor in the corner of a larger one of zeros, which are holes of the file: large without taking space."""

    def __init__(self, tensor, shape):
        self.tensor, self.shape, self.dtype = tensor, shape, "f32"
        self.size = 4 * math.prod(shape)

    def write(self, file):
        begin = file.tell()
        if self.tensor:
            data = raw(self.tensor)
            rows = self.tensor.shape[0] if self.tensor.shape[-1] != self.shape[-1] else 1
            step = len(data) // rows
            for row in range(rows):
                file.seek(begin + row * 4 * self.shape[-1])
                file.write(data[row * step:(row + 1) * step])
        file.seek(begin + self.size)


def enlarge(model, gib):
    """Makes a Llama larger without changing what it computes: feed-forward layers as wide as 20,000 with zeros at the
    end, and layers of zeros, which add nothing to the residual stream."""
    wide, hidden = 20000, model.config["hidden_size"]
    layer = [(n.removeprefix("model.layers.0."), t.shape) for n, t in model.tensors.items() if ".layers.0." in n]

    def shape(name, old):
        if "gate_proj" in name or "up_proj" in name:
            return (wide, hidden)
        return (hidden, wide) if "down_proj" in name else old
    small = model.config["num_hidden_layers"]
    count = max(small, math.ceil(gib * 2**30 / (4 * sum(math.prod(shape(n, s)) for n, s in layer))))
    model.tensors = {n: Holes(t, shape(n, t.shape)) if ".mlp." in n else t for n, t in model.tensors.items()}
    for i in range(small, count):
        model.tensors.update((f"model.layers.{i}.{n}", Holes(None, shape(n, s))) for n, s in layer)
    model.config.update({"num_hidden_layers": count, "intermediate_size": wide})


def writeSafetensors(path, tensors):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, tensor in tensors.items():
        size = tensor.size if isinstance(tensor, Holes) else len(raw(tensor))
        header[name] = {"dtype": SAFETENSORS[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            if isinstance(tensor, Holes):
                tensor.write(file)
            else:
                file.write(raw(tensor))
        file.truncate()   # a hole may be the end


def style4(config):
    """A configuration as transformers 4 wrote it: rope_theta and rope_scaling beside the rest, torch_dtype."""
    out = dict(config)
    out["torch_dtype"] = out.pop("dtype")
    out["transformers_version"] = "4.46.3"
    rope = dict(out.pop("rope_parameters", None) or {})
    if "full_attention" in rope:   # Gemma 3
        full, local = dict(rope["full_attention"]), rope["sliding_attention"]
        out["rope_theta"], out["rope_local_base_freq"] = full.pop("rope_theta"), local["rope_theta"]
        out["rope_scaling"] = full if full["rope_type"] != "default" else None
    elif rope:
        out["rope_theta"] = rope.pop("rope_theta")
        if "partial_rotary_factor" in rope:
            out["partial_rotary_factor"] = rope.pop("partial_rotary_factor")
        if rope["rope_type"] == "default":
            out["rope_scaling"] = None
        else:
            kind = rope.pop("rope_type")
            out["rope_scaling"] = {"type" if kind in ("linear", "dynamic", "longrope") else "rope_type": kind, **rope}
    return out


def writeFolder(model, folder, style, options):
    folder.mkdir(parents=True, exist_ok=True)
    if style == "hf4":
        config = model.config4 or style4(model.config)
    else:
        config = model.config
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "generation_config.json").write_text(json.dumps(
        {"_from_model_config": True, "bos_token_id": model.tokenizer.bos, "eos_token_id": model.tokenizer.eos}) + "\n")
    tokenizer.write(model.tokenizer, folder, options.get("protobuf", False))

    def stored(name):
        for prefix in model.omitted:
            name = name.removeprefix(prefix)
        return name
    tensors = {stored(n): t for n, t in {**model.tensors, **model.legacy}.items()}
    if not options.get("sharded"):
        writeSafetensors(folder / "model.safetensors", tensors)
        return
    names = list(tensors)
    cuts = [0, len(names) // 3, len(names) // 2, len(names)]
    weightMap = {}
    for i in range(3):
        part = f"model-{i + 1:05}-of-00003.safetensors"
        chosen = {n: tensors[n] for n in names[cuts[i]:cuts[i + 1]]}
        writeSafetensors(folder / part, chosen)
        weightMap.update((n, part) for n in chosen)
    total = sum(len(raw(t)) for t in tensors.values())
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": total}, "weight_map": weightMap}, indent=2) + "\n")


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def value(kind, v):
    """A metadata value with its type in front (the types of the GGUF specification)."""
    if kind == "u32":
        return struct.pack("<II", 4, v)
    if kind == "f32":
        return struct.pack("<If", 6, v)
    if kind == "bool":
        return struct.pack("<I?", 7, v)
    if kind == "string":
        return struct.pack("<I", 8) + string(v)
    if kind == "strings":
        return struct.pack("<IIQ", 9, 8, len(v)) + b"".join(map(string, v))
    if kind == "i32s":
        return struct.pack(f"<IIQ{len(v)}i", 9, 5, len(v), *v)
    assert kind == "f32s", kind
    return struct.pack(f"<IIQ{len(v)}f", 9, 6, len(v), *v)


def writeGguf(model, path):
    fileType = max((FILE_TYPE.get(t.dtype, 15) for t in model.ggufTensors.values() if len(t.shape) > 1), default=0)
    metadata = [("general.architecture", "string", model.ggufArch), ("general.type", "string", "model"),
                ("general.name", "string", f"Tiny {model.variant}"), *model.metadata,
                ("general.file_type", "u32", fileType), ("general.quantization_version", "u32", 2),
                *model.tokenizer.metadata(model.rows)]
    header = struct.pack("<4sIQQ", b"GGUF", 3, len(model.ggufTensors), len(metadata))
    for key, kind, v in metadata:
        header += string(key) + value(kind, v)
    offset = 0
    for name, tensor in model.ggufTensors.items():
        dims = tensor.shape[::-1]
        header += string(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, GGML[tensor.dtype], offset)
        offset += len(raw(tensor)) + -len(raw(tensor)) % 32
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.write(header + bytes(-len(header) % 32))
        for tensor in model.ggufTensors.values():
            data = raw(tensor)
            file.write(data + bytes(-len(data) % 32))
