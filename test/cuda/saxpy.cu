// SPDX-License-Identifier: Apache-2.0
// General C++ on the device: division, fp64, a loop with divergence, a call that is not inlined, printf.
#include <cstdio>

__device__ __noinline__ float weight(float x, int power) {
  float result = 1.0f;
  for (int i = 0; i < power; ++i)
    result *= x;
  return result;
}

extern "C" __global__ void saxpy(const float *x, const float *y, float *out, float a, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  const double precise = static_cast<double>(x[i]) / 3.0 + i / 7 + i % 5;
  out[i] = a * weight(x[i], i % 4) + y[i] + static_cast<float>(precise);
  if (i < 0)
    printf("never: %d %f\n", i, x[i]);
}
