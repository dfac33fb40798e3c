#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sinter kernels: tables of what the GPU kernels of a model take, count, and may reach."""
import json
import subprocess
import unittest

from products import SINTER, ProductTest


class KernelsTest(ProductTest):
    def kernels(self, *arguments):
        return subprocess.run([SINTER, "kernels", *arguments], capture_output=True, text=True)

    def test_a_line_a_kernel_and_architecture(self):
        done = self.kernels(self.tinyModel())
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = [line.split() for line in done.stdout.splitlines()]
        heads = [i for i, line in enumerate(lines) if line and line[0].startswith("sm_")]
        self.assertEqual([(lines[i][0], lines[i][1]) for i in heads],
                         [("sm_90a", "prefill"), ("sm_90a", "one"), ("sm_80", "prefill"), ("sm_80", "one")])
        kernels = lines[1:heads[1] - 1]
        self.assertEqual([line[0] for line in lines[heads[1] + 1:heads[2] - 1]], [line[0] for line in kernels])
        for line in lines[heads[1] + 1:heads[2] - 1]:
            share, by = line[-2:]
            self.assertTrue(0 <= float(share.rstrip("%")) <= 100, line)
            if line[0] != "sample_draw":   # of a few logits it is next to nothing
                self.assertGreater(float(share.rstrip("%")), 0, line)
            self.assertIn(by, ("memory", "cache", "tensor", "issue", "shared"))
        for line in kernels:
            name, prefill, decode, threads, registers, spills, shared, blocks, full = line
            self.assertGreater(int(prefill) + int(decode), 0, name)
            self.assertEqual(int(threads) % 32, 0, name)
            self.assertLessEqual(int(shared), 99 * 1024, name)
            self.assertGreaterEqual(int(blocks), 1, name)
            self.assertEqual(full, f"{min(int(blocks) * int(threads) * 100 // 2048, 100)}%", name)
            if spills != "-":   # ptxas was found
                self.assertEqual(int(spills), 0, name)
                self.assertLessEqual(int(registers), 255, name)

    def test_counters_of_one_launch_and_the_limit_that_follows_from_them(self):
        done = self.kernels(self.tinyModel(), "--weights", "q8_0", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        kernels = json.loads(done.stdout)["kernels"]
        self.assertEqual({each["architecture"] for each in kernels}, {"sm_90a", "sm_80"})
        # memory bytes/s, clock, tensor FLOPs a clock and multiprocessor, multiprocessors: the help of `sinter kernels`.
        figures = {"sm_90a": (3.35e12, 1.83e9, 4096, 132), "sm_80": (2.039e12, 1.41e9, 2048, 108)}
        tensor = 0
        for kernel in kernels:
            name, launch, counters, limit = (kernel[k] for k in ("kernel", "launch", "counters", "limit"))
            memory, clock, flops, processors = figures[kernel["architecture"]]
            decodes = kernel["decode_launches"] > 0
            self.assertEqual((launch["entry"], launch["rows"]), ("decode", 1) if decodes else ("prefill", 128), name)
            issued, used = sum(counters["instructions"].values()), min(counters["blocks"], processors)
            self.assertGreaterEqual(issued, counters["warps"], name)
            self.assertEqual(launch["global_bytes"], 32 * (counters["global_load_sectors"] + counters["global_store_sectors"])
                             + counters["async_copy_bytes"] + counters["bulk_load_bytes"] + counters["bulk_store_bytes"], name)
            weighted = counters["tensor_flops"] - counters["tensor_flops_8bit"] / 2 + counters["tensor_flops_tf32"]
            times = {"memory": launch["needed_bytes"] / memory,
                     "cache": launch["global_bytes"] / clock / min(5120, 64 * used),
                     "tensor": weighted / clock / flops / used,
                     "issue": issued / clock / 4 / used,
                     "shared": (counters["shared_load_wavefronts"] + counters["shared_store_wavefronts"]) / clock / used}
            per_flop = weighted / counters["tensor_flops"] if counters["tensor_flops"] else 1
            least = max(times["memory"], launch["needed_flops"] * per_flop / clock / flops / processors)
            self.assertAlmostEqual(limit["predicted_seconds"] * 1e9, max(least, *times.values()) * 1e9, places=6, msg=name)
            self.assertAlmostEqual(limit["share"], least / max(least, *times.values()), places=9, msg=name)
            self.assertEqual(limit["bound_by"], max(times, key=times.get), name)
            if counters["tensor_flops"]:   # tiles are padded, so tensor cores do at least what is needed
                self.assertGreaterEqual(counters["tensor_flops"], launch["needed_flops"], name)
                tensor += 1
        self.assertGreater(tensor, 0)

    def test_the_help_states_the_figures_that_limits_are_predicted_from(self):
        done = self.kernels("--help")
        for figure in ("3.35 TB/s", "2.04 TB/s", "989 and 312 TFLOP/s", "not measured"):
            self.assertIn(figure, done.stdout)

    def test_a_target_that_is_no_gpu_is_refused(self):
        done = self.kernels(self.tinyModel(), "--target=cpu")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--target: expected cuda, cuda:sm_80 or cuda:sm_90a, found 'cpu'", done.stderr)


if __name__ == "__main__":
    unittest.main()
