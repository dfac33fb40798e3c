// SPDX-License-Identifier: Apache-2.0
// The interfaces of `lm` operations, and the sizes and costs that they speak of. Reference.h, Cost.h and
// Gradients.h have what works on whole graphs.
#ifndef SINTER_DIALECTS_LM_INTERFACES_H
#define SINTER_DIALECTS_LM_INTERFACES_H

#include "mlir/IR/OpDefinition.h"

namespace sinter::lm {

class Evaluation;
class Gradients;

/// The size of a step.
struct Step {
  int64_t rows = 1;              ///< tokens
  int64_t keys = 1;              ///< tokens that a row's attention sees, itself among them, before its window
  int64_t selected = 1;          ///< rows whose logits are wanted
  int64_t cacheElementBytes = 2; ///< of the cache, whose element type is chosen later
};

/// Operations and bytes of a step. Every byte counts once an operation: caches of the machine are not
/// modelled.
struct Cost {
  int64_t flops = 0; ///< a multiplication and an addition are two; exp, tanh, cos and sqrt count one each
  int64_t weightBytes = 0;  ///< read from parameters
  int64_t cacheBytes = 0;   ///< read from and written to keys and values of earlier tokens
  int64_t readBytes = 0;    ///< activations and ids
  int64_t writtenBytes = 0; ///< activations

  Cost &operator+=(const Cost &other);
  int64_t bytes() const { return weightBytes + cacheBytes + readBytes + writtenBytes; }
};

} // namespace sinter::lm

#include "dialects/lm/LmInterfaces.h.inc"

#endif // SINTER_DIALECTS_LM_INTERFACES_H
