#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Layers that are alike share kernels: what a deep model costs beyond a shallow one is its weights and its launches."""
import os
import subprocess
import sys
import unittest

from products import ROOT, SINTER, ProductTest, run


class DepthTest(ProductTest):
    def model(self, layers):
        path = self.folder / f"{layers}.gguf"
        if not path.exists():
            run(sys.executable, ROOT / "utils/make-tiny-model", "llama", "--layers", layers, "--format", "gguf", "-o", path)
        return path

    def kernels(self, layers):
        """How many kernels a model has."""
        out, _ = run(SINTER, "compile", self.model(layers), "--emit=kernels", "-o", "-")
        return out.count("kernel.func ")

    def seconds(self, layers):
        """Processor time of compiling, the least of three runs."""
        times = []
        for _ in range(3):
            child = subprocess.Popen([SINTER, "compile", self.model(layers), "--target=cpu:avx2", "-t", "1", "-o", self.folder / "chat"],
                                     stderr=subprocess.DEVNULL)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            self.assertEqual(child.returncode, 0)
            times.append(usage.ru_utime + usage.ru_stime)
        return min(times)

    def test_a_deep_model_has_the_kernels_of_a_shallow_one(self):
        shallow = self.kernels(4)
        self.assertGreater(shallow, 10)
        self.assertEqual(self.kernels(64), shallow)

    def test_compiling_does_not_grow_with_depth(self):
        shallow, deep = self.seconds(4), self.seconds(64)
        print(f"processor time: 4 layers {shallow:.2f} s, 64 layers {deep:.2f} s", file=sys.stderr)
        self.assertLess(deep, 1.5 * shallow)


if __name__ == "__main__":
    unittest.main()
