# SPDX-License-Identifier: Apache-2.0
# How lit runs the .mlir tests: `sinter-opt` and FileCheck, a file a test. `ctest -R lit` runs them all;
# one: build/venv/bin/lit -v build/test/dialects/kernel/ops.mlir
import os

import lit.formats

config.name = "sinter"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir"]
config.excludes = ["models", "execute"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.sinter_build, "test", "lit")
config.environment["PATH"] = os.pathsep.join(
    [os.path.join(config.sinter_build, "bin"), config.llvm_tools, config.environment["PATH"]])
