/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of kernels in plain C: what `sinter kernel` and `--emit=objects` make callable. A function is
 * launches on the caller's buffers, without a model, a device or threads. */
#ifndef SINTER_RUNTIME_DEVICE_FUNCTION_H
#define SINTER_RUNTIME_DEVICE_FUNCTION_H

#include "runtime/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A space beside those of enum sinter_space: an argument of the function; offset: its number. */
#define SINTER_SPACE_ARGUMENT 6

struct sinter_function {
  const struct sinter_launch *launches; /* buffers are arguments, or in the arena */
  uint64_t launch_count;
  const uint64_t *row_bytes; /* of each argument: distance of its rows; 0 where all rows share it */
  int64_t max_rows;          /* in one step, more rows are more steps; 0: any number */
};

/* Runs all launches for step->rows rows on the calling thread, with the best instruction set that machine and
 * function have. `arena` and `scratch` are aligned to 64 bytes. A step of more than max_rows rows is run in
 * parts, each with its share of tokens, positions and slots, and selects nothing. */
void sinter_run_function(const struct sinter_function *function, void *const *arguments,
                         const struct sinter_step *step, void *arena, void *scratch);

#ifdef __cplusplus
}
#endif

#endif /* SINTER_RUNTIME_DEVICE_FUNCTION_H */
