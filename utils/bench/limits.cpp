// SPDX-License-Identifier: Apache-2.0
// What this machine can do at best, measured beside the benchmarks: bytes read a second from a buffer of the
// weights' size, and f32 multiply-adds a second from registers. `limits MIB THREADS...` prints a JSON object
// a thread count.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <vector>

#ifdef __AVX512F__
constexpr int lanes = 16;
#else
constexpr int lanes = 8;
#endif
typedef float Vector __attribute__((vector_size(lanes * 4), aligned(lanes * 4)));
static volatile float sink;

/// The best of `tries` runs of work(thread) on all threads at once, in seconds.
static double best(int threads, int tries, const std::function<void(int)> &work) {
  double least = 1e30;
  for (int i = 0; i < tries; ++i) {
    std::atomic<int> ready = 0;
    std::vector<double> begin(threads), end(threads);
    std::vector<std::thread> team;
    auto now = [] {
      return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
    };
    for (int t = 0; t < threads; ++t)
      team.emplace_back([&, t] {
        ++ready;
        while (ready < threads) {
        }
        begin[t] = now();
        work(t);
        end[t] = now();
      });
    for (std::thread &each : team)
      each.join();
    double first = begin[0], last = end[0];
    for (int t = 1; t < threads; ++t) {
      first = begin[t] < first ? begin[t] : first;
      last = end[t] > last ? end[t] : last;
    }
    least = last - first < least ? last - first : least;
  }
  return least;
}

static void read(const Vector *from, size_t count) {
  Vector sums[8] = {};
  const size_t stream = count / 8; // eight interleaved streams, as memory likes it
  for (size_t i = 0; i < stream; ++i)
    for (int s = 0; s < 8; ++s)
      sums[s] += from[s * stream + i];
  for (int s = 1; s < 8; ++s)
    sums[0] += sums[s];
  sink = sums[0][0];
}

static void multiplyAdd(long count) {
  Vector sums[10], a, b;
  for (int i = 0; i < lanes; ++i)
    a[i] = 1.0f + 1e-7f * float(i), b[i] = 1e-7f * float(i);
  for (int s = 0; s < 10; ++s)
    sums[s] = a + float(s);
  for (long i = 0; i < count; ++i) {
#pragma clang loop unroll(full)
    for (int s = 0; s < 10; ++s) {
      sums[s] = sums[s] * a + b;
      asm volatile("" : "+v"(sums[s])); // in a register, as it is
    }
  }
  for (int s = 1; s < 10; ++s)
    sums[0] += sums[s];
  sink = sums[0][0];
}

int main(int argc, char **argv) {
  if (argc < 3)
    return fprintf(stderr, "usage: limits MIB THREADS...\n"), 2;
  const size_t bytes = size_t(atol(argv[1])) << 20;
  void *memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return perror("mmap"), 1;
  madvise(memory, bytes, MADV_HUGEPAGE);
  Vector *buffer = static_cast<Vector *>(memory);
  const size_t vectors = bytes / sizeof(Vector);
  for (size_t i = 0; i < vectors; ++i)
    buffer[i] = Vector{} + float(i % 7);
  for (int i = 2; i < argc; ++i) {
    const int threads = atoi(argv[i]);
    const size_t part = vectors / threads;
    const double seconds = best(threads, 9, [&](int t) { read(buffer + t * part, part); });
    const long count = 20000000;
    const double spent = best(threads, 5, [&](int) { multiplyAdd(count); });
    printf("{\"threads\":%d,\"read_gb_s\":%.2f,\"fma_gflop_s\":%.1f}\n", threads,
           double(part * threads * sizeof(Vector)) / seconds / 1e9,
           2.0 * lanes * 10 * double(count) * threads / spent / 1e9);
  }
}
