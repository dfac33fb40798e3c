// SPDX-License-Identifier: Apache-2.0
// The dialect of kernels: what one launch computes, fused, and how it is tiled. The page of reasons is
// docs/dialects/kernel-reasons.md.
#ifndef SINTER_DIALECTS_KERNEL_KERNEL_TD
#define SINTER_DIALECTS_KERNEL_KERNEL_TD

include "mlir/IR/OpBase.td"

def Kernel_Dialect : Dialect {
  let name = "kernel";
  let cppNamespace = "::sinter::kernel";
  let summary = "fused kernels with schedules, and the launches that make a step";
  let description = [{
    A `kernel.func` is one kernel: its arguments are buffers in the order of the launch, its body holds one
    *anchor* (`kernel.matmul`, `kernel.attention`, `kernel.rows`) whose regions hold the code fused into it.
    A `kernel.entry` is a step: a list of `kernel.launch`. Weight bytes never enter the IR.

    Regions compute on f32 vectors of a whole row or of a group of neighbouring columns with `arith`, `math`
    and `vector`; `kernel.load`, `kernel.store` and their like touch buffers and convert element types.
    Two arguments of one launch never overlap; what is updated in place is one argument.
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
}

#endif // SINTER_DIALECTS_KERNEL_KERNEL_TD
