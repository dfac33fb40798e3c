#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sinter compile --weights-file: weights outside of the executable and of the library."""
import ctypes
import os
import shutil
import subprocess
import unittest

from library_test import OpenOptions
from products import ProductTest, run


class WeightsFileTest(ProductTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.inside, cls.outside, cls.weights = (cls.folder / name for name in ("inside", "outside", "tiny.weights"))
        cls.compile(cls.tinyModel(), "-o", cls.inside)
        cls.compile(cls.tinyModel(), "--weights-file", cls.weights, "-o", cls.outside)

    def text(self, program, *flags, code=0):
        return run(program, "--prompt-tokens", "5,6,7", "-n", 8, "--temp", 0, "--ignore-eos", "--json", "-t", 1, *flags,
                   code=code)

    def testTheTextIsThatOfAnExecutableWithItsWeights(self):
        self.assertEqual(self.text(self.outside)[0], self.text(self.inside)[0])
        self.assertLess(self.outside.stat().st_size + self.weights.stat().st_size - 4096,
                        self.inside.stat().st_size + (1 << 16))
        self.assertEqual(self.weights.read_bytes()[:8], b"SINTERWT")

    def testTheFileIsFoundBesideTheExecutableOrWhereTheFlagSays(self):
        moved = self.folder / "moved"
        moved.mkdir()
        for file in (self.outside, self.weights):
            shutil.copy(file, moved)
        os.rename(self.weights, self.folder / "elsewhere")
        try:
            self.assertEqual(self.text(moved / "outside")[0], self.text(self.inside)[0])
            _, err = self.text(self.outside, code=1)
            self.assertIn(f"{self.weights}: cannot open: No such file or directory", err)
            given = self.text(self.outside, "--weights-file", self.folder / "elsewhere")
            self.assertEqual(given[0], self.text(self.inside)[0])
        finally:
            os.rename(self.folder / "elsewhere", self.weights)

    def testAnotherModelsWeightsAreRefused(self):
        # The same shapes and names, other numbers.
        other = self.folder / "other.weights"
        data = bytearray(self.tinyModel().read_bytes())
        data[-100:] = bytes(100)
        (self.folder / "other.gguf").write_bytes(data)
        self.compile(self.folder / "other.gguf", "--weights-file", other, "-o", self.folder / "other")
        _, err = self.text(self.outside, "--weights-file", other, code=1)
        self.assertRegex(err, r"expected the weights of hash [0-9a-f]{16} \(byte offset 16\), found [0-9a-f]{16}: another model's")
        gpt2 = self.folder / "gpt2.weights"
        self.compile(self.tinyModel("gpt2"), "--weights-file", gpt2, "-o", self.folder / "gpt2")
        _, err = self.text(self.outside, "--weights-file", gpt2, code=1)
        self.assertRegex(err, r"gpt2.weights: expected \d+ bytes of weights \(byte offset 8\), found \d+")

    def testDamagedFilesAreRefused(self):
        damaged, whole = self.folder / "damaged", self.weights.read_bytes()
        for data, message in ((whole[:-1], f"expected at least {len(whole)} bytes, found {len(whole) - 1}"),
                              (whole[:10], "expected at least 24 bytes, found 10"),
                              (b"x" + whole[1:], "expected a file of weights ('SINTERWT' at byte 0), found other bytes")):
            damaged.write_bytes(data)
            _, err = self.text(self.outside, "--weights-file", damaged, code=1)
            self.assertIn(message, err)

    def testDamageIsFoundByALookAtEveryByteAndAtTheEndsByAnyStart(self):
        whole = self.weights.read_bytes()
        out, _ = run(self.outside, "--check-weights")
        self.assertRegex(out, rf"^{self.weights}: \d+ bytes of weights, as they were compiled\n$")
        out, _ = run(self.outside, "--check-weights", "--weights-file", self.weights)
        self.assertIn("as they were compiled", out)
        damaged = self.folder / "damaged"
        for place in (4096, 4096 + 300000, len(whole) - 100, len(whole) - 1):
            data = bytearray(whole)
            data[place] ^= 4
            damaged.write_bytes(data)
            _, err = run(self.outside, "--check-weights", "--weights-file", damaged, code=1)
            self.assertRegex(err, r"expected bytes of hash [0-9a-f]{16} \(byte offset \d+\), found [0-9a-f]{16}: damaged since")
        # What a copy that broke off leaves where the file had got its length before.
        damaged.write_bytes(whole[:-200000] + bytes(200000))
        _, err = self.text(self.outside, "--weights-file", damaged, code=1)
        self.assertIn("damaged since it was compiled", err)
        _, err = run(self.inside, "--check-weights", code=2)
        self.assertIn("--check-weights: expected a model whose weights lie in a file of their own", err)

    def testALibraryFindsItsWeightsAndChecksThem(self):
        library, weights = self.folder / "lib", self.folder / "lib.weights"
        self.compile(self.tinyModel(), "--lib", "--target=cpu:avx2", "--weights-file", weights, "-o", library)
        c = ctypes.CDLL(str(library / "liblib.so"))
        c.sinter_open.restype = ctypes.c_void_p

        def open(check):
            error = ctypes.c_char_p()
            session = c.sinter_open(ctypes.byref(OpenOptions(threads=1, check_weights=check)), ctypes.byref(error))
            if session:
                c.sinter_close(ctypes.c_void_p(session))
            return error.value
        self.assertEqual((open(0), open(1)), (None, None))
        data = bytearray(weights.read_bytes())
        data[4096 + 300000] ^= 4
        weights.write_bytes(data)
        self.assertIn(b"damaged since it was compiled", open(1))

    def testAFileThatShrinksWhileItIsReadIsAnError(self):
        shrinking = self.folder / "shrinking"
        shutil.copy(self.weights, shrinking)
        chat = subprocess.Popen([self.outside, "--weights-file", shrinking, "--chat", "-n", "4"], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        chat.stdin.write(b"one\n")
        chat.stdin.flush()
        chat.stdout.readline()   # it has answered: the file is mapped
        with open(shrinking, "r+b") as file:
            file.truncate(0)
        _, err = chat.communicate(b"two\n", timeout=60)
        self.assertEqual(chat.returncode, 1, err)
        self.assertIn(b"error: expected the whole file of the weights", err)

    def testANameThatIsNotUtf8IsRefused(self):
        weights = f"{self.folder}/w\udcff"  # the byte 0xff
        _, err = self.compile(self.tinyModel(), "--weights-file", weights, "-o", self.folder / "exe", code=1)
        self.assertIn("expected a name in UTF-8 for --weights-file, found byte 0xff", err)
        self.assertFalse(os.path.exists(weights))

    def testAFailedCompilationLeavesNoWeights(self):
        new = self.folder / "new.weights"
        self.compile(self.tinyModel(), "--weights-file", new, "-o", self.folder / "no/such", code=1)
        self.assertFalse(new.exists())
        _, err = self.compile(self.tinyModel(), "--weights-file", self.folder / "no/such", "-o", self.folder / "exe", code=1)
        self.assertIn("no/such: expected a folder that can be written to", err)
        self.assertEqual([p.name for p in self.folder.iterdir() if ".tmp-" in p.name], [])


if __name__ == "__main__":
    unittest.main()
