# SPDX-License-Identifier: Apache-2.0
"""What the tests of the compiler's products share: running sinter, tiny models, C compilers. Standard library only."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
SINTER = pathlib.Path(os.environ.get("SINTER", ROOT / "build/bin/sinter"))
COMPILERS = [c for c in ("gcc", "clang-22") if shutil.which(c)]

# A kernel in MLIR: the rows of `in`, each times `by`.
SCALE = """
kernel.func @scale(%in: !kernel.rows<37xf32>, %by: !kernel.table<1x37xf32>, %out: !kernel.rows<37xf32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    %zero = arith.constant 0 : index
    %a = kernel.load %in[%row] : !kernel.rows<37xf32>, vector<37xf32>
    %b = kernel.load %by[%zero] : !kernel.table<1x37xf32>, vector<37xf32>
    %c = arith.mulf %a, %b : vector<37xf32>
    kernel.store %c, %out[%row] : vector<37xf32>, !kernel.rows<37xf32>
  }
}
"""


def run(*command, code=0, **options):
    """Runs a command and gives what it wrote to (stdout, stderr); another exit code than `code` is a failure."""
    done = subprocess.run([str(c) for c in command], capture_output=True, timeout=600, **options)
    out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    if done.returncode != code:
        raise AssertionError(f"expected exit code {code}, found {done.returncode}: {' '.join(map(str, command))}\n{out}{err}")
    return out, err


class ProductTest(unittest.TestCase):
    """Tests with a folder `self.folder` that all of a class share."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = pathlib.Path(cls.scratch.name)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    @classmethod
    def tinyModel(cls, arch="llama", variant="default"):
        path = cls.folder / f"{arch}-{variant}.gguf"
        if not path.exists():
            run(sys.executable, ROOT / "utils/make-tiny-model", arch, "--variant", variant, "--format", "gguf", "-o", path)
        return path

    @classmethod
    def compile(cls, *arguments, code=0, **options):
        return run(SINTER, "compile", *arguments, "-t", 1, code=code, **options)
