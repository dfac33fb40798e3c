/* SPDX-License-Identifier: Apache-2.0 */
/* Calls the generated kernel and compares it with three loops. `run` beside this file compiles both; kernels.h, which
 * `sinter kernel` writes, says what each function takes. */
#include "kernels.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROWS = 5, IN = 512, OUT = 256 };
static float x[ROWS * IN], numbers[OUT * IN], y[ROWS * OUT];

int main(void) {
  for (int i = 0; i < ROWS * IN; ++i)
    x[i] = (float)rand() / RAND_MAX - 0.5f;
  for (int i = 0; i < OUT * IN; ++i)
    numbers[i] = (float)rand() / RAND_MAX - 0.5f;

  void *w = aligned_alloc(64, MATMUL_W_BYTES);
  void *workspace = aligned_alloc(64, MATMUL_WORKSPACE_BYTES);
  matmul_round_w(numbers, w);
  matmul(x, w, y, ROWS, workspace);

  float worst = 0;
  for (int row = 0; row < ROWS; ++row)
    for (int column = 0; column < OUT; ++column) {
      float sum = 0;
      for (int k = 0; k < IN; ++k)
        sum += x[row * IN + k] * numbers[column * IN + k];
      worst = fmaxf(worst, fabsf(sum - y[row * OUT + column]));
    }
  printf("largest difference from float32: %.4f\n", worst);
  free(workspace);
  free(w);
  return worst < 0.05f ? 0 : 1; /* 8 bits: a sum of 512 products errs by about sqrt(512) / 6 / 255 */
}
