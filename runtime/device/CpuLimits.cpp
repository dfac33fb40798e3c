// SPDX-License-Identifier: Apache-2.0
// The loops behind --bench's shares: eight read streams, and twelve (AMX: four) independent accumulators,
// which is latency times throughput of the multiply-add of every processor in question.
#include "runtime/device/CpuLimits.h"
#include "runtime/abi.h"
#include "runtime/device/ThreadTeam.h"
#include <algorithm>
#include <chrono>
#include <cstring>
#include <immintrin.h>
#include <vector>

namespace sinter::device {

uint64_t readStreams(const std::byte *data, size_t bytes) {
  constexpr int streams = 8;
  const size_t part = bytes / streams / 64 * 64;
  __m256i sum[streams] = {};
  for (size_t at = 0; at < part; at += 64)
    for (int s = 0; s < streams; ++s) {
      const auto *line = reinterpret_cast<const __m256i *>(data + size_t(s) * part + at);
      sum[s] =
          _mm256_xor_si256(sum[s], _mm256_xor_si256(_mm256_loadu_si256(line), _mm256_loadu_si256(line + 1)));
    }
  uint64_t result = 0;
  for (const __m256i &each : sum) {
    uint64_t words[4];
    std::memcpy(words, &each, sizeof words);
    result ^= words[0] ^ words[1] ^ words[2] ^ words[3];
  }
  return result;
}

namespace {

constexpr int accumulators = 12;

double multiplyAdd256(int64_t rounds, float *sink) {
  __m256 sum[accumulators] = {};
  __m256 a = _mm256_set1_ps(1.0f), b = _mm256_set1_ps(0.5f);
  for (int64_t i = 0; i < rounds; ++i) {
    __asm__ volatile("" : "+x"(a), "+x"(b)); // keeps the loop from being folded
    for (__m256 &each : sum)
      each = _mm256_fmadd_ps(a, b, each);
  }
  for (const __m256 &each : sum)
    *sink += _mm256_cvtss_f32(each);
  return double(rounds) * accumulators * 8 * 2;
}

__attribute__((target("avx512f"))) double multiplyAdd512(int64_t rounds, float *sink) {
  __m512 sum[accumulators] = {};
  __m512 a = _mm512_set1_ps(1.0f), b = _mm512_set1_ps(0.5f);
  for (int64_t i = 0; i < rounds; ++i) {
    __asm__ volatile("" : "+v"(a), "+v"(b));
    for (__m512 &each : sum)
      each = _mm512_fmadd_ps(a, b, each);
  }
  for (const __m512 &each : sum)
    *sink += _mm512_cvtss_f32(each);
  return double(rounds) * accumulators * 16 * 2;
}

/// The configuration of eight tiles of 16 rows of 64 bytes (Intel SDM volume 1, 18.2).
struct alignas(64) TileConfig {
  uint8_t palette = 1, startRow = 0, reserved[14] = {};
  uint16_t columnBytes[16] = {};
  uint8_t rows[16] = {};
};

__attribute__((target("amx-tile,amx-bf16"))) double multiplyAddTiles(int64_t rounds) {
  TileConfig config;
  for (int i = 0; i < 8; ++i) {
    config.columnBytes[i] = 64;
    config.rows[i] = 16;
  }
  __asm__ volatile("" : : : "memory"); // some compilers drop stores that only the next line reads
  _tile_loadconfig(&config);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  for (int64_t i = 0; i < rounds; ++i) {
    _tile_dpbf16ps(0, 4, 5);
    _tile_dpbf16ps(1, 4, 5);
    _tile_dpbf16ps(2, 4, 5);
    _tile_dpbf16ps(3, 4, 5);
  }
  _tile_release();
  return double(rounds) * 4 * 16 * 16 * 32 * 2;
}

/// Does `rounds` rounds; gives the number of operations. `sink` takes a result.
double multiplyAdd(int isa, int64_t rounds, float *sink) {
  switch (isa) {
  case SINTER_ISA_AMX:
    return multiplyAddTiles(rounds);
  case SINTER_ISA_AVX512BF16:
  case SINTER_ISA_AVX512:
    return multiplyAdd512(rounds, sink);
  default:
    return multiplyAdd256(rounds, sink);
  }
}

} // namespace

double measureFlopsPerSecond(ThreadTeam &team, int isa) {
  struct Work {
    int isa;
    std::vector<double> operations;
    std::vector<float> sinks;
  } work{isa, std::vector<double>(size_t(team.threads())), std::vector<float>(size_t(team.threads()))};
  const auto multiply = [](void *context, int thread) {
    Work &w = *static_cast<Work *>(context);
    w.operations[size_t(thread)] = multiplyAdd(w.isa, 2'000'000, &w.sinks[size_t(thread)]);
  };
  using Clock = std::chrono::steady_clock;
  double best = 0;
  // Threads that have just begun may share a core for some milliseconds.
  for (const auto end = Clock::now() + std::chrono::milliseconds(150); Clock::now() < end;) {
    const auto begin = Clock::now();
    team.run(multiply, &work);
    const double time = std::chrono::duration<double>(Clock::now() - begin).count();
    double operations = 0;
    for (double each : work.operations)
      operations += each;
    best = std::max(best, operations / time);
  }
  return best;
}

const char *multiplyAddKind(int isa) {
  switch (isa) {
  case SINTER_ISA_AMX:
    return "bf16 AMX";
  case SINTER_ISA_AVX512BF16:
  case SINTER_ISA_AVX512:
    return "f32 FMA, 512 bits";
  default:
    return "f32 FMA, 256 bits";
  }
}

} // namespace sinter::device
