/* SPDX-License-Identifier: Apache-2.0 */
/* Launches the generated kernel through the CUDA driver's interface and compares it with loops in double. `run` beside this
 * file compiles both; kernels.h, which `sinter kernel` writes, says what the kernel takes and how it is launched.
 *   main DRIVER FOLDER     DRIVER: libcuda.so.1, or the emulator's library; FOLDER: with the PTX */
#include "kernels.h"
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is used of <cuda.h>, so that no CUDA toolkit is needed. */
typedef unsigned long long CUdeviceptr;
enum { MAJOR = 75, MINOR = 76, DYNAMIC_SHARED = 8 };
static int (*cuInit)(unsigned), (*cuDeviceGet)(int *, int), (*cuDeviceGetAttribute)(int *, int, int),
    (*cuDevicePrimaryCtxRetain)(void **, int), (*cuCtxSetCurrent)(void *), (*cuModuleLoadData)(void **, const void *),
    (*cuModuleGetFunction)(void **, void *, const char *), (*cuFuncSetAttribute)(void *, int, int),
    (*cuMemAlloc)(CUdeviceptr *, size_t), (*cuMemcpyHtoD)(CUdeviceptr, const void *, size_t),
    (*cuMemcpyDtoH)(void *, CUdeviceptr, size_t), (*cuGetErrorString)(int, const char **),
    (*cuLaunchKernel)(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **),
    (*cuTensorMapEncodeTiled)(void *, int, unsigned, void *, const uint64_t *, const uint64_t *, const uint32_t *, const uint32_t *, int,
                              int, int, int);

static void check(int status, const char *what) {
  const char *message = "?";
  if (!status)
    return;
  if (cuGetErrorString)
    cuGetErrorString(status, &message);
  fprintf(stderr, "error: %s: %s\n", what, message);
  exit(1);
}

static void openDriver(const char *path) {
  void *library = dlopen(path, RTLD_NOW);
  if (!library)
    fprintf(stderr, "error: %s\n", dlerror()), exit(1);
#define FIND(function, symbol)                                                                                         \
  if (!(*(void **)&function = dlsym(library, symbol)))                                                                 \
  fprintf(stderr, "error: expected %s in %s\n", symbol, path), exit(1)
  FIND(cuInit, "cuInit");
  FIND(cuDeviceGet, "cuDeviceGet");
  FIND(cuDeviceGetAttribute, "cuDeviceGetAttribute");
  FIND(cuDevicePrimaryCtxRetain, "cuDevicePrimaryCtxRetain");
  FIND(cuCtxSetCurrent, "cuCtxSetCurrent");
  FIND(cuModuleLoadData, "cuModuleLoadData");
  FIND(cuModuleGetFunction, "cuModuleGetFunction");
  FIND(cuFuncSetAttribute, "cuFuncSetAttribute");
  FIND(cuMemAlloc, "cuMemAlloc_v2");
  FIND(cuMemcpyHtoD, "cuMemcpyHtoD_v2");
  FIND(cuMemcpyDtoH, "cuMemcpyDtoH_v2");
  FIND(cuGetErrorString, "cuGetErrorString");
  FIND(cuLaunchKernel, "cuLaunchKernel");
  *(void **)&cuTensorMapEncodeTiled = dlsym(library, "cuTensorMapEncodeTiled"); /* Hopper needs it, drivers before 12 lack it */
}

static char *readText(const char *folder, const char *name) {
  char path[4096], *text = calloc(1, 4 << 20);
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "rb");
  if (!file || !fread(text, 1, (4 << 20) - 1, file))
    fprintf(stderr, "error: cannot read %s\n", path), exit(1);
  fclose(file);
  return text;
}

static CUdeviceptr onDevice(const void *data, size_t bytes) {
  CUdeviceptr place;
  check(cuMemAlloc(&place, bytes), "cuMemAlloc");
  check(cuMemcpyHtoD(place, data, bytes), "cuMemcpyHtoD");
  return place;
}

/* On Hopper the kernel copies from its cache by tensor maps, which come behind its buffers: 128 bytes, encoded by the driver. */
struct map {
  _Alignas(64) char bytes[128];
};

static struct map encode(struct sinter_tensor_map map, CUdeviceptr buffer, const struct sinter_step *step, uint64_t slots) {
  enum { F16 = 6, NOT_INTERLEAVED = 0, L2_128_BYTES = 2, ZEROS = 0 };
  const uint32_t each[3] = {1, 1, 1};
  struct map result;
  for (int i = 0; i < 3; ++i)
    if (!map.sizes[i])
      map.sizes[i] = (uint64_t)step->rows;
  if (map.of_cache) {
    map.sizes[1] *= (uint64_t)step->cache_tokens;
    map.sizes[2] = slots;
    map.strides[1] = (uint64_t)step->cache_slot_bytes;
  }
  const int swizzle = map.swizzle_bytes == 0 ? 0 : map.swizzle_bytes == 32 ? 1 : 3;
  check(cuTensorMapEncodeTiled(&result, F16, map.rank, (void *)buffer, map.sizes, map.strides, map.box, each, NOT_INTERLEAVED, swizzle,
                               L2_128_BYTES, ZEROS),
        "cuTensorMapEncodeTiled");
  return result;
}

enum { ROWS = 77, TOKENS = 80, HEADS = 4, KEY_HEADS = 2, SIZE = 64 }; /* a prompt of 77 tokens, room for 80 */
static float query[ROWS][HEADS][SIZE], output[ROWS][HEADS][SIZE];
static _Float16 keys[KEY_HEADS][TOKENS / 16][SIZE][16], values[KEY_HEADS][TOKENS][SIZE];

static float number(void) { return (float)rand() / (float)RAND_MAX * 4 - 2; }

static double worstDifference(void) {
  double worst = 0;
  for (int row = 0; row < ROWS; ++row)
    for (int head = 0; head < HEADS; ++head) {
      const int from = head / (HEADS / KEY_HEADS);
      double weights[ROWS], sum = 0;
      for (int t = 0; t <= row; ++t) {
        double score = 0;
        for (int d = 0; d < SIZE; ++d)
          score += query[row][head][d] * (double)keys[from][t / 16][d][t % 16];
        sum += weights[t] = exp(score * 0.125);
      }
      for (int d = 0; d < SIZE; ++d) {
        double expected = 0;
        for (int t = 0; t <= row; ++t)
          expected += weights[t] / sum * (double)values[from][t][d];
        worst = fmax(worst, fabs(expected - output[row][head][d]));
      }
    }
  return worst;
}

int main(int count, char **arguments) {
  if (count != 3)
    return fprintf(stderr, "usage: %s DRIVER FOLDER\n", arguments[0]), 2;
  int32_t positions[ROWS], slots[ROWS] = {0};
  for (int row = 0; row < ROWS; ++row) {
    positions[row] = row;
    for (int i = 0; i < HEADS * SIZE; ++i)
      query[row][0][i] = number();
    for (int i = 0; i < KEY_HEADS * SIZE; ++i) {
      keys[i / SIZE][row / 16][i % SIZE][row % 16] = (_Float16)number();
      values[i / SIZE][row][i % SIZE] = (_Float16)number();
    }
  }

  openDriver(arguments[1]);
  int device, major, minor;
  void *context, *module, *kernel;
  check(cuInit(0), "cuInit");
  check(cuDeviceGet(&device, 0), "cuDeviceGet");
  check(cuDeviceGetAttribute(&major, MAJOR, device), "cuDeviceGetAttribute");
  check(cuDeviceGetAttribute(&minor, MINOR, device), "cuDeviceGetAttribute");
  check(cuDevicePrimaryCtxRetain(&context, device), "cuDevicePrimaryCtxRetain");
  check(cuCtxSetCurrent(context), "cuCtxSetCurrent");
  const int hopper = major == 9 && minor == 0; /* code of sm_90a runs there and nowhere else, that of sm_80 on all newer ones */
  char *text = readText(arguments[2], hopper ? ATTENTION_SM_90A_FILE : ATTENTION_SM_80_FILE);
  const unsigned shared = hopper ? ATTENTION_SM_90A_SHARED_BYTES : ATTENTION_SM_80_SHARED_BYTES;
  check(cuModuleLoadData(&module, text), "cuModuleLoadData");
  check(cuModuleGetFunction(&kernel, module, hopper ? ATTENTION_SM_90A_FUNCTION : ATTENTION_SM_80_FUNCTION), "cuModuleGetFunction");
  check(cuFuncSetAttribute(kernel, DYNAMIC_SHARED, (int)shared), "cuFuncSetAttribute");
  free(text);

  struct sinter_step step; /* in device memory, as all that it points to */
  memset(&step, 0, sizeof step);
  step.rows = ROWS;
  step.positions = (const int32_t *)onDevice(positions, sizeof positions);
  step.slots = (const int32_t *)onDevice(slots, sizeof slots);
  step.keys = ROWS;
  step.cache_tokens = TOKENS;
  step.cache_slot_bytes = sizeof keys;
  CUdeviceptr stepAt = onDevice(&step, sizeof step), queryAt = onDevice(query, sizeof query), keysAt = onDevice(keys, sizeof keys),
              valuesAt = onDevice(values, sizeof values), outputAt = onDevice(output, sizeof output);
  CUdeviceptr buffers[] = {queryAt, keysAt, valuesAt, outputAt};
  const struct sinter_tensor_map maps[] = ATTENTION_SM_90A_TENSOR_MAPS;
  struct map encoded[sizeof maps / sizeof *maps];
  void *parameters[1 + sizeof buffers / sizeof *buffers + sizeof maps / sizeof *maps] = {&stepAt};
  size_t parameterCount = 1;
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; ++i)
    parameters[parameterCount++] = &buffers[i];
  for (size_t i = 0; hopper && i < sizeof maps / sizeof *maps; ++i) {
    encoded[i] = encode(maps[i], buffers[maps[i].buffer], &step, 1);
    parameters[parameterCount++] = &encoded[i];
  }
  const unsigned tiles = hopper ? ATTENTION_SM_90A_TILES(ROWS, ROWS) : ATTENTION_SM_80_TILES(ROWS, ROWS),
                 threads = hopper ? ATTENTION_SM_90A_THREADS : ATTENTION_SM_80_THREADS;
  check(cuLaunchKernel(kernel, tiles, 1, 1, threads, 1, 1, shared, NULL, parameters, NULL), "cuLaunchKernel");
  check(cuMemcpyDtoH(output, outputAt, sizeof output), "cuMemcpyDtoH"); /* waits for the kernel */

  const double worst = worstDifference();
  printf("sm_%d%d: %u blocks of %u threads, largest difference from double: %.5f\n", major, minor, tiles, threads, worst);
  return worst < 0.02 ? 0 : 1; /* queries and weights are rounded to f16 */
}
