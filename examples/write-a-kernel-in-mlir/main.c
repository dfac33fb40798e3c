/* SPDX-License-Identifier: Apache-2.0 */
/* Calls softmax.mlir's kernel and checks it against the C library. */
#include "kernels.h"
#include <math.h>
#include <stdio.h>

enum { ROWS = 3, COLUMNS = 1000 };
static float x[ROWS * COLUMNS], bias[COLUMNS], y[ROWS * COLUMNS];

int main(void) {
  for (int i = 0; i < ROWS * COLUMNS; ++i)
    x[i] = 8 * sinf((float)i);
  for (int i = 0; i < COLUMNS; ++i)
    bias[i] = cosf((float)i);

  softmax(x, bias, y, ROWS);

  double worst = 0;
  for (int row = 0; row < ROWS; ++row) {
    double sum = 0;
    for (int i = 0; i < COLUMNS; ++i)
      sum += exp((double)x[row * COLUMNS + i] + bias[i]);
    for (int i = 0; i < COLUMNS; ++i)
      worst = fmax(worst, fabs(y[row * COLUMNS + i] - exp((double)x[row * COLUMNS + i] + bias[i]) / sum));
  }
  printf("largest difference from double: %.2g\n", worst);
  return worst < 1e-7 ? 0 : 1;
}
