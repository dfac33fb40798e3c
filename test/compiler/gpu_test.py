#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sinter compile --target=cuda and sinter kernel --target=cuda:...: executables, files of kernels, and what is refused.
Whole models run on the emulated GPU in test/models/run-goldens."""
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import unittest

from products import ROOT, SCALE, SINTER, ProductTest, run

sys.path.insert(0, str(ROOT / "utils"))
from tiny import catalog, files

EMULATOR = SINTER.parent.parent / "lib/libsinter-cuda-emulator.so"


def dynamicNeeds(path):
    """(names of shared libraries, versions of symbols) that an ELF file asks for."""
    data = path.read_bytes()
    sectionsAt, = struct.unpack_from("<Q", data, 40)
    size, count, = struct.unpack_from("<HH", data, 58)
    headers = [struct.unpack_from("<IIQQQQIIQQ", data, sectionsAt + i * size) for i in range(count)]
    strings = lambda header: data[headers[header[6]][4]:]
    text = lambda table, at: table[at:table.index(b"\0", at)].decode()
    libraries, versions = [], []
    for header in headers:
        kind, offset, length = header[1], header[4], header[5]
        if kind == 6:   # SHT_DYNAMIC
            for at in range(offset, offset + length, 16):
                tag, value = struct.unpack_from("<QQ", data, at)
                if tag == 1:   # DT_NEEDED
                    libraries.append(text(strings(header), value))
        if kind == 0x6ffffffe:   # SHT_GNU_verneed
            at = offset
            while True:
                _, entries, _, first, following = struct.unpack_from("<HHIII", data, at)
                part = at + first
                for _ in range(entries):
                    _, _, _, name, step = struct.unpack_from("<IHHII", data, part)
                    versions.append(text(strings(header), name))
                    part += step
                if not following:
                    break
                at += following
    return libraries, versions


LIBRARY_PROGRAM = """#include "library.h"
#include <stdio.h>
int main(int count, char **arguments) {
  struct sinter_open_options options = {0};
  struct sinter_sample_options greedy = {0};
  char *error = 0;
  greedy.repeat_penalty = 1;
  options.device = count > 1 ? arguments[1] : 0;
  sinter_session *session = sinter_open(&options, &error);
  if (!session) {
    fprintf(stderr, "%s\\n", error);
    sinter_free(error);
    return 1;
  }
  printf("%s\\n", sinter_device(session));
  int32_t ids[] = {1, 5, 9, 12};
  int64_t given = 4;
  for (int i = 0; i < 8; ++i) {
    if (sinter_step(session, ids, given))
      return 1;
    ids[0] = (int32_t)sinter_sample(session, &greedy);
    given = 1;
    printf("%d\\n", ids[0]);
  }
  sinter_close(session);
  return 0;
}
"""


GATE_AND_EXPERTS = """kernel.func @gate(%x: !kernel.rows<64xbf16>, %g: !kernel.weight<2048x64, bf16>, %u: !kernel.weight<2048x64, bf16>, %y: !kernel.rows<2048xf32>) {
  kernel.matmul left(%x : !kernel.rows<64xbf16>) weights(%g, %u : !kernel.weight<2048x64, bf16>, !kernel.weight<2048x64, bf16>) over(rows) schedule <rows_per_tile = 64> ranges {
    kernel.range 0 to 2048 group 16 {
    ^bb0(%a: vector<16xf32>, %b: vector<16xf32>, %row: index, %column: index):
      %p = arith.mulf %a, %b : vector<16xf32>
      kernel.store %p, %y[%row, %column] : vector<16xf32>, !kernel.rows<2048xf32>
    }
  }
}
kernel.func @experts(%x: !kernel.rows<64xf16>, %w: !kernel.weight<16384x64, f16>, %s: !kernel.segments<8>, %y: !kernel.rows<2048xf32>) {
  kernel.matmul left(%x : !kernel.rows<64xf16>) weights(%w : !kernel.weight<16384x64, f16>) experts(%s : !kernel.segments<8>) over(rows) schedule <rows_per_tile = 64> ranges {
    kernel.range 0 to 2048 group 16 {
    ^bb0(%a: vector<16xf32>, %row: index, %column: index):
      kernel.store %a, %y[%row, %column] : vector<16xf32>, !kernel.rows<2048xf32>
    }
  }
}
"""


class GpuTest(ProductTest):
    @classmethod
    def executable(cls):
        path = cls.folder / "chat"
        if not path.exists():
            cls.compile(cls.tinyModel(), "--weights", "f32", "--target=cuda", "-o", path)
        return path

    def generate(self, *flags, code=0, **options):
        return run(self.executable(), "--prompt-tokens", "1,5,9,12", "-n", 12, "--temp", 0, *flags, code=code, **options)

    def environment(self, **changes):
        return {**os.environ, "LC_ALL": "C", **changes}

    def testTheExecutableNeedsGlibcAloneAndNoNewOne(self):
        libraries, versions = dynamicNeeds(self.executable())
        self.assertLessEqual(set(libraries), {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2"})
        numbers = [tuple(map(int, re.fullmatch(r"GLIBC_([\d.]+)", v)[1].split("."))) for v in versions]
        self.assertTrue(numbers)
        self.assertLessEqual(max(numbers), (2, 34))

    def testTheEmulatedGpuWritesWhatTheProcessorWrites(self):
        text, _ = self.generate("--device", "cpu")
        gpu, said = self.generate("--device", "emulator")
        self.assertEqual(gpu, text)
        self.assertIn("device: emulator, Sinter emulator (sm_90a)\n", said)
        gpu, said = self.generate("--device", "emulator", env=self.environment(SINTER_EMULATOR_SM="80"))
        self.assertEqual(gpu, text)
        self.assertIn("device: emulator, Sinter emulator (sm_80)\n", said)

    def testHalvesGiveTheGpuTheProcessorsPerplexity(self):
        # f16 and bf16 by tensor maps, in clusters; many rows at once, and 0.5% for sums in another order than the processor's and, beside
        # an executable for it alone, rounded rows. The head runs more than once.
        text = self.folder / "text"
        text.write_text("the quick brown fox jumps over the lazy dog " * 5)
        for weights in "f16", "bf16":
            path, alone, found = self.folder / weights, self.folder / f"{weights}-alone", {}
            self.compile(self.tinyModel(), "--weights", weights, "--target=cuda", "-o", path)
            self.compile(self.tinyModel(), "--weights", weights, "-o", alone)
            for program, device, sm in (alone, "cpu", "90"), (path, "cpu", "90"), (path, "emulator", "90"), (path, "emulator", "80"):
                out, _ = run(program, "--perplexity", "--json", "-f", text, "--device", device, env=self.environment(SINTER_EMULATOR_SM=sm))
                found[program.name + device + sm] = json.loads(out.splitlines()[-1])["perplexity"]
            for value in found.values():
                self.assertAlmostEqual(value / found[f"{weights}-alonecpu90"], 1, delta=5e-3, msg=found)

    def testKOfFewTilesIsSplit(self):
        # 64 outputs of 1024 inputs: one tile of columns. Perplexity as above; quantised rows are rounded elsewhere than on the processor.
        catalog.VARIANTS["llama"]["wide"] = {**catalog.VARIANTS["llama"]["default"], "hidden": 64, "heads": 4, "kv": 2, "ff": 1024, "layers": 1}
        path, model, text = self.folder / "split", self.folder / "wide.gguf", self.folder / "words"
        files.writeGguf(catalog.build("llama", "wide")[0], model)
        text.write_text("the quick brown fox")
        for weights in "f16", "q8_0":
            self.compile(model, "--weights", weights, "--target=cuda", "-o", path)
            found = {}
            for device, sm in ("cpu", "90"), ("emulator", "90"), ("emulator", "80"):
                out, _ = run(path, "--perplexity", "--json", "-f", text, "--device", device,
                             env=self.environment(SINTER_EMULATOR_SM=sm, SINTER_EMULATOR_RACES="1"))
                found[device + sm] = json.loads(out.splitlines()[-1])["perplexity"]
            for value in found.values():
                self.assertAlmostEqual(value / found["cpu90"], 1, delta=1e-2, msg=(weights, found))
        # 4 parts of 256 inputs, tiles of 64 rows, one of columns, 64 x 64 sums; nothing in device memory for who calls kernels.
        out, _ = self.compile(model, "--weights", "f16", "--target=cuda:sm_80", "--emit=target", "-o", "-")
        self.assertEqual(set(re.findall(r"kernel.split_k = array<i64: ([\d, ]+)>", out)), {"4, 64, 1, 16384"})
        self.compile(model, "--weights", "f16", "--target=cuda:sm_80", "--emit=ptx", "-o", self.folder / "unsplit")
        self.assertFalse(any("atom.acq_rel" in each.read_text() for each in (self.folder / "unsplit").glob("*.ptx")))
        # Clusters have them in both: 4 blocks that sum parts, or as many of 2 that share operands.
        for weights, blocks in ("f16", 8), ("q8_0", 4):
            folder = self.folder / f"clusters-{weights}"
            self.compile(model, "--weights", weights, "--target=cuda:sm_90a", "--emit=ptx", "-o", folder)
            kernels = [each["code"]["sm_90a"] for each in json.loads((folder / f"{folder.name}.json").read_text())["kernels"]]
            self.assertEqual({each["cluster"][0] for each in kernels if "ld.shared::cluster" in (folder / each["file"]).read_text()}, {blocks})

    def testWithoutADriverTheProcessorRunsItAndTheReasonIsSaid(self):
        if shutil.which("nvidia-smi"):
            self.skipTest("this machine may have a GPU")
        text, said = self.generate()
        self.assertEqual(text, self.generate("--device", "cpu")[0])
        self.assertIn("device: cpu, because no CUDA driver: libcuda.so.1", said)
        _, said = self.generate("--device", "cuda", code=1)
        self.assertIn("error: --device cuda: no CUDA driver: libcuda.so.1", said)

    def testADeviceThatIsTooOldIsNamed(self):
        _, said = self.generate("--device", "emulator", code=1, env=self.environment(SINTER_EMULATOR_SM="75"))
        self.assertIn("error: --device emulator: this program has sm_80 and sm_90a; the device (Sinter emulator) is sm_75", said)

    def testTheEmulatorIsFoundByTheEnvironmentBesideTheExecutableAndWhereItWasCompiled(self):
        place = self.folder / "elsewhere"
        place.mkdir(exist_ok=True)
        _, said = self.generate("--device", "emulator", code=1, env=self.environment(SINTER_EMULATOR=str(place / "none.so")))
        self.assertIn("SINTER_EMULATOR: expected the path of libsinter-cuda-emulator.so, found no file", said)
        shutil.copy(EMULATOR, place / "mine.so")
        self.generate("--device", "emulator", env=self.environment(SINTER_EMULATOR=str(place / "mine.so")))
        broken = place / "chat"
        shutil.copy(self.executable(), broken)
        (place / "libsinter-cuda-emulator.so").write_bytes(b"no library")
        _, said = run(broken, "-p", "x", "-n", 1, "--device", "emulator", code=1)
        self.assertIn(f"{place}/libsinter-cuda-emulator.so", said)

    def testInfoNamesTheDevice(self):
        out, _ = run(self.executable(), "--info", "--device", "emulator")
        self.assertRegex(out, r"(?m)^device +emulator, Sinter emulator$")
        self.assertRegex(out, r"(?m)^instruction set +sm_90a$")
        self.assertRegex(run(self.executable(), "--info", "--device", "cpu")[0], r"(?m)^device +cpu$")

    def testMemoryThatIsTooSmallIsSaidWithWhatWouldFit(self):
        _, said = self.generate("--device", "emulator", code=1, env=self.environment(SINTER_EMULATOR_MEMORY="1"))
        self.assertRegex(said, r"a context of \d+ tokens times 1 needs [\d.]+ MiB on the GPU, beside 0.6 MiB of weights; "
                               r"0.4 MiB are free: no context fits")

    def testTheDeviceDrawsTheTextThatTheProcessorDraws(self):
        for flags in (["--temp", "0.8"], ["--temp", "1.5", "--top-k", "0", "--top-p", "1", "--min-p", "0"],
                      ["--temp", "0.9", "--top-k", "0", "--min-p", "0.1", "--samplers", "temperature;min_p;top_p"],
                      ["--temp", "0"], ["--temp", "0.8", "--repeat-penalty", "1.3", "--presence-penalty", "0.2", "--logit-bias", "7-1.5"],
                      ["--temp", "0.8", "--repeat-penalty", "1.3", "--repeat-last-n", "-1"]):   # the last one: on the host
            flags = ["--seed", "11", "-n", "24", *flags]
            text, _ = self.generate(*flags, "--device", "cpu")
            for sm in ("80", "90"):
                self.assertEqual(self.generate(*flags, "--device", "emulator", env=self.environment(SINTER_EMULATOR_SM=sm))[0], text, flags)

    def testAContextThatShiftsGoesOnDrawingOnTheDevice(self):
        flags = ["-c", "16", "-n", "40", "--context-shift", "--temp", "0.8", "--seed", "3"]
        self.assertEqual(self.generate(*flags, "--device", "emulator")[0], self.generate(*flags, "--device", "cpu")[0])

    def testSeveralSequencesShareTheDevice(self):
        flags = ["--samples", "5", "-s", "7", "--temp", "1.5"]
        self.assertEqual(self.generate(*flags, "--device", "emulator")[0], self.generate(*flags, "--device", "cpu")[0])

    def testAStepAsOneKernelWritesWhatTheGraphOfItsLaunchesWritesBitForBit(self):
        # Log-probabilities, tokens drawn on the device, several sequences; races are looked for.
        one = self.folder / "persistent"
        self.compile(self.tinyModel(), "--weights", "f32", "--target=cuda", "--persistent", "-o", one)
        for sm in "80", "90":
            few = {"SINTER_EMULATOR_SM": sm, "SINTER_EMULATOR_SMS": "6"}
            for flags in (["--json", "-n", 6, "--temp", 0], ["-n", 8, "--temp", "0.7", "--seed", 3],
                          ["-n", 4, "--samples", 3, "--temp", "1.5", "--seed", 7]):
                flags = ["--prompt-tokens", "1,5,9,12", "--device", "emulator", *flags]
                graph, _ = run(self.executable(), *flags, env=self.environment(**few))
                kernel, _ = run(one, *flags, env=self.environment(**few, SINTER_EMULATOR_RACES="1"))
                self.assertEqual(self.withoutTimes(kernel), self.withoutTimes(graph), (sm, flags))

    def testBlocksOfALayerOfExpertsDoNotRaceWithEachOther(self):
        # The product behind experts adds up the residual in its prologue, which every block makes and one stores.
        model = self.tinyModel("mixtral")
        texts = []
        for target, flags in ("cuda:sm_80", []), ("cuda:sm_90a", ["--persistent"]):
            path = self.folder / f"experts{len(texts)}"
            self.compile(model, "--weights", "f32", f"--target={target}", *flags, "-o", path)
            sm = re.search(r"\d+", target)[0]
            texts += run(path, "--prompt-tokens", "1,5,9,12", "-n", 4, "--temp", 0, "--special", "--device", "emulator",
                         env=self.environment(SINTER_EMULATOR_SM=sm, SINTER_EMULATOR_SMS="6", SINTER_EMULATOR_RACES="1"))[:1]
        self.assertEqual(*texts)

    @staticmethod
    def withoutTimes(text):
        return re.sub(r'"[a-z_]*(seconds|per_second|time)[a-z_]*": *[\d.e+-]+', "", text)

    def testOneKernelAStepIsRefusedWhereThereIsNoSuchStep(self):
        model, out = self.tinyModel(), self.folder / "refused"
        for flags, message in [
                ([], "--persistent: expected --target=cuda, cuda:sm_80 or cuda:sm_90a, found 'cpu'"),
                (["--target=cuda", "--emit=ptx"], "--persistent: expected an executable or a library that writes text, found --emit=ptx"),
                (["--target=cuda", "--train"], "--persistent: expected an executable or a library that writes text, found --train")]:
            self.assertIn(message, self.compile(model, "--persistent", *flags, "-o", out, code=2)[1])
        self.assertFalse(out.exists())

    def testBenchShowsTheKernelsOfTheDevice(self):
        out, _ = run(self.executable(), "--bench", "-p", 8, "-n", 2, "--repetitions", 1, "--launches", "--device", "emulator")
        self.assertIn("| emulator sm_90a |", out)
        self.assertRegex(out, r"(?m)^\| [a-z_0-9]+ +\| +\d+ \|")

    def testKernelsOfAModelAreFilesOfPtx(self):
        folder = self.folder / "kernels"
        self.compile(self.tinyModel(), "--weights", "f32", "--target=cuda", "--emit=ptx", "-o", folder)
        manifest = json.loads((folder / "kernels.json").read_text())
        self.assertEqual(manifest["format"], "sinter gpu kernels")
        self.assertTrue(manifest["model"]["entries"])
        header = (folder / "kernels.h").read_text()
        for kernel in manifest["kernels"]:
            self.assertEqual(kernel["arguments"][0]["kind"], "step")
            self.assertEqual(sorted(kernel["code"]), ["sm_80", "sm_90a"])
            for arch, code in kernel["code"].items():
                text = (folder / code["file"]).read_text()
                self.assertIn(f".target {arch}", text)
                self.assertEqual(text.count(".visible .entry"), 1)
                self.assertRegex(text, rf"\.visible \.entry {code['function']}\(")
                self.assertEqual(text.count(".param .u64"), len(kernel["arguments"]))
                self.assertIn(f'"{code["file"]}"', header)
                self.assertGreater(code["block"][0], 0)
        run("gcc", "-fsyntax-only", "-xc", "-Wall", "-Werror", folder / "kernels.h")

    def testKernelsInMlirBecomePtx(self):
        source, folder = self.folder / "scale.mlir", self.folder / "scale"
        source.write_text(SCALE)
        run(SINTER, "kernel", source, "--target=cuda:sm_80", "-o", folder)
        self.assertEqual(sorted(p.name for p in folder.iterdir()),
                         ["scale.h", "scale.json", "scale.sm_80.ptx", "sinter_kernels.h"])
        code = json.loads((folder / "scale.json").read_text())["kernels"][0]["code"]["sm_80"]
        self.assertEqual(code["grid"]["domain"], "rows")

    def testTilesAreAsWideAsTheirFormIsGoodFor(self):
        source, folder = self.folder / "tiles.mlir", self.folder / "tiles"
        source.write_text(GATE_AND_EXPERTS)
        run(SINTER, "kernel", source, "--target=cuda:sm_90a", "-o", folder)
        code = {k["kernel"]: k["code"]["sm_90a"] for k in json.loads((folder / "tiles.json").read_text())["kernels"]}
        # bf16: a producer and two consumers of 64 columns of both weights. Experts: tiles of 64 columns, not of 128.
        self.assertEqual((code["gate"]["block"][0], code["gate"]["grid"]["columns"]), (384, 2048 // 128))
        self.assertEqual(code["experts"]["grid"]["columns"], 8 * 2048 // 64)

    @unittest.skipUnless(shutil.which("ptxas"), "ptxas is not here")
    def testMatmulsForHopperMultiplyByWarpgroupsWithoutSpills(self):
        source, folder = self.folder / "linears.mlir", self.folder / "linears"
        linear = """func.func @{0}(%x: tensor<?x64xf32>, %w: tensor<{1}x64x{2}>) -> tensor<?x{1}xf32> {{
  %y = lm.linear %x, %w : (tensor<?x64xf32>, tensor<{1}x64x{2}>) -> tensor<?x{1}xf32>
  return %y : tensor<?x{1}xf32>
}}
"""
        cases = [("few_f16", 2032, "f16", 64), ("few_bf16", 2032, "bf16", 64), ("many_f16", 2048, "f16", 128), ("many_bf16", 2048, "bf16", 128)]
        source.write_text("".join(linear.format(name, outputs, dtype) for name, outputs, dtype, _ in cases))
        run(SINTER, "kernel", source, "--target=cuda:sm_90a", "-o", folder)
        kernels = {k["kernel"].rsplit("_matmul", 1)[0]: k["code"]["sm_90a"] for k in json.loads((folder / "linears.json").read_text())["kernels"]}
        for name, outputs, dtype, tile in cases:
            code = kernels[name]
            self.assertEqual((code["grid"]["rows_per_tile"], code["grid"]["columns"]), (tile, -(-outputs // tile)))
            self.assertIn(f"wgmma.mma_async.sync.aligned.m64n{tile}k16.f32.{dtype}.{dtype}", (folder / code["file"]).read_text())
            maps = code.get("tensor_maps", [])
            # Rows, a quarter of a tile's; panels, half of a tile's, or of all of them half of their words; 32 rows of f32 that go back, where
            # all tiles are whole.
            panels = [16, 64, tile // 32] if dtype == "f16" else [16, 32, tile // 16]
            stored = [[256, 32]] if outputs % tile == 0 else []
            self.assertEqual((code["cluster"], [m["box"] for m in maps]), ([4, 1, 1], [[64, tile // 4], panels, *stored]))
            said = subprocess.run(["ptxas", "-arch=sm_90a", "-v", folder / code["file"], "-o", "/dev/null"], capture_output=True, text=True)
            self.assertEqual(said.returncode, 0, said.stderr)
            self.assertIn(" 0 bytes spill stores, 0 bytes spill loads", said.stderr)
            self.assertNotRegex(said.stderr, r"C75\d\d")   # wgmma that ptxas serialises
        self.assertIn("_SM_90A_TENSOR_MAPS {", (folder / "linears.h").read_text())

    @unittest.skipUnless(shutil.which("ptxas"), "ptxas is not here")
    def testTilesAsWideAsALongHeadDoNotSpill(self):
        source, folder = self.folder / "heads.mlir", self.folder / "heads"
        text = """kernel.func @heads_{0}(%x: !kernel.rows<640x{0}>, %w: !kernel.weight<1536x640, {0}>, %y: !kernel.rows<1536xf32>) {{
  kernel.matmul left(%x : !kernel.rows<640x{0}>) weights(%w : !kernel.weight<1536x640, {0}>) over(rows) schedule <rows_per_tile = 64> ranges {{
    kernel.range 0 to 1536 group 256 {{
    ^bb0(%a: vector<256xf32>, %row: index, %column: index):
      %s = arith.mulf %a, %a : vector<256xf32>
      %sum = vector.reduction <add>, %s : vector<256xf32> into f32
      %inv = math.rsqrt %sum : f32
      %iv = vector.broadcast %inv : f32 to vector<256xf32>
      %o = arith.mulf %a, %iv : vector<256xf32>
      kernel.store %o, %y[%row, %column] : vector<256xf32>, !kernel.rows<1536xf32>
    }}
  }}
}}
"""
        source.write_text("".join(text.format(dtype) for dtype in ("f16", "bf16")))
        run(SINTER, "kernel", source, "--target=cuda", "-o", folder)
        kernels = json.loads((folder / "heads.json").read_text())["kernels"]
        for kernel in kernels:
            for arch, code in kernel["code"].items():
                parts = 2 if arch == "sm_90a" else 1   # of K, by clusters alone
                self.assertEqual((code["grid"]["rows_per_tile"], code["grid"]["columns"]), (64, 6 * parts))
                said = subprocess.run(["ptxas", f"-arch={arch}", "-v", folder / code["file"], "-o", "/dev/null"], capture_output=True, text=True)
                self.assertEqual(said.returncode, 0, said.stderr)
                self.assertIn(" 0 bytes spill stores, 0 bytes spill loads", said.stderr, (kernel["kernel"], arch))
                self.assertNotRegex(said.stderr, r"C75\d\d", (kernel["kernel"], arch))
        self.assertEqual([k["code"]["sm_90a"]["cluster"][0] for k in kernels], [8, 8])

    @unittest.skipUnless(shutil.which("ptxas"), "ptxas is not here")
    def testAttentionForAmpereDoesNotSpill(self):
        source, folder = self.folder / "ampere.mlir", self.folder / "ampere"
        kernel = """kernel.func @{name}(%q: !kernel.rows<{width}x{query}>, %k: !kernel.cache_k<4x{size}x{dtype}>, %v: !kernel.cache_v<4x{size}x{dtype}>,
    %s: !kernel.table<1x4xf32>, %y: !kernel.rows<{width}xf32>) {{
  kernel.attention prefill heads 4 scale 0.1 {more} query(%q : !kernel.rows<{width}x{query}>) keys(%k : !kernel.cache_k<4x{size}x{dtype}>)
    values(%v : !kernel.cache_v<4x{size}x{dtype}>) {slopes} output(%y : !kernel.rows<{width}xf32>)
}}
"""
        kinds = {"plain": "", "cap": "softcap 30.0", "all": "window 512 softcap 30.0"}
        source.write_text("".join(
            kernel.format(name=f"{kind}_{size}_{dtype}_{query}", size=size, width=4 * size, dtype=dtype, query=query, more=more,
                          slopes="slopes(%s : !kernel.table<1x4xf32>)" if kind == "all" else "")
            for kind, more in kinds.items() for size in (48, 64, 128, 256) for dtype, query in (("f16", "f32"), ("bf16", "bf16"))))
        run(SINTER, "kernel", source, "--target=cuda:sm_80", "-o", folder)
        for entry in json.loads((folder / "ampere.json").read_text())["kernels"]:
            said = subprocess.run(["ptxas", "-arch=sm_80", "-v", folder / entry["code"]["sm_80"]["file"], "-o", "/dev/null"],
                                  capture_output=True, text=True)
            self.assertEqual(said.returncode, 0, said.stderr)
            self.assertIn(" 0 bytes spill stores, 0 bytes spill loads", said.stderr, entry["kernel"])

    @unittest.skipUnless(shutil.which("ptxas"), "ptxas is not here")
    def testNumbersOfEightBitsAreMultipliedWithoutSpills(self):
        source, folder = self.folder / "eights.mlir", self.folder / "eights"
        kernel = """kernel.func @{name}_{type}(%x: !kernel.rows<{k}x{left}>, %w: !kernel.weight<{n}x{k}, {type}>, %v: !kernel.weight<{n}x{k}, {type}>,
    %y: !kernel.rows<{n}xf32>) {{
  kernel.matmul left(%x : !kernel.rows<{k}x{left}>) weights({weights}) over(rows) {more} ranges {{
    kernel.range 0 to {n} group {group} {{
    ^bb0({sums}, %row: index, %column: index):
      %s = arith.mulf {product} : vector<{group}xf32>
      %sum = vector.reduction <add>, %s : vector<{group}xf32> into f32
      %all = vector.broadcast %sum : f32 to vector<{group}xf32>
      %o = arith.divf %s, %all : vector<{group}xf32>
      kernel.store %o, %y[%row, %column] : vector<{group}xf32>, !kernel.rows<{n}xf32>
    }}
  }}
}}
"""
        mapped = [("wide", 2048, 1040, 16, 1), ("narrow", 512, 1040, 16, 1), ("heads", 2048, 512, 128, 1), ("gate", 2048, 1040, 16, 2)]
        cases = [(*case, "", "") for case in mapped]
        fast = [("fast_wide", 4096, 1040, 16, 1), ("fast_narrow", 512, 1040, 16, 1), ("fast_long", 4096, 512, 256, 1), ("fast_gate", 4096, 1040, 16, 2)]
        cases += [(*case, "", "fast_accumulation") for case in fast]
        cases += [("odd", 2048, 1032, 16, 1, "", ""), ("long", 2048, 512, 256, 1, "", ""), ("wider", 2048, 1040, 16, 1, "f32", ""),
                  ("parts", 512, 1040, 16, 1, "", "schedule <rows_per_tile = 64, columns_per_tile = 64> attributes {kernel.split_k = 4 : i64}"),
                  ("few", 2048, 2048, 16, 1, "f32", "schedule <columns_per_tile = 16>")]
        source.write_text("".join(
            kernel.format(name=name, n=n, k=k, group=group, type=dtype, left=left or dtype, more=more,
                          weights=", ".join(("%w", "%v")[:count]) + " : " + ", ".join([f"!kernel.weight<{n}x{k}, {dtype}>"] * count),
                          sums=", ".join(f"{a}: vector<{group}xf32>" for a in ("%a", "%b")[:count]), product=("%a, %a", "%a, %b")[count - 1])
            for name, n, k, group, count, left, more in cases for dtype in ("f8E4M3FN", "f8E5M2")))
        run(SINTER, "kernel", source, "--target=cuda", "-o", folder)
        kernels = json.loads((folder / "eights.json").read_text())["kernels"]
        # By tensor maps over both sides; parts of K times the blocks that share operands.
        sizes = {k["kernel"]: k["code"]["sm_90a"]["cluster"][0] for k in kernels if len(k["code"]["sm_90a"].get("tensor_maps", [])) > 1}
        self.assertEqual(sizes, {f"{name}_{dtype}": 8 if name in ("narrow", "gate", "parts", "fast_narrow") else 4
                                 for name in (*(case[0] for case in mapped + fast), "parts") for dtype in ("f8E4M3FN", "f8E5M2")})
        # Without sums of their own for every 128 columns of K there are registers for 256 columns of the product.
        self.assertEqual([k["code"]["sm_90a"]["grid"]["columns"] for k in kernels if k["kernel"].endswith("_f8E5M2") and k["kernel"].startswith(("wide_", "fast_wide", "fast_long", "fast_gate"))],
                         [2048 // 128, 4096 // 256, 4096 // 256, 4096 // 128])
        for entry in kernels:
            for architecture, code in entry["code"].items():
                said = subprocess.run(["ptxas", f"-arch={architecture}", "-v", folder / code["file"], "-o", "/dev/null"], capture_output=True, text=True)
                self.assertEqual(said.returncode, 0, said.stderr)
                self.assertIn(" 0 bytes spill stores, 0 bytes spill loads", said.stderr, (entry["kernel"], architecture))
                self.assertNotRegex(said.stderr, r"C75\d\d", (entry["kernel"], architecture))   # wgmma that ptxas serialises

    @unittest.skipUnless(shutil.which("ptxas"), "ptxas is not here")
    def testAttentionForHopperTakesTurnsWithoutSpills(self):
        source, folder = self.folder / "attentions.mlir", self.folder / "attentions"
        kernel = """kernel.func @{name}(%q: !kernel.rows<{width}x{query}>, %k: !kernel.cache_k<{heads}x{size}x{dtype}>, %v: !kernel.cache_v<{heads}x{size}x{dtype}>,
    %s: !kernel.table<1x4xf32>, %y: !kernel.rows<{width}xf32>) {{
  kernel.attention prefill heads 4 scale 0.1 {more} query(%q : !kernel.rows<{width}x{query}>) keys(%k : !kernel.cache_k<{heads}x{size}x{dtype}>)
    values(%v : !kernel.cache_v<{heads}x{size}x{dtype}>) {slopes} output(%y : !kernel.rows<{width}xf32>)
}}
"""
        kinds = {"plain": "", "window": "window 512", "cap": "softcap 30.0", "slopes": "", "all": "window 512 softcap 30.0"}
        cases = [(kind, size, dtype, dtype) for kind in kinds for size, dtype in ((64, "f16"), (128, "bf16"), (256, "f16"))]
        cases += [("plain", 16, "f16", "f16"), ("plain", 80, "f16", "f32"), ("plain", 96, "bf16", "bf16"), ("plain", 192, "f16", "f16")]
        source.write_text("".join(
            kernel.format(name=f"{kind}_{size}", heads=2 if kind in ("window", "slopes") else 4, size=size, width=4 * size, dtype=dtype, query=query, more=kinds[kind],
                          slopes="slopes(%s : !kernel.table<1x4xf32>)" if kind in ("slopes", "all") else "")
            for kind, size, dtype, query in cases))
        run(SINTER, "kernel", source, "--target=cuda:sm_90a", "-o", folder)
        for entry in json.loads((folder / "attentions.json").read_text())["kernels"]:
            code = entry["code"]["sm_90a"]
            self.assertEqual((code["block"][0], code["cluster"][0]), (384, 2), entry["kernel"])
            self.assertEqual([bool(each.get("of_cache")) for each in code["tensor_maps"]][-2:], [True, True])
            said = subprocess.run(["ptxas", "-arch=sm_90a", "-v", folder / code["file"], "-o", "/dev/null"], capture_output=True, text=True)
            self.assertEqual(said.returncode, 0, said.stderr)
            self.assertIn(" 0 bytes spill stores, 0 bytes spill loads", said.stderr, entry["kernel"])
            self.assertNotRegex(said.stderr, r"C75\d\d", entry["kernel"])   # wgmma that ptxas serialises

    @unittest.skipUnless(shutil.which("ptxas"), "ptxas is not here")
    def testMachineCodeComesWithItsRegisters(self):
        folder = self.folder / "cubins"
        self.compile(self.tinyModel(), "--weights", "f32", "--target=cuda:sm_90a", "--emit=cubin", "-o", folder)
        manifest = json.loads((folder / "cubins.json").read_text())
        for kernel in manifest["kernels"]:
            code = kernel["code"]["sm_90a"]
            self.assertTrue((folder / code["file"]).read_bytes().startswith(b"\x7fELF"))
            self.assertGreater(code["registers"], 0)
            self.assertGreaterEqual(code["spill_bytes"], 0)

    def testMachineCodeWithoutPtxasNamesThePackage(self):
        missing = self.environment(SINTER_PTXAS="/nowhere/ptxas")
        _, said = self.compile(self.tinyModel(), "--target=cuda", "--emit=cubin", "-o", self.folder / "none", code=1, env=missing)
        self.assertIn("SINTER_PTXAS: expected the path of ptxas, found no program '/nowhere/ptxas'", said)
        if not os.path.exists("/usr/local/cuda/bin/ptxas"):
            bare = self.environment(PATH="/nowhere", HOME="/nowhere")
            bare.pop("VIRTUAL_ENV", None)
            _, said = self.compile(self.tinyModel(), "--target=cuda", "--emit=cubin", "-o", self.folder / "none", code=1, env=bare)
            self.assertIn("nvidia-cuda-nvcc", said)
        self.assertFalse((self.folder / "none").exists())

    def testALibraryRunsOnTheEmulatedGpuAndOnTheProcessor(self):
        library = self.folder / "library"
        self.compile(self.tinyModel(), "--weights", "f32", "--target=cuda", "--lib", "-o", library)
        program = self.folder / "library.c"
        program.write_text(LIBRARY_PROGRAM)
        links = [["-L", library, "-llibrary", f"-Wl,-rpath,{library}"], [library / "liblibrary.a", "-lm"]]
        for number, link in enumerate(links):
            main = self.folder / f"library-{number}"
            run("gcc", "-Wall", "-Werror", program, "-I", library, *link, "-o", main)
            cpu, _ = run(main, "cpu")
            gpu, _ = run(main, "emulator")
            self.assertRegex(cpu.splitlines()[0], r"^cpu \(\w+\)$")
            self.assertEqual(gpu.splitlines()[0], "emulator: Sinter emulator (sm_90a)")
            self.assertEqual(gpu.splitlines()[1:], cpu.splitlines()[1:])
            self.assertEqual(len(cpu.splitlines()), 9)
            without = self.environment(SINTER_EMULATOR="/nowhere/emulator.so")
            self.assertIn("device emulator: ", run(main, "emulator", code=1, env=without)[1])
            self.assertIn("device: expected cpu, cuda or emulator, found 'tpu'", run(main, "tpu", code=1)[1])
        for path in (library / "liblibrary.so",):
            libraries, versions = dynamicNeeds(path)
            self.assertLessEqual(set(libraries), {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2"})
            self.assertLessEqual(max(tuple(map(int, re.fullmatch(r"GLIBC_([\d.]+)", v)[1].split("."))) for v in versions), (2, 34))
        exported = {line.split()[-1] for line in run("nm", "-D", "--defined-only", library / "liblibrary.so")[0].splitlines()}
        self.assertTrue(all(name.startswith("sinter_") for name in exported), exported)
        self.assertNotIn("sinter_cuda_opener", exported)

    def testALibraryWithoutCodeForGpusSaysSo(self):
        library = self.folder / "plain"
        self.compile(self.tinyModel(), "--lib", "-o", library)
        program = self.folder / "plain.c"
        program.write_text(LIBRARY_PROGRAM.replace("library.h", "plain.h"))
        main = self.folder / "plain-main"
        run("gcc", program, "-I", library, library / "libplain.a", "-lm", "-o", main)
        self.assertIn("device cuda: this program was compiled for the processor alone", run(main, "cuda", code=1)[1])

    def testWhatDoesNotGoTogetherIsRefused(self):
        model, out = self.tinyModel(), self.folder / "refused"
        for flags, message in [
                (["--emit=ptx"], "--emit=ptx: expected --target=cuda, cuda:sm_80 or cuda:sm_90a, found 'cpu'"),
                (["--target=cuda:sm_70"], "--target: expected cpu, cpu:native, cpu:avx2, cpu:avx512, cpu:avx512bf16, cpu:amx, cuda, cuda:sm_80 or cuda:sm_90a, found 'cuda:sm_70'"),
                (["--target=cuda", "--emit=objects"], "--emit=objects: expected a processor as --target")]:
            self.assertIn(message, self.compile(model, *flags, "-o", out, code=2)[1])
        source = self.folder / "any.mlir"
        source.write_text(SCALE)
        self.assertIn("cuda, cuda:sm_80 or cuda:sm_90a, found 'cuda:sm_70'",
                      run(SINTER, "kernel", source, "--target=cuda:sm_70", "-o", out, code=2)[1])

    def testFunctionsInMlirBecomePtxOfEachArchitecture(self):
        source, out = self.folder / "both.mlir", self.folder / "both"
        source.write_text(SCALE)
        run(SINTER, "kernel", source, "--target=cuda", "-o", out)
        self.assertEqual(sorted(p.name for p in out.iterdir()),
                         ["both.h", "both.json", "scale.sm_80.ptx", "scale.sm_90a.ptx", "sinter_kernels.h"])


if __name__ == "__main__":
    unittest.main()
