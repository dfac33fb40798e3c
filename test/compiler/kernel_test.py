#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sinter kernel and sinter compile --emit=objects: kernels called from C and C++."""
import json
import math
import random
import struct
import subprocess
import unittest

from products import COMPILERS, ROOT, SCALE, SINTER, ProductTest, run

# Both dialects in one file: a kernel as it is, and a function on tensors.
NORM = SCALE + """
func.func @norm(%x: tensor<?x37xf32>, %weight: tensor<37xf32>) -> tensor<?x37xf32> {
  %y = lm.rms_norm %x, %weight : tensor<37xf32> {epsilon = 1.0e-5} : tensor<?x37xf32>
  return %y : tensor<?x37xf32>
}
"""

# Reads x from stdin and writes y to stdout, so that the expectation is computed here, in double.
NORM_MAIN = """
#include "norms.h"
#include <stdio.h>
static float x[5 * 37], w[37], y[5 * 37], z[5 * 37];
int main(void) {
  if (fread(x, sizeof x, 1, stdin) != 1 || fread(w, sizeof w, 1, stdin) != 1)
    return 1;
  norm(x, w, y, 5);
  scale(x, w, z, 5);
  fwrite(y, sizeof y, 1, stdout);
  fwrite(z, sizeof z, 1, stdout);
  return 0;
}
"""

# A gated layer: %gate and %up go into one kernel, whose epilogue multiplies them; %down adds the residual.
MLP = """
func.func @mlp(%x: tensor<?x64xf32>, %gate: tensor<96x64x{0}>, %up: tensor<96x64x{0}>, %down: tensor<64x96x{0}>)
    -> tensor<?x64xf32> {{
  %g = lm.linear %x, %gate : (tensor<?x64xf32>, tensor<96x64x{0}>) -> tensor<?x96xf32>
  %u = lm.linear %x, %up : (tensor<?x64xf32>, tensor<96x64x{0}>) -> tensor<?x96xf32>
  %s = lm.silu %g : tensor<?x96xf32>
  %h = lm.mul %s, %u : tensor<?x96xf32>
  %d = lm.linear %h, %down : (tensor<?x96xf32>, tensor<64x96x{0}>) -> tensor<?x64xf32>
  %y = lm.add %x, %d : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}}
"""

MLP_MAIN = """
#include "mlp.h"
#include <stdio.h>
#include <stdlib.h>
#define ROWS 200
static float x[ROWS * 64], gate[96 * 64], up[96 * 64], down[64 * 96], y[ROWS * 64];
int main(void) {{
  if (fread(x, sizeof x, 1, stdin) != 1 || fread(gate, sizeof gate, 1, stdin) != 1 ||
      fread(up, sizeof up, 1, stdin) != 1 || fread(down, sizeof down, 1, stdin) != 1)
    return 1;
  void *g = aligned_alloc(64, MLP_GATE_BYTES), *u = aligned_alloc(64, MLP_UP_BYTES);
  void *d = aligned_alloc(64, MLP_DOWN_BYTES), *workspace = aligned_alloc(64, MLP_WORKSPACE_BYTES);
  mlp_{0}_gate(gate, g);
  mlp_{0}_up(up, u);
  mlp_{0}_down(down, d);
  mlp(x, g, u, d, y, ROWS, workspace);
  fwrite(y, sizeof y, 1, stdout);
  return 0;
}}
"""

# A layer's attention over a cache: 4 heads of 16 over 2 of the cache, turned by rope, with ALiBi's slopes beside it (no model has
# both; both need more than activations), after an embedding of tokens and of positions.
ATTENTION = """
func.func @{form}(%tokens: tensor<?xi32>, %x: tensor<?x64xf32>, %table: tensor<11x64xf32>, %learned: tensor<200x64xf32>, %qkv: tensor<128x64xf32>,
                  %out: tensor<64x64xf32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %cache: !lm.cache)
    -> (tensor<?x64xf32>, !lm.cache) attributes {{lm.form = "{form}", lm.kv_type = "{type}"}} {{
  %e = lm.embedding %tokens, %table : (tensor<?xi32>, tensor<11x64xf32>) -> tensor<?x64xf32>
  %p = lm.embedding %positions, %learned : (tensor<?xi32>, tensor<200x64xf32>) -> tensor<?x64xf32>
  %ep = lm.add %e, %p : tensor<?x64xf32>
  %in = lm.add %x, %ep : tensor<?x64xf32>
  %cos, %sin = lm.rope_angles %positions {{frequencies = array<f32: 1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125>}}
    : tensor<?xi32> -> tensor<?x8xf32>, tensor<?x8xf32>
  %all = lm.linear %in, %qkv : (tensor<?x64xf32>, tensor<128x64xf32>) -> tensor<?x128xf32>
  %q = lm.slice %all from 0 : tensor<?x128xf32> -> tensor<?x64xf32>
  %k = lm.slice %all from 64 : tensor<?x128xf32> -> tensor<?x32xf32>
  %v = lm.slice %all from 96 : tensor<?x128xf32> -> tensor<?x32xf32>
  %rq = lm.rope %q, %cos, %sin {{head_dim = 16 : i64}} : tensor<?x64xf32>, tensor<?x8xf32>, tensor<?x8xf32>
  %rk = lm.rope %k, %cos, %sin {{head_dim = 16 : i64}} : tensor<?x32xf32>, tensor<?x8xf32>, tensor<?x8xf32>
  %c = lm.append %cache, %rk, %v, %positions, %sequences {{kv_heads = 2 : i64, layer = 0 : i64}}
    : (!lm.cache, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?xi32>, tensor<?xi32>) -> !lm.cache
  %a = lm.cached_attention %rq, %c, %positions, %sequences {{heads = 4 : i64, kv_heads = 2 : i64, layer = 0 : i64, scale = 0.25 : f64,
    alibi = array<f32: 0.5, 0.25, 0.125, 0.0625>}} : (tensor<?x64xf32>, !lm.cache, tensor<?xi32>, tensor<?xi32>) -> tensor<?x64xf32>
  %o = lm.linear %a, %out : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %y = lm.add %x, %o : tensor<?x64xf32>
  return %y, %c : tensor<?x64xf32>, !lm.cache
}}
"""

# Sequence 0 of 150 tokens and sequence 1 of 7 by prefill, then a step of the next token of 18 sequences by decode; what no row may
# read is NaN.
ATTENTION_MAIN = """
#include "attention.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
enum { SLOTS = 18, CAPACITY = 160 };
static float x[175 * 64], table[11 * 64], learned[200 * 64], qkv[128 * 64], out[64 * 64], y[175 * 64];
static int32_t tokens[175], positions[175], slots[175];
static void *keys, *values, *partial, *workspace;
static struct sinter_step stepOf(int begin, int rows) {
  struct sinter_step step;
  memset(&step, 0, sizeof step);
  step.rows = rows;
  step.tokens = tokens + begin;
  step.positions = positions + begin;
  step.slots = slots + begin;
  for (int i = 0; i < rows; ++i)
    if (positions[begin + i] >= step.keys)
      step.keys = positions[begin + i] + 1;
  step.cache_tokens = CAPACITY;
  step.cache_slot_bytes = 2 * CAPACITY * 16 * sizeof(float);
  return step;
}
static void many(int begin, int rows, void *const *w) {
  const struct sinter_step step = stepOf(begin, rows);
  prefill(x + begin * 64, w[0], w[1], w[2], w[3], y + begin * 64, keys, values, &step, workspace);
}
static void few(int begin, int rows, void *const *w) {
  const struct sinter_step step = stepOf(begin, rows);
  decode(x + begin * 64, w[0], w[1], w[2], w[3], y + begin * 64, keys, values, partial, &step, workspace);
}
int main(void) {
  const size_t cache = (size_t)SLOTS * 2 * CAPACITY * 16 * sizeof(float);
  void *a[4] = {aligned_alloc(64, PREFILL_TABLE_BYTES), aligned_alloc(64, PREFILL_LEARNED_BYTES), aligned_alloc(64, PREFILL_QKV_BYTES),
                aligned_alloc(64, PREFILL_OUT_BYTES)};
  void *b[4] = {aligned_alloc(64, DECODE_TABLE_BYTES), aligned_alloc(64, DECODE_LEARNED_BYTES), aligned_alloc(64, DECODE_QKV_BYTES),
                aligned_alloc(64, DECODE_OUT_BYTES)};
  if (fread(tokens, sizeof tokens, 1, stdin) != 1 || fread(x, sizeof x, 1, stdin) != 1 || fread(table, sizeof table, 1, stdin) != 1 ||
      fread(learned, sizeof learned, 1, stdin) != 1 || fread(qkv, sizeof qkv, 1, stdin) != 1 || fread(out, sizeof out, 1, stdin) != 1)
    return 1;
  prefill_pack_table(table, a[0]);
  prefill_pack_learned(learned, a[1]);
  prefill_pack_qkv(qkv, a[2]);
  prefill_pack_out(out, a[3]);
  decode_pack_table(table, b[0]);
  decode_pack_learned(learned, b[1]);
  decode_pack_qkv(qkv, b[2]);
  decode_pack_out(out, b[3]);
  keys = aligned_alloc(64, cache);
  values = aligned_alloc(64, cache);
  partial = aligned_alloc(64, 16 * 320);
  workspace = aligned_alloc(64, PREFILL_WORKSPACE_BYTES > DECODE_WORKSPACE_BYTES ? PREFILL_WORKSPACE_BYTES : DECODE_WORKSPACE_BYTES);
  memset(keys, 255, cache);
  memset(values, 255, cache);
  for (int i = 0; i < 175; ++i) {
    slots[i] = i < 150 ? 0 : i < 157 ? 1 : i - 157;
    positions[i] = i < 150 ? i : i < 157 ? i - 150 : i == 157 ? 150 : i == 158 ? 7 : 0;
  }
  many(0, 150, a);
  many(150, 7, a);
  few(157, 18, b);
  fwrite(y, sizeof y, 1, stdout);
  return 0;
}
"""


def floats(data):
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def packed(values):
    return struct.pack(f"<{len(values)}f", *values)


class KernelTest(ProductTest):
    def kernel(self, text, name, code=0):
        file = self.folder / f"{name}.mlir"
        file.write_text(text)
        return run(SINTER, "kernel", file, "-o", self.folder / name, "-t", 1, code=code)

    def build(self, source, name, compiler):
        main, suffix = self.folder / f"{name}-main", "cpp" if "++" in compiler else "c"
        (self.folder / f"{name}.{suffix}").write_text(source)
        run(compiler, "-Wall", "-Wextra", "-Werror", self.folder / f"{name}.{suffix}", "-I", self.folder / name,
            self.folder / name / f"{name}.o", "-o", main)
        return main

    def call(self, program, data):
        return floats(subprocess.run([program], input=data, capture_output=True, check=True, timeout=60).stdout)

    def testKernelsOfBothDialectsAreCalledFromCAndCxx(self):
        self.kernel(NORM, "norms")
        self.assertEqual(sorted(p.name for p in (self.folder / "norms").iterdir()),
                         ["norms.h", "norms.json", "norms.o", "sinter_kernels.h"])
        header = (self.folder / "norms/norms.h").read_text()
        self.assertIn("void scale(const float *in, const float *by, float *out, int64_t rows);", header)
        self.assertIn("void norm(const float *x, const float *weight, float *y, int64_t rows);", header)
        generator = random.Random(1)
        x, w = ([generator.gauss(0, 1) for _ in range(n)] for n in (5 * 37, 37))
        x, w = floats(packed(x)), floats(packed(w))
        expected = []
        for row in range(5):
            line = x[row * 37:row * 37 + 37]
            scale = 1 / math.sqrt(sum(v * v for v in line) / 37 + 1e-5)
            expected += [v * scale * each for v, each in zip(line, w)]
        expected += [v * w[i % 37] for i, v in enumerate(x)]
        for compiler in COMPILERS + ["g++"]:
            found = self.call(self.build(NORM_MAIN, "norms", compiler), packed(x) + packed(w))
            for a, b in zip(found, expected, strict=True):
                self.assertLess(abs(a - b), 1e-6 * (1 + abs(b)))

    def testFunctionsOnTensorsAreFusedAndTakeWeights(self):
        generator = random.Random(2)
        x, gate, up, down = (floats(packed([generator.gauss(0, scale) for _ in range(n)]))
                             for n, scale in ((200 * 64, 1), (96 * 64, .1), (96 * 64, .1), (64 * 96, .1)))
        expected = []
        for row in range(200):
            line = x[row * 64:row * 64 + 64]
            dot = lambda w, out, size, v: sum(w[out * size + k] * v[k] for k in range(size))
            g, u = ([dot(w, i, 64, line) for i in range(96)] for w in (gate, up))
            h = [a / (1 + math.exp(-a)) * b for a, b in zip(g, u)]
            expected += [line[i] + dot(down, i, 96, h) for i in range(64)]
        # Tolerances: f32 sums of 96 products; bf16 has 8 bits; q8_0 rounds weights and activations to 1/254 of the largest.
        for element, function, tolerance in (("f32", "pack", 2e-5), ("bf16", "round", .03), ("!lm.block<q8_0>", "round", .05)):
            self.kernel(MLP.format(element), "mlp")
            manifest = json.loads((self.folder / "mlp/mlp.json").read_text())
            self.assertEqual([a["name"] for a in manifest["functions"][0]["arguments"]], ["x", "gate", "up", "down", "y"])
            self.assertLessEqual(len(manifest["functions"][0]["launches"]), 4, "gate, up and their product are one kernel")
            found = self.call(self.build(MLP_MAIN.format(function), "mlp", COMPILERS[0]),
                              b"".join(map(packed, (x, gate, up, down))))
            worst = max(abs(a - b) for a, b in zip(found, expected, strict=True))
            self.assertLess(worst, tolerance, element)

    def testNumbersOfEightBitsAreWeightsAndRows(self):
        source = ROOT / "examples/call-a-kernel-from-c/fp8.mlir"
        run(SINTER, "kernel", source, "-o", self.folder / "eight")
        main = """
#include "eight.h"
#include <stdio.h>
#include <stdlib.h>
#define ROWS 70
static uint8_t x[ROWS * 96], w[80 * 96];
static float rows[ROWS * 64], gate[96 * 64], up[96 * 64], down[64 * 96], y[ROWS * 80], z[ROWS * 64];
int main(void) {
  if (fread(x, sizeof x, 1, stdin) != 1 || fread(w, sizeof w, 1, stdin) != 1 || fread(rows, sizeof rows, 1, stdin) != 1 ||
      fread(gate, sizeof gate, 1, stdin) != 1 || fread(up, sizeof up, 1, stdin) != 1 || fread(down, sizeof down, 1, stdin) != 1)
    return 1;
  void *p = aligned_alloc(64, PROJECT_W_BYTES), *g = aligned_alloc(64, GATED_GATE_BYTES), *u = aligned_alloc(64, GATED_UP_BYTES);
  void *d = aligned_alloc(64, GATED_DOWN_BYTES), *workspace = aligned_alloc(64, GATED_WORKSPACE_BYTES);
  project_pack_w(w, p);
  if (gated_round_gate(gate, g) || gated_round_up(up, u) || gated_round_down(down, d))
    return 1;
  project(x, p, y, ROWS);
  gated(rows, g, u, d, z, ROWS, workspace);
  fwrite(y, sizeof y, 1, stdout);
  fwrite(z, sizeof z, 1, stdout);
  return 0;
}
"""
        generator = random.Random(5)
        def e4m3(code):   # OCP's definition: bias 7, 3 bits of mantissa
            exponent, mantissa = code >> 3 & 15, code & 7
            return (-1) ** (code >> 7) * (mantissa * 2. ** -9 if exponent == 0 else (8 + mantissa) * 2. ** (exponent - 10))
        def e5m2(x):      # the nearest number with 2 bits of mantissa behind the first
            exponent = max(math.frexp(x)[1] - 3, -16)
            return round(x / 2 ** exponent) * 2. ** exponent
        codes = lambda count: bytes(generator.choice([c for c in range(256) if c & 0x7f < 0x60]) for _ in range(count))
        x, w = codes(70 * 96), codes(80 * 96)
        rows, gate, up, down = (floats(packed([generator.gauss(0, scale) for _ in range(n)]))
                                for n, scale in ((70 * 64, 1), (96 * 64, .1), (96 * 64, .1), (64 * 96, .1)))
        dot = lambda a, b: sum(p * q for p, q in zip(a, b))
        product = lambda weight, v: [dot(weight[i:i + len(v)], v) for i in range(0, len(weight), len(v))]
        left, right = ([e4m3(c) for c in each] for each in (x, w))
        expected = [number for i in range(0, len(left), 96) for number in product(right, left[i:i + 96])]
        magnitudes = [number for i in range(0, len(left), 96) for number in product([abs(r) for r in right], [abs(v) for v in left[i:i + 96]])]
        gate8, up8, down8 = ([e5m2(v) for v in each] for each in (gate, up, down))
        for i in range(0, len(rows), 64):
            line = rows[i:i + 64]
            h = [g / (1 + math.exp(-g)) * u for g, u in zip(product(gate8, line), product(up8, line))]
            expected += [a + b for a, b in zip(line, product(down8, h))]
        magnitudes += [10] * (70 * 64)
        found = self.call(self.build(main, "eight", COMPILERS[0]), x + w + b"".join(map(packed, (rows, gate, up, down))))
        for a, b, magnitude in zip(found, expected, magnitudes, strict=True):
            self.assertLess(abs(a - b), 2e-6 * magnitude)   # f32 sums of products that are exact
        for architecture, products in (("sm_80", "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"), ("sm_90a", "e4m3")):
            run(SINTER, "kernel", source, f"--target=cuda:{architecture}", "-o", self.folder / architecture)
            text = "".join(path.read_text() for path in (self.folder / architecture).glob("*.ptx"))
            self.assertIn(products, text, architecture)

    def testAMixtureOfExpertsIsAFunction(self):
        function = """
func.func @{form}(%x: tensor<?x16xf32>) -> tensor<?x16xf32> attributes {{lm.form = "{form}"}} {{
  %wr = lm.read @router : tensor<5x16xf32>
  %wg = lm.read @gate : tensor<5x24x16xf32>
  %wu = lm.read @up : tensor<5x24x16xf32>
  %wd = lm.read @down : tensor<5x16x24xf32>
  %l = lm.linear %x, %wr : (tensor<?x16xf32>, tensor<5x16xf32>) -> tensor<?x5xf32>
  %w, %c = lm.route %l {{k = 2 : i64, normalise}} : tensor<?x5xf32> -> tensor<?x2xf32>, tensor<?x2xi32>
  %g = lm.expert_linear %x, %wg, %c : (tensor<?x16xf32>, tensor<5x24x16xf32>, tensor<?x2xi32>) -> tensor<?x2x24xf32>
  %u = lm.expert_linear %x, %wu, %c : (tensor<?x16xf32>, tensor<5x24x16xf32>, tensor<?x2xi32>) -> tensor<?x2x24xf32>
  %a = lm.silu %g : tensor<?x2x24xf32>
  %h = lm.mul %a, %u : tensor<?x2x24xf32>
  %d = lm.expert_linear %h, %wd, %c : (tensor<?x2x24xf32>, tensor<5x16x24xf32>, tensor<?x2xi32>) -> tensor<?x2x16xf32>
  %s = lm.combine %d, %w : (tensor<?x2x16xf32>, tensor<?x2xf32>) -> tensor<?x16xf32>
  %y = lm.add %x, %s : tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}}"""
        sizes = {"router": (5, 16), "gate": (5 * 24, 16), "up": (5 * 24, 16), "down": (5 * 16, 24)}
        weights = "".join(f"lm.parameter @{name} : tensor<{shape}xf32>\n" for name, shape in
                          (("router", "5x16"), ("gate", "5x24x16"), ("up", "5x24x16"), ("down", "5x16x24")))
        self.kernel(weights + "".join(function.format(form=form) for form in ("prefill", "decode")), "moe")
        calls = "\n".join(f"""  {{
    void *w[4] = {{{", ".join(f"aligned_alloc(64, {form.upper()}_{name.upper()}_BYTES)" for name in sizes)}}}, *workspace = aligned_alloc(64, {form.upper()}_WORKSPACE_BYTES);
    {" ".join(f"{form}_pack_{name}({name}, w[{i}]);" for i, name in enumerate(sizes))}
    {form}(x, {", ".join(f"w[{list(sizes).index(name)}]" for name in ("router", "gate", "up", "down"))}, y, ROWS, workspace);
    fwrite(y, sizeof y, 1, stdout);
  }}""" for form in ("prefill", "decode"))
        program = self.build(f"""#include "moe.h"
#include <stdio.h>
#include <stdlib.h>
#define ROWS 150
static float x[ROWS * 16], y[ROWS * 16], {", ".join(f"{name}[{rows * columns}]" for name, (rows, columns) in sizes.items())};
int main(void) {{
  if ({" || ".join(f"fread({name}, sizeof {name}, 1, stdin) != 1" for name in ("x", *sizes))})
    return 1;
{calls}
  return 0;
}}
""", "moe", COMPILERS[0])
        arguments = [a["name"] for a in json.loads((self.folder / "moe/moe.json").read_text())["functions"][0]["arguments"]]
        self.assertEqual(arguments, ["x", "router", "gate", "up", "down", "y"])
        generator = random.Random(4)
        x = floats(packed([generator.gauss(0, 1) for _ in range(150 * 16)]))
        w = {name: floats(packed([generator.gauss(0, .3) for _ in range(rows * columns)])) for name, (rows, columns) in sizes.items()}
        product = lambda name, first, count, v: [sum(a * b for a, b in zip(w[name][i * len(v):(i + 1) * len(v)], v)) for i in range(first, first + count)]
        expected = []
        for row in range(150):
            line = x[row * 16:row * 16 + 16]
            logits = product("router", 0, 5, line)
            chosen = sorted(range(5), key=lambda i: -logits[i])[:2]
            total, result = sum(math.exp(logits[i]) for i in chosen), list(line)
            for i in chosen:
                h = [g / (1 + math.exp(-g)) * u for g, u in zip(product("gate", i * 24, 24, line), product("up", i * 24, 24, line))]
                for column, each in enumerate(product("down", i * 16, 16, h)):
                    result[column] += math.exp(logits[i]) / total * each
            expected += result
        found = self.call(program, packed(x) + b"".join(packed(w[name]) for name in sizes))
        for a, b in zip(found, expected * 2, strict=True):
            self.assertLess(abs(a - b), 1e-5 * (1 + abs(b)))   # sums of 24 products in f32
        run(SINTER, "kernel", self.folder / "moe.mlir", "--target=cuda:sm_80", "-o", self.folder / "ptx")

    def testFunctionsOnTensorsTakeTokensPositionsAndACache(self):
        generator = random.Random(3)
        numbers = lambda count, scale: floats(packed([generator.gauss(0, scale) for _ in range(count)]))
        x, table, learned, qkv, out = numbers(175 * 64, 1), numbers(11 * 64, 1), numbers(200 * 64, 1), numbers(128 * 64, .1), numbers(64 * 64, .1)
        tokens = [generator.randrange(11) for _ in range(175)]
        places = [(0, i) for i in range(150)] + [(1, i) for i in range(7)] + [(0, 150), (1, 7)] + [(i, 0) for i in range(2, 18)]
        product = lambda w, count, v: [sum(a * b for a, b in zip(w[i * 64:i * 64 + 64], v)) for i in range(count)]

        def turned(head, position):
            result = list(head)
            for i in range(8):
                cos, sin = math.cos(position * 2.0 ** -i), math.sin(position * 2.0 ** -i)
                result[i], result[i + 8] = head[i] * cos - head[i + 8] * sin, head[i + 8] * cos + head[i] * sin
            return result
        cache, expected = {}, []
        for row, (sequence, position) in enumerate(places):
            line = [a + b + c for a, b, c in zip(x[row * 64:], table[tokens[row] * 64:tokens[row] * 64 + 64], learned[position * 64:])]
            all = product(qkv, 128, line)
            heads = lambda begin, count: [all[begin + 16 * h:begin + 16 * h + 16] for h in range(count)]
            seen = cache.setdefault(sequence, [])
            seen.append(([turned(head, position) for head in heads(64, 2)], heads(96, 2)))
            attended = []
            for number, query in enumerate(turned(head, position) for head in heads(0, 4)):
                weights = [math.exp(sum(a * b for a, b in zip(query, keys[number // 2])) / 4 + 2.0 ** -(number + 1) * (at - position))
                           for at, (keys, _) in enumerate(seen)]
                attended += [sum(w * values[number // 2][d] for w, (_, values) in zip(weights, seen)) / sum(weights) for d in range(16)]
            expected += [a + b for a, b in zip(x[row * 64:], product(out, 64, attended))]
        data = struct.pack("<175i", *tokens) + b"".join(map(packed, (x, table, learned, qkv, out)))
        # Tolerances: angles and sums of f32; f16 rounds keys and values to 11 bits.
        for type, tolerance in (("f32", 5e-5), ("f16", .01)):
            self.kernel("".join(ATTENTION.format(form=form, type=type) for form in ("prefill", "decode")), "attention")
            functions = json.loads((self.folder / "attention/attention.json").read_text())["functions"]
            self.assertEqual([[a["name"] for a in f["arguments"]] for f in functions],
                             [["x", "table", "learned", "qkv", "out", "y", "cache_k0", "cache_v0"] + more for more in ([], ["partial"])])
            self.assertEqual([(f["last"], [c["values"] for c in f["constants"]]) for f in functions], [("step", [[.5, .25, .125, .0625]])] * 2)
            for compiler in COMPILERS:
                found = self.call(self.build(ATTENTION_MAIN, "attention", compiler), data)
                worst = max(abs(a - b) for a, b in zip(found, expected, strict=True))
                self.assertLess(worst, tolerance, type)
                if type == "f16":
                    self.assertGreater(worst, 5e-5, "keys and values are f16")
        names = {line.split()[-1] for line in run("nm", self.folder / "attention/attention.o")[0].splitlines() if line.split()[-2] in "TDBRW"}
        self.assertLessEqual({"prefill_constant0", "decode_constant0"}, names)
        ptx = self.folder / "ptx"
        run(SINTER, "kernel", self.folder / "attention.mlir", "--target=cuda:sm_80", "-o", ptx)
        functions = json.loads((ptx / "ptx.json").read_text())["functions"]
        self.assertEqual(functions[0]["constants"], [{"name": "prefill_constant0", "values": [.5, .25, .125, .0625]}])
        self.assertIn({"constant": 0}, [b for launch in functions[0]["launches"] for b in launch["buffers"]])

    def testSinusoidsArePositionsOfTheStep(self):
        self.kernel('''func.func @encode(%x: tensor<?x12xf32>, %tokens: tensor<?xi32>, %positions: tensor<?xi32>) -> tensor<?x12xf32> {
  %s = lm.sinusoids %positions {base = 100.0 : f64, offset = 2 : i64} : tensor<?xi32> -> tensor<?x12xf32>
  %y = lm.add %x, %s : tensor<?x12xf32>
  return %y : tensor<?x12xf32>
}''', "encode")
        program = self.build('''#include "encode.h"
#include <stdio.h>
static float x[3 * 12], y[3 * 12];
int main(void) {
  const int32_t positions[3] = {0, 7, 300};
  struct sinter_step step = {0};
  step.rows = 3;
  step.positions = positions;
  if (fread(x, sizeof x, 1, stdin) != 1)
    return 1;
  encode(x, y, &step);
  return fwrite(y, sizeof y, 1, stdout) != 1;
}''', "encode", COMPILERS[0])
        x = [i / 8 for i in range(3 * 12)]
        expected = list(x)
        for row, position in enumerate((0, 7, 300)):
            for i in range(6):
                angle = (position + 2) * 100.0 ** (-i / 5)
                expected[row * 12 + i] += math.sin(angle)
                expected[row * 12 + 6 + i] += math.cos(angle)
        for a, b in zip(self.call(program, packed(x)), expected, strict=True):
            self.assertLess(abs(a - b), 5e-5)
        run(SINTER, "kernel", self.folder / "encode.mlir", "--target=cuda", "-o", self.folder / "ptx")

    def testTheObjectNeedsLibcOnlyAndDefinesWhatTheHeaderDeclares(self):
        self.kernel(NORM, "norms")
        symbols = [line.split() for line in run("nm", self.folder / "norms/norms.o")[0].splitlines()]
        undefined = {s[-1] for s in symbols if s[-2] == "U"}
        libc = {"memcpy", "memset", "memmove", "abort", "free", "malloc", "__assert_fail", "syscall", "_GLOBAL_OFFSET_TABLE_"}
        self.assertLessEqual(undefined, libc)
        defined = {s[-1] for s in symbols if s[-2] in "TDBRW"}
        versions = {f"{k}.{isa}" for k in ("scale", "norm_rows_0") for isa in ("avx2", "avx512", "avx512bf16", "amx")}
        self.assertEqual(defined, {"scale", "norm"} | versions)

    def testBadFilesGetLocatedDiagnosticsAndLeaveNothing(self):
        ids = lambda arguments, op, attributes="": (f"func.func @f({arguments}) -> tensor<?x8xf32>{attributes} {{\n  %0 = {op}\n"
                                                    "  return %0 : tensor<?x8xf32>\n}")
        cases = {
            "kernel.func @f(%x: !kernel.rows<4xf32>) {": "f.mlir:1:",
            "func.func @f(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {\n  %0 = lm.sillu %x : tensor<?x8xf32>\n  return %0 : tensor<?x8xf32>\n}":
                "f.mlir:2:8: error: ",
            "func.func private @f(tensor<?x8xf32>) -> tensor<?x8xf32>": "expected a body, found a declaration",
            "func.func @f(%x: tensor<?x?xf32>) -> tensor<?x?xf32> {\n  %0 = lm.silu %x : tensor<?x?xf32>\n  return %0 : tensor<?x?xf32>\n}":
                "f.mlir:1:14: error: expected an argument to be activations (tensor<?xNxf32>, f8E4M3FN or f8E5M2), a vector (tensor<Nxf32>), a weight",
            "func.func @f(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {\n  return %x : tensor<?x8xf32>\n}":
                "f.mlir:2:3: error: 'func.return' op expected each result to be computed by an operation of its own",
            "func.func @f(%x: tensor<?x8xf32>, %w: tensor<8xf32>) -> tensor<?x8xf32> {\n  %0 = lm.silu %x : tensor<?x8xf32>\n  return %0 : tensor<?x8xf32>\n}":
                "f.mlir:1:1: error: 'func.func' op expected every argument to be used, found no use of 'w'",
            "func.func @f(%x: tensor<?x8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>) {\n  %0 = lm.silu %x : tensor<?x8xf32>\n  %1 = lm.silu %x : tensor<?x8xf32>\n  return %0, %1 : tensor<?x8xf32>, tensor<?x8xf32>\n}":
                "f.mlir:1:1: error: 'func.func' op expected each result to differ from the others and from arguments, found 'y2'",
            **{f"func.func @{name}(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {{\n  %0 = lm.silu %x : tensor<?x8xf32>\n  return %0 : tensor<?x8xf32>\n}}":
                f"expected a name that C and C++ leave to programs, found '{name}'"
               for name in ("int", "typename", "or", "memcpy", "tanh", "expf", "sinter_run_function")},
            "func.func @f(%x: tensor<?x32xf32>, %w: tensor<8x32xf32>) -> tensor<?x8xf32> {\n  %0 = lm.linear %x, %w : (tensor<?x32xf32>, tensor<8x32xf32>) -> tensor<?x8xf32>\n  return %0 : tensor<?x8xf32>\n}\n"
            "func.func @f_pack_w(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {\n  %0 = lm.silu %x : tensor<?x8xf32>\n  return %0 : tensor<?x8xf32>\n}":
                "expected no function 'f_pack_w', a name that is declared beside 'f'",
            "\n".join(f"kernel.func @{name}(%x: !kernel.rows<4xf32>, %y: !kernel.rows<4xf32>) {{\n  kernel.rows over(rows) {{\n  ^bb0(%r: index):\n"
                      "    %v = kernel.load %x[%r] : !kernel.rows<4xf32>, vector<4xf32>\n    kernel.store %v, %y[%r] : vector<4xf32>, !kernel.rows<4xf32>\n  }\n}"
                      for name in ("f", "f_avx2")):
                "expected no function 'f_avx2', a name that is declared beside 'f'",
            "func.func @f(%x: tensor<?x72xf32>, %w: tensor<10x72x!lm.block<q8_0>>) -> tensor<?x10xf32> {\n  %0 = lm.linear %x, %w : (tensor<?x72xf32>, tensor<10x72x!lm.block<q8_0>>) -> tensor<?x10xf32>\n  return %0 : tensor<?x10xf32>\n}":
                "f.mlir:2:8: error: 'lm.linear' op expected rows of whole blocks of 32 numbers, found 'tensor<10x72x!lm.block<q8_0>>'",
            "kernel.func @f(%l: !kernel.rows<300xf32>, %p: !kernel.rows<2xf32>) {\n"
            "  kernel.peaks logits(%l : !kernel.rows<300xf32>) peaks(%p : !kernel.rows<2xf32>)\n}":
                "f.mlir:2:3: error: 'kernel.peaks' op expected a kernel of processors, found one of GPUs alone",
            ids("%p: tensor<?xi32>", "lm.sinusoids %p : tensor<?xi32> -> tensor<?x8xf32>"):
                "f.mlir:2:8: error: 'lm.sinusoids' op expected the step's positions, which is the function's argument 2 of type tensor<?xi32>",
            ids("%t: tensor<?xi32>, %p: tensor<?xi32>, %s: tensor<?xi32>, %more: tensor<?xi32>", "lm.sinusoids %p : tensor<?xi32> -> tensor<?x8xf32>"):
                "f.mlir:1:71: error: expected three arguments of type tensor<?xi32> at most",
            ids("%c: !lm.cache, %d: !lm.cache, %x: tensor<?x8xf32>", "lm.silu %x : tensor<?x8xf32>"): "f.mlir:1:29: error: expected one cache at most",
            ids("%t: tensor<?xi32>, %x: tensor<?x8xf32>", "lm.select_rows %x, %t : (tensor<?x8xf32>, tensor<?xi32>) -> tensor<?x8xf32>"):
                "f.mlir:2:8: error: 'lm.select_rows' op expected all rows of a step",
            ids("%t: tensor<?xi32>, %p: tensor<?xi32>, %s: tensor<?xi32>, %x: tensor<?x8xf32>",
                "lm.attention %x, %x, %x, %p, %s {heads = 1 : i64, kv_heads = 1 : i64, scale = 1.0 : f64} : "
                "(tensor<?x8xf32>, tensor<?x8xf32>, tensor<?x8xf32>, tensor<?xi32>, tensor<?xi32>) -> tensor<?x8xf32>"):
                "f.mlir:2:8: error: 'lm.attention' op expected lm.append and lm.cached_attention: kernels attend to a cache",
            ids("%y: tensor<?x8xf32>", "lm.silu %y : tensor<?x8xf32>"): "expected arguments of different names, found 'y' twice",
            ids("%x: tensor<?x8xf32>", "lm.silu %x : tensor<?x8xf32>", ' attributes {lm.kv_type = "q8"}'):
                'expected lm.kv_type to be "f16", "bf16" or "f32", found "q8"',
            "lm.parameter @w : tensor<8xf32>": "expected a function (kernel.func or func.func), found none",
        }
        for text, message in cases.items():
            with self.subTest(message):
                self.assertIn(message, self.kernel(text, "f", code=1)[1])
                self.assertFalse((self.folder / "f").exists())
        self.assertIn("-o -: expected a folder", run(SINTER, "kernel", self.folder / "f.mlir", "-o", "-", code=1)[1])
        self.assertIn("missing.mlir", run(SINTER, "kernel", self.folder / "missing.mlir", "-o", self.folder / "f", code=1)[1])

    def testAModelsKernelsAreObjectsForEachInstructionSet(self):
        folder = self.folder / "tiny"
        self.compile(self.tinyModel(), "--emit=objects", "--weights-file", self.folder / "tiny.weights", "-o", folder)
        self.assertEqual(sorted(p.name for p in folder.iterdir()),
                         ["sinter_kernels.h", "tiny.amx.o", "tiny.avx2.o", "tiny.avx512.o", "tiny.avx512bf16.o", "tiny.h", "tiny.json", "tiny.o"])
        for language, standard in (("c", "c99"), ("c++", "c++11")):
            run("gcc", "-x", language, f"-std={standard}", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", folder / "tiny.h")
        manifest = json.loads((folder / "tiny.json").read_text())
        functions = {f["name"]: f for f in manifest["functions"]}
        model = manifest["model"]
        self.assertEqual((self.folder / "tiny.weights").stat().st_size,   # with a hash for each 256 KiB
                         4096 + model["weight_bytes"] + 8 * -(-model["weight_bytes"] // (256 << 10)))
        names = {e["name"] for e in model["entries"]}
        self.assertLessEqual({"prefill_f16", "decode_f16"}, names)
        for entry in model["entries"]:
            for launch in entry["launches"]:
                kernel = functions[launch["kernel"]]
                self.assertEqual(len(kernel["arguments"]), len(launch["buffers"]))
                for argument, buffer in zip(kernel["arguments"], launch["buffers"]):
                    if argument["kind"] == "weight":
                        self.assertLessEqual(buffer["offset"] + argument["bytes"], model["weight_bytes"])
        self.assertTrue(all(weight["tensors"] for weight in model["weights"] if not weight["parameter"].startswith("constant.")))
        # Every function links, from every object.
        calls = "".join(f"  p = (void (*)(void)){name}; if (!p) return 1;\n" for name in functions)
        (self.folder / "all.c").write_text(f'#include "tiny.h"\nint main(void) {{\n  void (*volatile p)(void);\n{calls}  return 0;\n}}\n')
        run("gcc", self.folder / "all.c", "-I", folder, *folder.glob("*.o"), "-o", self.folder / "all")
        run(self.folder / "all")

    def testOneVersionOfAFunction(self):
        source, folder = self.folder / "one.mlir", self.folder / "one"
        source.write_text(SCALE)
        for target, isas in ("cpu:avx2", ["avx2"]), ("cpu", ["amx", "avx2", "avx512", "avx512bf16"]):
            run(SINTER, "kernel", source, f"--target={target}", "-o", folder)
            manifest = json.loads((folder / "one.json").read_text())
            self.assertEqual(sorted(manifest["functions"][0]["launches"][0]["symbols"]), isas)

    def testNamesOfFoldersThatAreNoNamesInC(self):
        for name in ("2nd try", "模型"):
            folder = self.folder / name
            self.compile(self.tinyModel(), "--emit=objects", "--target=cpu:avx2", "-o", folder)
            run("gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c", folder / f"{name}.h")

    def testKernelsOfExpertsAreObjectsAndPtx(self):
        model, folder, ptx = self.tinyModel("mixtral"), self.folder / "experts", self.folder / "ptx"
        self.compile(model, "--emit=objects", "-o", folder)
        run("gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c", folder / "experts.h")
        self.compile(model, "--emit=ptx", "--target=cuda:sm_80", "-o", ptx)
        for manifest, key in (folder / "experts.json", "functions"), (ptx / "ptx.json", "kernels"):
            kernels = [[a for a in f["arguments"] if a["kind"] != "step"] for f in json.loads(manifest.read_text())[key]]
            segments = lambda arguments, written: any(a["kind"] == "segments" and a["written"] == written for a in arguments)
            with self.subTest(manifest.name):
                dispatch = next(arguments for arguments in kernels if segments(arguments, True))
                self.assertEqual([(a["kind"], a["written"]) for a in dispatch], [("rows", False), ("rows", True), ("segments", True)])
                self.assertEqual([a["dtype"] for a in dispatch[:2]], ["i32", "i32"])
                experts = [arguments for arguments in kernels if segments(arguments, False)]
                self.assertTrue(experts)
                self.assertTrue(all(any(a.get("per_row", 1) > 1 for a in arguments) for arguments in experts))


if __name__ == "__main__":
    unittest.main()
