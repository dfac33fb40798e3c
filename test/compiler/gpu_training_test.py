#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kernels of a training step for GPUs, by sinter kernel: none spills registers, as ptxas says."""
import itertools
import json
import shutil
import subprocess
import unittest

from products import SINTER, ProductTest, run


def attentions(name, size, more):
    """Both directions of attention of a training step, 12 heads of `size`."""
    rows = f"!kernel.rows<{12 * size}xf32>"
    attributes = f"{{heads = 12 : i64, kv_heads = 12 : i64, scale = 1.250000e-01 : f64, sequence = 64 : i64{more}}}"
    return f"""kernel.func @attention{name}(%q: {rows}, %k: {rows}, %v: {rows}, %o: {rows}, %l: !kernel.rows<12xf32>) {{
  kernel.self_attention query(%q : {rows}) key(%k : {rows}) value(%v : {rows}) output(%o : {rows}) log_sum(%l : !kernel.rows<12xf32>) {attributes}
}}
kernel.func @attention_backward{name}(%g: {rows}, %q: {rows}, %k: {rows}, %v: {rows}, %o: {rows}, %l: !kernel.rows<12xf32>, %a: {rows}, %b: {rows}, %c: {rows}) {{
  kernel.self_attention_backward gradient(%g : {rows}) query(%q : {rows}) key(%k : {rows}) value(%v : {rows}) output(%o : {rows}) log_sum(%l : !kernel.rows<12xf32>) gradients(%a, %b, %c : {rows}, {rows}, {rows}) {attributes}
}}
"""


def attentionsWithOptions():
    """Both directions of rounded attention of a training step with what takes registers besides, 4 heads over 2 of keys."""
    options = ("softcap", "window", "slopes", "dropout")
    text = ""
    cases = list(itertools.product((64, 128), ((("slopes",), False), (("softcap", "dropout"), False), (options, False), (options, True)))) + [(256, (options, True))]
    for size, (given, isCut) in cases:
        dtype = "bf16" if size > 160 else "f32"   # by wgmma, which has no registers for others of these
        q, k, o = f"!kernel.rows<{4 * size}x{dtype}>", f"!kernel.rows<{2 * size}x{dtype}>", f"!kernel.rows<{4 * size}xf32>"
        dq, dk = f"!kernel.rows<{4 * size}xf32>", f"!kernel.rows<{2 * size}xf32>"
        attributes = ", ".join(f"{name} = {number}" for name, number in {
            "heads": "4 : i64", "kv_heads": "2 : i64", "sequence": "256 : i64", "scale": "0.125 : f64", "window": f"{100 if 'window' in given else 0} : i64",
            "softcap": f"{30.0 if 'softcap' in given else 0.0:e} : f64", "dropout": f"{0.1 if 'dropout' in given else 0.0:e} : f64"}.items())
        attributes = f"{'schedule<rows_per_tile = 64> ' if isCut else ''}{{{attributes}, kernel.bf16}}"
        more = ", %s: !kernel.table<1x4xf32>" * ("slopes" in given) + ", %site: !kernel.table<1x1xf32>" * ("dropout" in given)
        use = "slopes(%s : !kernel.table<1x4xf32>) " * ("slopes" in given) + "site(%site : !kernel.table<1x1xf32>) " * ("dropout" in given)
        name = f"{'_'.join(given)}_{size}{'_cut' if isCut else ''}"
        text += f"""kernel.func @forward_{name}(%q: {q}, %k: {k}, %v: {k}, %o: {o}, %l: !kernel.rows<4xf32>{more}) {{
  kernel.self_attention query(%q : {q}) key(%k : {k}) value(%v : {k}) {use}output(%o : {o}) log_sum(%l : !kernel.rows<4xf32>) {attributes}
}}
"""
        # In parts as a training step has them: two launches, of which the first prepares the other.
        for part, attribute in (("queries_", ", prepares"), ("keys_", "")) if isCut else (("", ""),):
            prepared = f"prepared(%r, %d : !kernel.rows<{4 * size}xbf16>, !kernel.rows<4xf32>) " * isCut
            arguments = more + f", %r: !kernel.rows<{4 * size}xbf16>, %d: !kernel.rows<4xf32>" * isCut
            text += f"""kernel.func @backward_{part}{name}(%g: {o}, %q: {q}, %k: {k}, %v: {k}, %o: {o}, %l: !kernel.rows<4xf32>, %a: {dq}, %b: {dk}, %c: {dk}{arguments}) {{
  kernel.self_attention_backward gradient(%g : {o}) query(%q : {q}) key(%k : {k}) value(%v : {k}) {use}output(%o : {o}) log_sum(%l : !kernel.rows<4xf32>) {prepared}gradients(%a, %b, %c : {dq}, {dk}, {dk}) {attributes[:-1]}{attribute}}}
}}
"""
    return text


def products(width):
    """Kernels whose factors are rounded: a layer of GPT-2 124M of `width` outputs, forward and backward, in tiles of 64 or 128 a side."""
    matmul = """kernel.func @{name}(%w: !kernel.weight<{shape}, f32>, %x: !kernel.rows<768x{left}>, %y: !kernel.rows<{width}xf32>) attributes {{form = "prefill"}} {{
  kernel.matmul left(%x : !kernel.rows<768x{left}>) {transposed} weights(%w : !kernel.weight<{shape}, f32>) over(rows) schedule <rows_per_tile = 64, columns_per_tile = 64> attributes {{kernel.bf16}} ranges {{
    kernel.range 0 to {width} group 64 {{
    ^bb0(%a: vector<64xf32>, %row: index, %column: index):
      kernel.store %a, %y[%row, %column] : vector<64xf32>, !kernel.rows<{width}xf32>
    }}
  }}
}}
"""
    gradient = f"""kernel.func @gradient_{width}(%g: !kernel.rows<{width}xf32>, %x: !kernel.rows<768xbf16>, %w: !kernel.weight<{width}x768, f32>) {{
  kernel.weight_gradient gradient(%g : !kernel.rows<{width}xf32>) input(%x : !kernel.rows<768xbf16>) output(%w : !kernel.weight<{width}x768, f32>) {{kernel.bf16}}
}}
"""
    return (matmul.format(name=f"product_{width}", shape=f"{width}x768", left="bf16", width=width, transposed="")
            + matmul.format(name=f"backward_{width}", shape=f"768x{width}", left="f32", width=width, transposed="transposed") + gradient)


TRAINING = attentions("", 64, "") + "".join(attentions(f"_rounded_{size}", size, ", kernel.bf16") for size in (64, 128, 256)) + products(768) + products(3072) + """kernel.func @logits_backward(%w: !kernel.weight<50257x768, f32>, %x: !kernel.rows<50257xf32>, %y: !kernel.rows<768xf32>) attributes {form = "prefill"} {
  kernel.matmul left(%x : !kernel.rows<50257xf32>) transposed weights(%w : !kernel.weight<50257x768, f32>) over(rows) schedule <rows_per_tile = 256, columns_per_tile = 128> ranges {
    kernel.range 0 to 768 group 64 {
    ^bb0(%a: vector<64xf32>, %row: index, %column: index):
      kernel.store %a, %y[%row, %column] : vector<64xf32>, !kernel.rows<768xf32>
    }
  }
}
kernel.func @logits_backward_rounded(%w: !kernel.weight<50257x768, f32>, %x: !kernel.rows<50257xf32>, %y: !kernel.rows<768xf32>) attributes {form = "prefill"} {
  kernel.matmul left(%x : !kernel.rows<50257xf32>) transposed weights(%w : !kernel.weight<50257x768, f32>) over(rows) schedule <rows_per_tile = 256, columns_per_tile = 128> attributes {kernel.bf16} ranges {
    kernel.range 0 to 768 group 64 {
    ^bb0(%a: vector<64xf32>, %row: index, %column: index):
      kernel.store %a, %y[%row, %column] : vector<64xf32>, !kernel.rows<768xf32>
    }
  }
}
kernel.func @norm_backward(%x: !kernel.rows<768xf32>, %g: !kernel.rows<768xf32>, %w: !kernel.table<1x768xf32>, %y: !kernel.rows<768xf32>, %h: !kernel.rows<768xf32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    %zero = arith.constant 0 : index
    %one = arith.constant 1.0 : f32
    %size = arith.constant 768.0 : f32
    %little = arith.constant 1.0e-5 : f32
    %0 = kernel.load %x[%row] : !kernel.rows<768xf32>, vector<768xf32>
    %1 = vector.reduction <add>, %0 : vector<768xf32> into f32
    %2 = arith.divf %1, %size : f32
    %3 = vector.broadcast %2 : f32 to vector<768xf32>
    %4 = arith.subf %0, %3 : vector<768xf32>
    %5 = arith.mulf %4, %4 : vector<768xf32>
    %6 = vector.reduction <add>, %5 : vector<768xf32> into f32
    %7 = arith.divf %6, %size : f32
    %8 = arith.addf %7, %little : f32
    %9 = math.sqrt %8 : f32
    %10 = arith.divf %one, %9 : f32
    %11 = vector.broadcast %10 : f32 to vector<768xf32>
    %12 = arith.mulf %4, %11 : vector<768xf32>
    %13 = kernel.load %g[%row] : !kernel.rows<768xf32>, vector<768xf32>
    %14 = kernel.load %w[%zero] : !kernel.table<1x768xf32>, vector<768xf32>
    %15 = arith.mulf %13, %14 : vector<768xf32>
    %16 = arith.mulf %15, %12 : vector<768xf32>
    %17 = vector.reduction <add>, %16 : vector<768xf32> into f32
    %18 = arith.divf %17, %size : f32
    %19 = vector.broadcast %18 : f32 to vector<768xf32>
    %20 = arith.mulf %12, %19 : vector<768xf32>
    %21 = arith.subf %15, %20 : vector<768xf32>
    %22 = vector.reduction <add>, %15 : vector<768xf32> into f32
    %23 = arith.divf %22, %size : f32
    %24 = vector.broadcast %23 : f32 to vector<768xf32>
    %25 = arith.subf %21, %24 : vector<768xf32>
    %26 = arith.mulf %11, %25 : vector<768xf32>
    %27 = arith.mulf %13, %12 : vector<768xf32>
    kernel.store %26, %y[%row] : vector<768xf32>, !kernel.rows<768xf32>
    kernel.store %27, %h[%row] : vector<768xf32>, !kernel.rows<768xf32>
  }
}
"""


@unittest.skipUnless(shutil.which("ptxas"), "ptxas is not here")
class GpuTrainingTest(ProductTest):
    def expectNoSpills(self, folder, kernels):
        for kernel in kernels:
            for arch, code in kernel["code"].items():
                said = subprocess.run(["ptxas", f"-arch={arch}", "-v", folder / code["file"], "-o", "/dev/null"], capture_output=True, text=True)
                self.assertEqual(said.returncode, 0, said.stderr)
                self.assertIn(" 0 bytes spill stores, 0 bytes spill loads", said.stderr, (kernel["kernel"], arch))
                self.assertNotRegex(said.stderr, r"C75\d\d", (kernel["kernel"], arch))   # wgmma that ptxas serialises

    def testKernelsOfAGpt2sTrainingStepDoNotSpill(self):
        # Those of 124M that take the most registers, in f32 and with rounded factors; attention with longer heads, too.
        source, folder = self.folder / "training.mlir", self.folder / "training"
        source.write_text(TRAINING)
        run(SINTER, "kernel", source, "--target=cuda", "-o", folder)
        kernels = json.loads((folder / "training.json").read_text())["kernels"]
        self.assertEqual(len(kernels), 17)
        self.expectNoSpills(folder, kernels)

    def testAttentionOfTrainingDoesNotSpillWhateverItHasBesides(self):
        source, folder = self.folder / "options.mlir", self.folder / "options"
        source.write_text(attentionsWithOptions())
        run(SINTER, "kernel", source, "--target=cuda", "-o", folder)
        kernels = json.loads((folder / "options.json").read_text())["kernels"]
        self.assertEqual(len(kernels), 21)
        self.expectNoSpills(folder, kernels)


if __name__ == "__main__":
    unittest.main()
