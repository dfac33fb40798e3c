# SPDX-License-Identifier: Apache-2.0
"""Functions of the dialect lm for tests, and what they compute in double. Standard library only."""
import math
import random
import struct

ACTIVATIONS = {
    "silu": lambda x: x / (1 + math.exp(-x)), "relu": lambda x: max(x, 0.), "sigmoid": lambda x: 1 / (1 + math.exp(-x)), "tanh": math.tanh,
    "gelu": lambda x: x / 2 * (1 + math.erf(x / math.sqrt(2))), "quick_gelu": lambda x: x / (1 + math.exp(-1.702 * x)),
    "gelu_tanh": lambda x: x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + .044715 * x ** 3)))}


def rowType(width):
    return f"tensor<?x{width}xf32>"


def normalised(row, weight, group):
    result = []
    for first in range(0, len(row), group):
        head = row[first:first + group]
        scale = 1 / math.sqrt(sum(x * x for x in head) / group + 1e-5)
        result += [x * scale * w for x, w in zip(head, weight)]
    return result


def turned(row, head, half, interleaved, position):
    """Rotary positions of the first 2 * half columns of each head."""
    result = list(row)
    for first in range(0, len(row), head):
        for i in range(half):
            p, q = (first + 2 * i, first + 2 * i + 1) if interleaved else (first + i, first + half + i)
            cos, sin = math.cos(position * 2. ** -i), math.sin(position * 2. ** -i)
            result[p], result[q] = row[p] * cos - row[q] * sin, row[q] * cos + row[p] * sin
    return result


class Function:
    """A random function: its text, its inputs, and its results in double."""

    def __init__(self, seed, rows):
        """`rows`: one of these."""
        self.random = random.Random(seed)
        self.rows = self.random.choice(rows)
        self.positions = [self.random.randrange(40) for _ in range(self.rows)]
        self.tokens = [self.random.randrange(20) for _ in range(self.rows)]
        self.values, self.widths, self.lines, self.reads, self.arguments, self.inputs = {}, {}, {}, {}, {}, {}
        for name in ("x", "z")[:self.random.choice((1, 1, 2))]:
            width = self.widths["x"] if name == "z" else self.random.choice((1, 3, 8, 16, 17, 32, 36, 64))
            self.put(name, width, [], "", [self.numbers(width, 1) for _ in range(self.rows)], [(name, rowType(width))])
            self.inputs[name] = [each for row in self.values[name] for each in row]
        operations = [self.activation, self.norm, self.layerNorm, self.headNorm, self.sum, self.product, self.sum, self.limit, self.slice,
                      self.halves, self.halves, self.join, self.linear, self.linear, self.lookup, self.rope]
        for number in range(self.random.randint(2, 8)):
            self.random.choice(operations)(f"v{number}")
        self.bounds = {}   # of the error of a result: its numbers, where that is more than f32's
        if self.random.random() < .6:
            self.random.choice((self.rope, self.headNorm, self.slice, self.join))("vp")
            self.rounded("vq")
        computed = [name for name in self.values if name not in self.inputs]
        self.results = computed[-1:] + (self.random.sample(computed[:-1], 1) if len(computed) > 1 and self.random.random() < .4 else [])

    def numbers(self, count, scale):
        return list(struct.unpack(f"<{count}f", struct.pack(f"<{count}f", *(self.random.gauss(0, scale) for _ in range(count)))))

    def put(self, name, width, reads, line, value, arguments=()):
        self.values[name], self.widths[name], self.lines[name], self.reads[name], self.arguments[name] = value, width, line, reads, arguments

    def pick(self, fits=lambda width: True):
        """One of the latest values of such a width, which the next operation reads; None where there is none."""
        return self.random.choice([name for name in list(self.values)[-4:] if fits(self.widths[name])] or [None])

    def parameter(self, name, count, scale, type):
        self.inputs[name] = self.numbers(count, scale)
        return self.inputs[name], (name, type)

    def each(self, name, a, operation, function):
        width = self.widths[a]
        self.put(name, width, [a], f"%{name} = lm.{operation} : {rowType(width)}", [[function(x) for x in row] for row in self.values[a]])

    def activation(self, name):
        a, kind = self.pick(), self.random.choice(list(ACTIVATIONS))
        self.each(name, a, f"{kind} %{a}", ACTIVATIONS[kind])

    def limit(self, name):
        a = self.pick()
        self.each(name, a, *self.random.choice([(f"scale %{a} {{factor = 0.5 : f64}}", lambda x: x / 2), (f"clamp %{a} {{limit = 1.5 : f64}}", lambda x: min(max(x, -1.5), 1.5)),
                                                (f"softcap %{a} {{cap = 3.0 : f64}}", lambda x: 3 * math.tanh(x / 3))]))

    def norm(self, name, group=None):
        a = self.pick(lambda width: width % (group or 1) == 0)
        if a is None:
            return
        width = self.widths[a]
        heads = f", group = {group} : i64" if group else ""
        weight, argument = self.parameter(f"w{name}", group or width, 1, f"tensor<{group or width}xf32>")
        self.put(name, width, [a], f"%{name} = lm.rms_norm %{a}, %w{name} : {argument[1]} {{epsilon = 1.0e-5 : f64{heads}}} : {rowType(width)}",
                 [normalised(row, weight, group or width) for row in self.values[a]], [argument])

    def headNorm(self, name):
        self.norm(name, self.random.choice((2, 4, 8)))

    def layerNorm(self, name):
        a = self.pick()
        width = self.widths[a]
        weight, argument = self.parameter(f"w{name}", width, 1, f"tensor<{width}xf32>")
        centred = [[x - sum(row) / width for x in row] for row in self.values[a]]
        self.put(name, width, [a], f"%{name} = lm.layer_norm %{a} weight %w{name} : {argument[1]} {{epsilon = 1.0e-5 : f64}} : {rowType(width)}",
                 [normalised(row, weight, width) for row in centred], [argument])

    def pair(self, name, operation, function):
        a = self.pick()
        b = self.random.choice([other for other, width in self.widths.items() if width == self.widths[a]])
        self.put(name, self.widths[a], [a, b], f"%{name} = lm.{operation} %{a}, %{b} : {rowType(self.widths[a])}",
                 [[function(x, y) for x, y in zip(p, q)] for p, q in zip(self.values[a], self.values[b])])

    def sum(self, name):
        self.pair(name, "add", lambda x, y: x + y)

    def product(self, name):
        self.pair(name, "mul", lambda x, y: x * y)

    def cut(self, name, a, first, width):
        self.put(name, width, [a], f"%{name} = lm.slice %{a} from {first} : {rowType(self.widths[a])} -> {rowType(width)}",
                 [row[first:first + width] for row in self.values[a]])

    def slice(self, name):
        if a := self.pick(lambda width: width > 1):
            width = self.random.randint(1, self.widths[a] - 1)
            self.cut(name, a, self.random.randint(0, self.widths[a] - width), width)

    def halves(self, name):
        if a := self.pick(lambda width: width % 2 == 0):
            for part, letter in enumerate("ab"):
                self.cut(name + letter, a, part * self.widths[a] // 2, self.widths[a] // 2)

    def join(self, name):
        a, b = self.pick(), self.pick()
        p, q = self.widths[a], self.widths[b]
        self.put(name, p + q, [a, b], f"%{name} = lm.concat %{a}, %{b} : ({rowType(p)}, {rowType(q)}) -> {rowType(p + q)}",
                 [x + y for x, y in zip(self.values[a], self.values[b])])

    def linear(self, name):
        a, out = self.pick(), self.random.choice((1, 5, 16, 32, 48, *self.widths.values()))
        width, biased = self.widths[a], self.random.random() < .5
        weight, argument = self.parameter(f"w{name}", out * width, width ** -.5, f"tensor<{out}x{width}xf32>")
        bias, second = self.parameter(f"b{name}", out, 1, f"tensor<{out}xf32>") if biased else ([0.] * out, None)
        self.put(name, out, [a], f"%{name} = lm.linear %{a}, %w{name}{f' bias %b{name}' if biased else ''} : ({rowType(width)}, {argument[1]}"
                 f"{f', {second[1]}' if biased else ''}) -> {rowType(out)}",
                 [[sum(w * x for w, x in zip(weight[i * width:], row)) + bias[i] for i in range(out)] for row in self.values[a]],
                 [argument] + ([second] if biased else []))

    def rounded(self, name):
        """A product of weights in another format at the end, of which norms make no larger errors."""
        # Numbers of a block of q8_0 are off by 1/254 of its largest, weights and activations: of vectors of 32 less than 2%.
        type, error, multiple = self.random.choice((("!lm.block<q8_0>", .04, 32), ("bf16", .01, 1), ("f16", .002, 1)))
        if a := self.pick(lambda width: width % multiple == 0):
            width = self.widths[a]
            weight, argument = self.parameter(f"w{name}", 16 * width, width ** -.5, f"tensor<16x{width}x{type}>")
            rows = [weight[i * width:(i + 1) * width] for i in range(16)]
            norm = lambda v: math.sqrt(sum(x * x for x in v))
            self.bounds[name] = [error * norm(w) * norm(row) + 1e-4 for row in self.values[a] for w in rows]
            self.put(name, 16, [a], f"%{name} = lm.linear %{a}, %w{name} : ({rowType(width)}, {argument[1]}) -> {rowType(16)}",
                     [[sum(p * q for p, q in zip(w, row)) for w in rows] for row in self.values[a]], [argument])

    def lookup(self, name):
        width = self.random.choice((8, 16, self.widths["x"]))
        table, argument = self.parameter(f"w{name}", 20 * width, 1, f"tensor<20x{width}xf32>")
        self.put(name, width, [], f"%{name} = lm.embedding %tokens, %w{name} : (tensor<?xi32>, {argument[1]}) -> {rowType(width)}",
                 [table[token * width:(token + 1) * width] for token in self.tokens], [argument])

    def rope(self, name):
        head = self.random.choice((4, 8, 16, 32))
        if a := self.pick(lambda width: width % head == 0):
            half, interleaved = self.random.choice((head // 2, head // 4, 1)), self.random.random() < .3
            angles, width = rowType(half), self.widths[a]
            frequencies = ", ".join(str(2. ** -i) for i in range(half))
            self.put(name, width, [a], f"%c{name}, %s{name} = lm.rope_angles %positions {{frequencies = array<f32: {frequencies}>}} : tensor<?xi32> -> {angles}, {angles}\n"
                     f"  %{name} = lm.rope %{a}, %c{name}, %s{name} {{head_dim = {head} : i64{', interleaved' if interleaved else ''}}} : {rowType(width)}, {angles}, {angles}",
                     [turned(row, head, half, interleaved, position) for row, position in zip(self.values[a], self.positions)])

    def text(self, form):
        live = set()

        def keep(name):
            live.add(name)
            for each in self.reads[name]:
                keep(each)
        for name in self.results:
            keep(name)
        order = [name for name in self.values if name in live]
        arguments = ["%tokens: tensor<?xi32>", "%positions: tensor<?xi32>"] + [f"%{name}: {type}" for value in order for name, type in self.arguments[value]]
        types = ", ".join(rowType(self.widths[name]) for name in self.results)
        body = "\n  ".join(self.lines[name] for name in order if self.lines[name])
        return (f'func.func @f({", ".join(arguments)}) -> ({types}) attributes {{lm.form = "{form}"}} {{\n  {body}\n'
                f'  return {", ".join("%" + name for name in self.results)} : {types}\n}}\n')


class WideProducts(Function):
    """A product of f16 (or bf16) whose panels fill tiles, behind a norm, with something behind it: what sm_90a copies by tensor maps."""
    INPUTS, OUTPUTS = (64, 128, 200), (64, 128, 192)

    def __init__(self, seed, rows):
        self.random = random.Random(seed)
        self.rows = self.random.choice(rows)
        self.positions = [self.random.randrange(40) for _ in range(self.rows)]
        self.tokens = [self.random.randrange(20) for _ in range(self.rows)]
        self.values, self.widths, self.lines, self.reads, self.arguments, self.inputs, self.bounds = {}, {}, {}, {}, {}, {}, {}
        width, out, type = self.random.choice(self.INPUTS), self.random.choice(self.OUTPUTS), self.random.choice(("f16", "f16", "bf16"))
        for name, columns in (("x", width), ("z", out)):
            self.put(name, columns, [], "", [self.numbers(columns, 1) for _ in range(self.rows)], [(name, rowType(columns))])
            self.inputs[name] = [each for row in self.values[name] for each in row]
        weight, argument = self.parameter("wn", width, 1, f"tensor<{width}xf32>")
        self.put("n", width, ["x"], f"%n = lm.rms_norm %x, %wn : {argument[1]} {{epsilon = 1.0e-5 : f64}} : {rowType(width)}",
                 [normalised(row, weight, width) for row in self.values["x"]], [argument])
        weight, argument = self.parameter("wp", out * width, width ** -.5, f"tensor<{out}x{width}x{type}>")
        rows = [weight[i * width:(i + 1) * width] for i in range(out)]
        self.put("p", out, ["n"], f"%p = lm.linear %n, %wp : ({rowType(width)}, {argument[1]}) -> {rowType(out)}",
                 [[sum(map(float.__mul__, w, row)) for w in rows] for row in self.values["n"]], [argument])
        kind = self.random.choice(("nothing", "silu", "relu", "tanh", "sum"))
        if kind == "sum":
            self.put("y", out, ["p", "z"], f"%y = lm.add %p, %z : {rowType(out)}",
                     [[a + b for a, b in zip(p, z)] for p, z in zip(self.values["p"], self.values["z"])])
        elif kind != "nothing":
            self.each("y", "p", f"{kind} %p", ACTIVATIONS[kind])
        self.results = ["y" if "y" in self.values else "p"]
        # Both factors are rounded: to 11 or 8 bits. What follows steepens by 1.1 at most (silu).
        error, norm = {"f16": .002, "bf16": .01}[type], lambda v: math.sqrt(sum(x * x for x in v))
        lengths = [norm(w) for w in rows]
        self.bounds[self.results[0]] = [1.1 * error * length * norm(row) + 1e-4 for row in self.values["n"] for length in lengths]


class DeepProducts(WideProducts):
    """The same of few tiles of many inputs: on sm_90a the blocks of a cluster sum 2 or 4 parts of K."""
    INPUTS, OUTPUTS = (520, 1024, 1100), (64, 128)


SLOT = 2 * 16 * 16 * 4   # bytes of the keys, or values, of a sequence: 2 heads, 16 tokens, 16 columns


class FirstTokens:
    """Attention at the beginning of each of 3 sequences, where a token sees its own value alone, and what follows."""
    TEXT = """func.func @f(%x: tensor<?x128xf32>, %tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %cache: !lm.cache)
    -> (tensor<?x{width}xf32>, !lm.cache) attributes {{lm.form = "decode", lm.kv_type = "f32"}} {{
  %q = lm.slice %x from 0 : tensor<?x128xf32> -> tensor<?x64xf32>
  %k = lm.slice %x from 64 : tensor<?x128xf32> -> tensor<?x32xf32>
  %v = lm.slice %x from 96 : tensor<?x128xf32> -> tensor<?x32xf32>
  %c = lm.append %cache, %k, %v, %positions, %sequences {{kv_heads = 2 : i64, layer = 0 : i64}}
    : (!lm.cache, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?xi32>, tensor<?xi32>) -> !lm.cache
  %a = lm.cached_attention %q, %c, %positions, %sequences {{heads = 4 : i64, kv_heads = 2 : i64, layer = 0 : i64, scale = 0.25 : f64}}
    : (tensor<?x64xf32>, !lm.cache, tensor<?xi32>, tensor<?xi32>) -> tensor<?x64xf32>
  {line}
  return %{result}, %c : tensor<?x{width}xf32>, !lm.cache
}}
"""
    # What follows: its result, its width, its line, and what it makes of a row of attention (`x` is a row of the input).
    CASES = {
        "nothing": ("a", 64, "", lambda a, x: a),
        "a slice": ("y", 32, "%y = lm.slice %a from 8 : tensor<?x64xf32> -> tensor<?x32xf32>", lambda a, x: a[8:40]),
        "a norm of heads": ("y", 64, "%y = lm.rms_norm %a {epsilon = 1.0e-5 : f64, group = 16 : i64} : tensor<?x64xf32>", lambda a, x: normalised(a, [1] * 16, 16)),
        "a sum and a norm of heads": ("y", 64, "%s = lm.add %q, %a : tensor<?x64xf32>\n  %y = lm.rms_norm %s {epsilon = 1.0e-5 : f64, group = 16 : i64} : tensor<?x64xf32>",
                                      lambda a, x: normalised([p + q for p, q in zip(a, x)], [1] * 16, 16)),
        "a sum": ("y", 64, "%y = lm.add %q, %a : tensor<?x64xf32>", lambda a, x: [p + q for p, q in zip(a, x)]),
        "rows beside it": ("y", 128, "%y = lm.concat %a, %q : (tensor<?x64xf32>, tensor<?x64xf32>) -> tensor<?x128xf32>", lambda a, x: a + x[:64])}

    def __init__(self, case):
        self.rows, self.tokens, self.positions = 3, [0] * 3, [0] * 3
        result, width, line, follows = self.CASES[case]
        self.text = self.TEXT.format(width=width, line=line, result=result)
        generator = random.Random(1)
        self.inputs = {"x": [generator.randrange(-64, 64) / 32 for _ in range(3 * 128)]}
        self.expected = []
        for row in (self.inputs["x"][i:i + 128] for i in (0, 128, 256)):
            self.expected += follows([x for head in (0, 0, 1, 1) for x in row[96 + 16 * head:112 + 16 * head]], row)
