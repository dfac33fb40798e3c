// SPDX-License-Identifier: Apache-2.0
// A block reduction with shuffles, shared memory and an atomic; and a softmax of rows with fast exponentials.
extern "C" __global__ void sum(const float *x, float *total, int n) {
  __shared__ float parts[32];
  float value = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    value += x[i];
  for (int step = 16; step; step /= 2)
    value += __shfl_down_sync(0xffffffff, value, step);
  if (threadIdx.x % 32 == 0)
    parts[threadIdx.x / 32] = value;
  __syncthreads();
  if (threadIdx.x < 32) {
    value = threadIdx.x < blockDim.x / 32 ? parts[threadIdx.x] : 0;
    for (int step = 16; step; step /= 2)
      value += __shfl_down_sync(0xffffffff, value, step);
    if (threadIdx.x == 0)
      atomicAdd(total, value);
  }
}

extern "C" __global__ void softmax(const float *x, float *y, int columns) {
  extern __shared__ float row[];
  const float *in = x + static_cast<long>(blockIdx.x) * columns;
  float largest = -1e30f;
  for (int i = threadIdx.x; i < columns; i += 32)
    largest = fmaxf(largest, row[i] = in[i]);
  for (int step = 16; step; step /= 2)
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffff, largest, step));
  float sum = 0;
  for (int i = threadIdx.x; i < columns; i += 32)
    sum += row[i] = __expf(row[i] - largest);
  for (int step = 16; step; step /= 2)
    sum += __shfl_xor_sync(0xffffffff, sum, step);
  for (int i = threadIdx.x; i < columns; i += 32)
    y[static_cast<long>(blockIdx.x) * columns + i] = row[i] / sum;
}
