#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sinter compile --lib: a model called from C, linked and opened, and from Python."""
import ctypes
import json
import os
import re
import unittest

from products import COMPILERS, ProductTest, run

PROGRAM = r"""
#include "tiny.h"
#include <stdio.h>
int main(int argc, char **argv) {
  (void)argc, (void)argv;
  char *error = NULL;
  struct sinter_open_options options = {.threads = 1};
  sinter_session *session = sinter_open(&options, &error);
  if (!session)
    return fprintf(stderr, "%s\n", error), 1;
  int32_t ids[64] = {5, 6, 7};
  static float logprobs[1 << 18];
  for (int64_t i = 0, count = 3; i < 8; ++i, count = 1) {
    if (sinter_step(session, ids, count) || sinter_log_probabilities(session, logprobs))
      return fprintf(stderr, "%s\n", sinter_error(session)), 1;
    ids[0] = (int32_t)sinter_sample(session, &(struct sinter_sample_options){.temperature = 0, .top_k = -1, .top_p = -1, .min_p = -1, .repeat_last_n = -2});
    printf("%d %.9g\n", ids[0], logprobs[ids[0]]);
  }
  sinter_close(session);
  return 0;
}
"""


class OpenOptions(ctypes.Structure):
    _fields_ = [("threads", ctypes.c_int32), ("context", ctypes.c_int64), ("kv_type", ctypes.c_char_p),
                ("weights_file", ctypes.c_char_p), ("device", ctypes.c_char_p), ("check_weights", ctypes.c_int32)]


class Model:
    """A library in this process."""

    def __init__(self, path):
        self.c = ctypes.CDLL(str(path), mode=os.RTLD_LOCAL | os.RTLD_NOW)
        self.c.sinter_open.restype = ctypes.c_void_p
        self.c.sinter_vocabulary.restype = ctypes.c_int64
        self.c.sinter_error.restype = ctypes.c_char_p
        self.c.sinter_detokenize.restype = ctypes.c_int64
        error = ctypes.c_char_p()
        session = self.c.sinter_open(ctypes.byref(OpenOptions(threads=1)), ctypes.byref(error))
        assert session, error.value
        self.session = ctypes.c_void_p(session)

    def logprobs(self, ids):
        assert self.c.sinter_step(self.session, (ctypes.c_int32 * len(ids))(*ids), ctypes.c_int64(len(ids))) == 0
        out = (ctypes.c_float * self.c.sinter_vocabulary(self.session))()
        assert self.c.sinter_log_probabilities(self.session, out) == 0
        return list(out)


class LibraryTest(ProductTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.library = cls.folder / "tiny"
        cls.compile(cls.tinyModel(), "--lib", "-o", cls.library)
        cls.program = cls.folder / "main.c"
        cls.program.write_text(PROGRAM)
        cls.compile(cls.tinyModel(), "-o", cls.folder / "exe")
        lines, _ = run(cls.folder / "exe", "--prompt-tokens", "5,6,7", "-n", 8, "--temp", 0, "--ignore-eos", "--json",
                       "-t", 1, "--repeat-penalty", 1)
        cls.expected = [(line["token"], line["logprob"]) for line in map(json.loads, lines.splitlines())]

    def check(self, out):
        found = [(int(token), float(logprob)) for token, logprob in map(str.split, out.splitlines())]
        self.assertEqual([token for token, _ in found], [token for token, _ in self.expected])
        for (_, ours), (_, theirs) in zip(found, self.expected):
            self.assertAlmostEqual(ours, theirs, places=5)

    def testTheFolderNamesTheFiles(self):
        self.assertEqual(sorted(p.name for p in self.library.iterdir()), ["libtiny.a", "libtiny.so", "tiny.h"])

    def testStaticLibraryLinksWithTheLineOfTheHeader(self):
        self.assertIn("cc main.c DIR/libtiny.a -lm -o main", (self.library / "tiny.h").read_text())
        for compiler in COMPILERS:
            main = self.folder / f"static-{compiler}"
            run(compiler, "-Wall", "-Werror", self.program, "-I", self.library, self.library / "libtiny.a", "-lm", "-o", main)
            self.check(run(main)[0])
            self.assertNotIn("libtiny", run("ldd", main)[0])

    def testFullyStaticProgramsWork(self):
        main = self.folder / "fully-static"
        run(COMPILERS[0], "-static", self.program, "-I", self.library, self.library / "libtiny.a", "-lm", "-o", main)
        self.check(run(main)[0])

    def testSharedLibraryLinksWithTheLineOfTheHeader(self):
        for compiler in COMPILERS:
            main = self.folder / f"shared-{compiler}"
            run(compiler, self.program, "-I", self.library, "-L", self.library, "-ltiny", f"-Wl,-rpath,{self.library}", "-o", main)
            self.check(run(main)[0])
            self.assertIn("libtiny.so", run("ldd", main)[0])

    def testHeaderIsGoodC99AndCxx(self):
        for language, standard in (("c", "c99"), ("c++", "c++11")):
            run("gcc", "-x", language, f"-std={standard}", "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only",
                self.library / "tiny.h")

    def testOnlyTheFunctionsOfTheHeaderAreDefinedForOthers(self):
        declared = set(re.findall(r"SINTER_API [^;]*?\b(sinter_\w+)\(", (self.library / "tiny.h").read_text()))
        self.assertIn("sinter_log_probabilities", declared)
        exported = {line.split()[-1] for line in run("nm", "-D", "--defined-only", self.library / "libtiny.so")[0].splitlines()}
        self.assertEqual(exported, declared)
        members = run("nm", "-g", "--defined-only", self.library / "libtiny.a")[0]
        self.assertEqual(set(re.findall(r" [A-Z] (\S+)", members)), declared | {"sinter_weights"})

    def testTwoModelsLiveInOneProcess(self):
        other = self.folder / "other"
        self.compile(self.tinyModel("gpt2"), "--lib", "-o", other)
        one, two, again = (Model(p) for p in (self.library / "libtiny.so", other / "libother.so", self.library / "libtiny.so"))
        first, second = one.logprobs([5, 6, 7]), two.logprobs([5, 6, 7])
        self.assertEqual(max(range(len(first)), key=first.__getitem__), self.expected[0][0])
        self.assertNotEqual(first[:16], second[:16])
        self.assertEqual(again.logprobs([5, 6, 7]), first)   # sessions of one library share nothing that changes
        text = ctypes.create_string_buffer(64)
        count = one.c.sinter_detokenize(one.session, (ctypes.c_int32 * 1)(70), ctypes.c_int64(1), text, ctypes.c_size_t(64))
        self.assertGreater(count, 0)
        for model in (one, two, again):
            model.c.sinter_close(model.session)

    def testFailuresLeaveNothing(self):
        _, err = self.compile(self.folder / "missing.gguf", "--lib", "-o", self.folder / "new", code=1)
        self.assertIn("missing.gguf", err)
        self.assertFalse((self.folder / "new").exists())
        _, err = self.compile(self.tinyModel(), "--lib", "-o", self.folder / "no/such", code=1)
        self.assertIn("no/such: expected a folder to write to, or one that can be made", err)
        _, err = self.compile(self.tinyModel(), "--lib", "-o", self.program, code=1)
        self.assertIn("expected a folder", err)
        _, err = self.compile(self.tinyModel(), "--lib", "--emit=fuse", "-o", self.folder / "new", code=2)
        self.assertIn("expected --lib or --emit, found both", err)


if __name__ == "__main__":
    unittest.main()
