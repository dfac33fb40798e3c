#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sinter kernels: a table of what the GPU kernels of a model take."""
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
        heads = [i for i, line in enumerate(lines) if line[0].startswith("sm_")]
        self.assertEqual([lines[i][0] for i in heads], ["sm_90a", "sm_80"])
        self.assertEqual(len(lines), 2 * heads[1])
        for line in lines[1:heads[1]]:
            name, prefill, decode, threads, registers, spills, shared, blocks, full = line
            self.assertGreater(int(prefill) + int(decode), 0, name)
            self.assertEqual(int(threads) % 32, 0, name)
            self.assertLessEqual(int(shared), 99 * 1024, name)
            self.assertGreaterEqual(int(blocks), 1, name)
            self.assertEqual(full, f"{min(int(blocks) * int(threads) * 100 // 2048, 100)}%", name)
            if spills != "-":   # ptxas was found
                self.assertEqual(int(spills), 0, name)
                self.assertLessEqual(int(registers), 255, name)

    def test_a_target_that_is_no_gpu_is_refused(self):
        done = self.kernels(self.tinyModel(), "--target=cpu")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--target: expected cuda, cuda:sm_80 or cuda:sm_90a, found 'cpu'", done.stderr)


if __name__ == "__main__":
    unittest.main()
