// SPDX-License-Identifier: Apache-2.0
// Measures matmul kernels next to the machine's limits, interleaved in one run, on one thread:
//   matmul_bench [decode|prefill] [FORMATS...] [isa=avx2|avx512|avx512bf16|amx] [schedule=...] [NAME=N...]
// NAME: rows, k, n, cols, rpt.
#include "test/execute/MatmulCase.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fmt/format.h>
#include <immintrin.h>
#include <sys/mman.h>

namespace sinter::test {
namespace {

/// Of this thread alone: other work on the machine does not count.
double seconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec + 1e-9 * time.tv_nsec;
}

/// Bytes a second, four streams.
__attribute__((target("avx2"))) double readOnce(const char *data, size_t size) {
  double start = seconds();
  size_t quarter = size / 4 / 256 * 256;
  __m256i sum[8] = {};
  for (size_t i = 0; i < quarter; i += 64)
    for (int s = 0; s < 4; ++s) {
      auto *from = reinterpret_cast<const __m256i *>(data + s * quarter + i);
      sum[2 * s] = _mm256_xor_si256(sum[2 * s], _mm256_loadu_si256(from));
      sum[2 * s + 1] = _mm256_xor_si256(sum[2 * s + 1], _mm256_loadu_si256(from + 1));
    }
  for (int i = 1; i < 8; ++i)
    sum[0] = _mm256_xor_si256(sum[0], sum[i]);
  volatile int sink = _mm256_extract_epi32(sum[0], 0);
  (void)sink;
  return 4 * quarter / (seconds() - start);
}

__attribute__((target("avx512f,avx512vnni,avx512bw"))) double peak512(bool integers) {
  constexpr int turns = 200000, n = 14;
  __m512 f[n];
  __m512i v[n];
  for (int i = 0; i < n; ++i)
    f[i] = _mm512_set1_ps(i), v[i] = _mm512_set1_epi32(i);
  __m512 a = _mm512_set1_ps(1e-9f);
  __m512i w = _mm512_set1_epi8(1);
  double start = seconds();
  for (int t = 0; t < turns; ++t)
    for (int i = 0; i < n; ++i)
      if (integers)
        asm("vpdpbusd %1, %1, %0" : "+v"(v[i]) : "v"(w));
      else
        asm("vfmadd231ps %1, %1, %0" : "+v"(f[i]) : "v"(a));
  double time = seconds() - start;
  for (int i = 1; i < n; ++i)
    f[0] = _mm512_add_ps(f[0], f[i]), v[0] = _mm512_add_epi32(v[0], v[i]);
  volatile float sink = _mm512_cvtss_f32(f[0]) + _mm512_cvtsi512_si32(v[0]);
  (void)sink;
  return double(turns) * n * (integers ? 128 : 32) / time;
}

/// Integers: maddubs, madd and a 32-bit add.
__attribute__((target("avx2,fma"))) double peak256(bool integers) {
  constexpr int turns = 200000, n = 12;
  __m256 f[n];
  __m256i v[n];
  for (int i = 0; i < n; ++i)
    f[i] = _mm256_set1_ps(i), v[i] = _mm256_set1_epi32(i);
  __m256 a = _mm256_set1_ps(1e-9f);
  __m256i w = _mm256_set1_epi8(1);
  double start = seconds();
  for (int t = 0; t < turns; ++t)
    for (int i = 0; i < n; ++i)
      if (integers)
        asm("vpmaddubsw %1, %1, %%ymm15; vpmaddwd %1, %%ymm15, %%ymm15; vpaddd %%ymm15, %0, %0"
            : "+x"(v[i])
            : "x"(w)
            : "xmm15");
      else
        asm("vfmadd231ps %1, %1, %0" : "+x"(f[i]) : "x"(a));
  double time = seconds() - start;
  for (int i = 1; i < n; ++i)
    f[0] = _mm256_add_ps(f[0], f[i]), v[0] = _mm256_add_epi32(v[0], v[i]);
  volatile float sink = _mm256_cvtss_f32(f[0]) + _mm256_extract_epi32(v[0], 0);
  (void)sink;
  return double(turns) * n * (integers ? 64 : 16) / time;
}

struct Options {
  bool decode = true;
  std::vector<std::string> formats;
  std::string isa = "avx512", schedule;
  int64_t rows = 1, k = 576, n = 0, columns = 0, rowsPerTile = 0;
  int weights = 1;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void measure(const Options &o, const std::string &format, cpu::Isa isa) {
  MatmulCase c{.format = format, .rows = o.rows, .outputs = o.n, .inputs = o.k, .weights = o.weights};
  bool isFloat = format == "f32" || format == "f16" || format == "bf16";
  c.columnsPerTile = o.columns;
  c.rowsPerTile = o.rowsPerTile;
  c.schedule = fmt::format("columns_per_tile = {}, rows_per_tile = {}", o.columns, o.rowsPerTile);
  if (!o.schedule.empty())
    c.schedule += ", " + o.schedule;
  if (!o.decode && !isFloat)
    c.left = LeftKind::Q8;
  if (getenv("ASSEMBLY")) {
    fmt::print("{}\n", assemblyOf(c.text(), isa));
    return;
  }
  KernelRunner runner(c.text(), isa);
  if (!runner)
    return;
  MatmulData data(c, 1);
  sinter_kernel kernel = runner.find("matmul");
  std::vector<void *> buffers = {data.leftBytes.data()};
  for (AlignedBytes &weight : data.packed) {
    madvise(reinterpret_cast<void *>((reinterpret_cast<uintptr_t>(weight.data()) + 4095) / 4096 * 4096),
            weight.size() - 4096, MADV_HUGEPAGE);
    buffers.push_back(weight.data());
  }
  for (AlignedBytes &output : data.outputs)
    buffers.push_back(output.data());
  sinter_step step{};
  step.rows = c.rows;
  AlignedBytes scratch(runner.scratchBytes("matmul"));
  sinter_call call{buffers.data(), &step, scratch.data()};
  std::vector<double> times, limits;
  double flops = 2.0 * c.rows * c.outputs * c.inputs * c.weights;
  int repeat = std::clamp<int>(flops > 0 && !o.decode ? 4e9 / flops : 1, 1, 50);
  for (int round = 0; round < 21; ++round) {
    double start = seconds();
    for (int i = 0; i < repeat; ++i)
      kernel(&call, 0, c.tiles());
    times.push_back((seconds() - start) / repeat);
    if (o.decode)
      limits.push_back(readOnce(data.packed[0].data(), data.packed[0].size()));
    else
      limits.push_back(isa == cpu::Isa::Avx2 ? peak256(!isFloat) : peak512(!isFloat));
  }
  double best = *std::min_element(times.begin(), times.end());
  if (o.decode) {
    double bytes = data.weightBytes(), limit = median(limits);
    fmt::print("{:6} {:6} rows {:3} {:7.1f} MB  {:6.1f} GB/s (best {:.1f}), read {:6.1f} GB/s: {:4.0f}%\n",
               o.isa, format, c.rows, bytes / 1e6, bytes / median(times) / 1e9, bytes / best / 1e9,
               limit / 1e9, bytes / median(times) / limit * 100);
  } else {
    double limit = *std::max_element(limits.begin(), limits.end());
    fmt::print("{:6} {:6} {}x{}x{}  {:7.1f} GOP/s (best {:.1f}), peak {:7.1f}: {:4.0f}%\n", o.isa, format,
               c.rows, c.outputs, c.inputs, flops / median(times) / 1e9, flops / best / 1e9, limit / 1e9,
               flops / best / limit * 100);
  }
  std::fflush(stdout);
}

} // namespace
} // namespace sinter::test

int main(int argc, char **argv) {
  using namespace sinter::test;
  Options o;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    size_t equals = word.find('=');
    std::string key = word.substr(0, equals),
                value = equals == std::string::npos ? "" : word.substr(equals + 1);
    if (word == "decode" || word == "prefill")
      o.decode = word == "decode";
    else if (key == "isa")
      o.isa = value;
    else if (key == "schedule")
      o.schedule = value;
    else if (key == "rows")
      o.rows = std::stoll(value);
    else if (key == "k")
      o.k = std::stoll(value);
    else if (key == "n")
      o.n = std::stoll(value);
    else if (key == "cols")
      o.columns = std::stoll(value);
    else if (key == "rpt")
      o.rowsPerTile = std::stoll(value);
    else if (key == "weights")
      o.weights = std::stoi(value);
    else
      o.formats.push_back(word);
  }
  if (!o.decode && o.rows == 1)
    o.rows = 512;
  if (!o.decode && !o.rowsPerTile)
    o.rowsPerTile = 128;
  if (!o.columns)
    o.columns = 64;
  if (!o.n)
    o.n = o.decode ? 98304 : 576;
  std::optional<sinter::cpu::Isa> isa = sinter::cpu::isaNamed(o.isa);
  if (!isa) {
    fmt::print(stderr, "expected isa=avx2, avx512, avx512bf16 or amx, found {}\n", o.isa);
    return 2;
  }
  for (const std::string &format : o.formats)
    measure(o, format, *isa);
}
