# SPDX-License-Identifier: Apache-2.0
"""Random blocks of the quantised types of GGUF. Any bits are valid values, so the blocks are drawn, not made from
floats: every code, scale and minimum occurs, which a quantiser of smooth weights would not give."""
import math
import random
import struct

# type: (values a block, layout, standard deviation of a value in units of d, minimum in units of d).
# In the layout d and m are the f16 scale and minimum, a number is that many random bytes.
TYPES = {
    "q4_0": (32, ("d", 16), 4.64, 0), "q4_1": (32, ("d", "m", 16), 4.61, -7.5),
    "q5_0": (32, ("d", 4, 16), 9.25, 0), "q5_1": (32, ("d", "m", 4, 16), 9.23, -15.5), "q8_0": (32, ("d", 32), 73.9, 0),
    "q2_k": (256, (16, 64, "d", "m"), 13.9, 1.5), "q3_k": (256, (32, 64, 12, "d"), 43.3, 0),
    "q4_k": (256, ("d", "m", 12, 128), 258.0, 7.5), "q5_k": (256, ("d", "m", 12, 32, 128), 527.0, 15.5),
    "q6_k": (256, (128, 64, 16, "d"), 1370.0, 0),
}


class Blocks:
    """A quantised tensor: its shape in values, its bytes in `blocks`."""

    def __init__(self, seed, shape, dtype, std):
        size, layout, unit, minimum = TYPES[dtype]
        assert shape[-1] % size == 0, f"a row of {dtype} has a multiple of {size} values, found {shape[-1]}"
        draw = random.Random(seed)
        out = bytearray()
        for _ in range(math.prod(shape) // size):
            d = std / unit * draw.uniform(0.7, 1.3)
            for field in layout:
                if field == "d":
                    out += struct.pack("<e", d)
                elif field == "m":
                    out += struct.pack("<e", minimum * d)
                else:
                    out += draw.randbytes(field)
        self.shape, self.dtype, self.blocks = tuple(shape), dtype, bytes(out)


def quantize(model, types):
    """Replaces matrices of the GGUF by random blocks: `types` gives the type by the tensor's name without block
    number and `.weight`."""
    for name, tensor in model.ggufTensors.items():
        key = ".".join(p for p in name.split(".") if not p.isdigit()).removeprefix("blk.").removesuffix(".weight")
        if key in types:
            std = 3.0 if key in ("token_embd", "output") else 1.2
            std /= math.sqrt(tensor.shape[-1])
            model.ggufTensors[name] = Blocks(f"{model.arch}/{model.variant}/{name}", tensor.shape, types[key], std)
