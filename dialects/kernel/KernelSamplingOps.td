// SPDX-License-Identifier: Apache-2.0
// Anchors that draw tokens from logits where they are. What they are told about it is struct sinter_sampling of
// runtime/abi.h, in the step.
#ifndef SINTER_DIALECTS_KERNEL_KERNELSAMPLINGOPS_TD
#define SINTER_DIALECTS_KERNEL_KERNELSAMPLINGOPS_TD

include "dialects/kernel/KernelTypes.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

// Bias and penalties of step.adjustments change the logits before.
def Kernel_PeaksOp : Kernel_Anchor<"peaks"> {
  let summary = "peaks[row, c] = the greatest of logits c * chunk to (c + 1) * chunk - 1; not a number if one of them is not";
  let description = [{
    Chunks have samplingChunk() logits. What looks for large logits passes over chunks whose peak is too small.
  }];
  let arguments = (ins Arg<Kernel_RowsType, "", [MemRead, MemWrite]>:$logits, Arg<Kernel_RowsType, "", [MemWrite]>:$peaks);
  let assemblyFormat = "`logits` `(` $logits `:` type($logits) `)` `peaks` `(` $peaks `:` type($peaks) `)` attr-dict";
  let hasVerifier = 1;
}

def Kernel_SampleOp : Kernel_Anchor<"sample"> {
  let summary = "drawn[d] = a token drawn from the selected row of logits that draw d of the step names";
  let description = [{
    By the filters and the place in the sequence of random numbers that step.sampling[d] has; -1 where a peak is not a
    number, or the greatest is infinite. Weights are integers: the token depends on the logits and on nothing else.
  }];
  let arguments = (ins Kernel_RowsType:$logits, Kernel_RowsType:$peaks, Arg<Kernel_RowsType, "", [MemWrite]>:$drawn);
  let assemblyFormat = [{
    `logits` `(` $logits `:` type($logits) `)` `peaks` `(` $peaks `:` type($peaks) `)`
    `drawn` `(` $drawn `:` type($drawn) `)` attr-dict
  }];
  let hasVerifier = 1;
}

#endif // SINTER_DIALECTS_KERNEL_KERNELSAMPLINGOPS_TD
