// SPDX-License-Identifier: Apache-2.0
// The inner loops of matmul kernels hold what they should, and nothing of them is spilled. Needs no machine
// that runs the code.
#include "test/execute/MatmulCase.h"

#include <climits>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <sstream>

namespace sinter::test {
namespace {

struct Loop {
  std::map<std::string, int> instructions;
  int stackAccesses = 0;
};

/// Loops without a label inside.
std::vector<Loop> innermostLoops(const std::string &assembly) {
  std::vector<std::string> lines;
  std::istringstream stream(assembly);
  for (std::string line; std::getline(stream, line);)
    lines.push_back(line);
  std::vector<Loop> loops;
  size_t label = 0;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].starts_with(".LBB"))
      label = i;
    std::istringstream words(lines[i]);
    std::string name, target;
    words >> name >> target;
    if (!name.starts_with("j") || !label || target.empty() ||
        lines[label].substr(0, lines[label].find(':')) != target)
      continue;
    Loop loop;
    for (size_t j = label + 1; j <= i; ++j) {
      std::istringstream body(lines[j]);
      std::string instruction;
      body >> instruction;
      if (instruction.starts_with("vfmadd"))
        instruction = "vfmadd"; // 132, 213 or 231
      ++loop.instructions[instruction];
      loop.stackAccesses += lines[j].find("rsp") != std::string::npos;
    }
    loops.push_back(loop);
  }
  return loops;
}

/// One of the innermost loops has `count` of an instruction and touches the stack `spills` times at most.
void expectLoop(const MatmulCase &c, cpu::Isa isa, const std::string &instruction, int count,
                int spills = 0) {
  int fewest = INT_MAX;
  for (Loop &loop : innermostLoops(assemblyOf(c.text(), isa)))
    if (loop.instructions[instruction] == count)
      fewest = std::min(fewest, loop.stackAccesses);
  std::string what = c.format + " " + cpu::nameOf(isa).str() + (c.rowsPerTile ? " prefill" : " decode");
  EXPECT_NE(fewest, INT_MAX) << "expected an inner loop of " << what << " with " << count << " "
                             << instruction;
  EXPECT_LE(fewest, spills) << "stack accesses in the inner loop of " << what;
}

MatmulCase prefill(const std::string &format) {
  MatmulCase c{.format = format, .outputs = 576, .inputs = 512};
  c.rowsPerTile = 96;
  c.columnsPerTile = 64;
  c.schedule = "rows_per_tile = 96, columns_per_tile = 64";
  if (!format.starts_with("f") && !format.starts_with("b"))
    c.left = LeftKind::Q8;
  return c;
}

TEST(MatmulAssembly, FloatTilesAreMultiplyAddsInRegisters) {
  // rows x registers x columns of K
  for (const char *format : {"f32", "f16"})
    expectLoop(prefill(format), cpu::Isa::Avx2, "vfmadd", 6 * 2 * 2);
  expectLoop(prefill("bf16"), cpu::Isa::Avx2, "vfmadd", 4 * 2 * 4);
  for (const char *format : {"f32", "f16", "bf16"})
    expectLoop(prefill(format), cpu::Isa::Avx512, "vfmadd", 12 * 2 * 2);
}

TEST(MatmulAssembly, QuantisedTilesAreIntegerDotProductsInRegisters) {
  // rows x registers x quads
  for (const char *format : {"q4_0", "q4_1", "q5_0", "q4_k", "q2_k"})
    expectLoop(prefill(format), cpu::Isa::Avx2, "vpmaddubsw", 3 * 2 * 2);
  expectLoop(prefill("q8_0"), cpu::Isa::Avx2, "vpmaddubsw", 4 * 2 * 2);
  for (const char *format : {"q8_0", "q4_0", "q4_1", "q5_0", "q4_k", "q6_k", "q2_k"})
    expectLoop(prefill(format), cpu::Isa::Avx512, "vpdpbusd", 6 * 2 * 2);
}

TEST(MatmulAssembly, Bf16TilesAreProductsOfPairsInRegisters) {
  expectLoop(prefill("bf16"), cpu::Isa::Avx512Bf16, "vdpbf16ps", 12 * 2 * 2);
}

TEST(MatmulAssembly, AmxTilesAreFourProductsOfFourLoads) {
  for (const char *format : {"bf16", "q8_0", "q4_1", "q6_k"}) {
    expectLoop(prefill(format), cpu::Isa::Amx, "tdpbf16ps", 4);
    expectLoop(prefill(format), cpu::Isa::Amx, "tileloadd", 4);
  }
}

TEST(MatmulAssembly, DecodeTakesAWholeBlockOfEachStreamATurn) {
  for (const char *format : {"q8_0", "q4_0", "q4_1", "q4_k"})
    expectLoop({.format = format, .outputs = 576, .inputs = 512}, cpu::Isa::Avx512, "vpdpbusd", 4 * 8);
  for (const char *format : {"f32", "f16", "bf16"})
    expectLoop({.format = format, .outputs = 576, .inputs = 512}, cpu::Isa::Avx512, "vfmadd", 4 * 4);
}

TEST(MatmulAssembly, DecodeTakesBlocksThatRegistersDoNotHoldByTurns) {
  // streams x registers x quads
  for (const char *format : {"q8_0", "q4_0", "q4_1", "q4_k"})
    expectLoop({.format = format, .outputs = 576, .inputs = 512}, cpu::Isa::Avx2, "vpmaddubsw", 4 * 2 * 2);
}

/// Lines of IR that call assembly with side effects, and those of them whose attributes say convergent.
std::pair<int, int> assemblyCalls(const std::string &ir) {
  std::set<std::string> convergent;
  std::vector<std::string> calls;
  std::istringstream stream(ir);
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with("attributes #") && line.find(" convergent ") != std::string::npos)
      convergent.insert(line.substr(11, line.find(' ', 11) - 11));
    if (line.find(" asm sideeffect ") != std::string::npos)
      calls.push_back(line);
  }
  int marked = 0;
  for (const std::string &call : calls) {
    size_t group = call.rfind('#');
    if (group != std::string::npos)
      marked +=
          convergent.contains(call.substr(group, call.find_first_not_of("0123456789", group + 1) - group));
  }
  return {static_cast<int>(calls.size()), marked};
}

TEST(MatmulAssembly, AssemblyForWarpgroupsIsKeptTogether) {
  for (const char *format : {"f16", "bf16", "q4_1"}) {
    MatmulCase c{.format = format, .outputs = 2048, .inputs = 256};
    c.rowsPerTile = 64;
    c.schedule = "rows_per_tile = 64, columns_per_tile = 64";
    c.left = std::string(format) == "q4_1" ? LeftKind::Q8 : LeftKind::Half;
    auto [calls, convergent] = assemblyCalls(optimisedIrOf(c.text(), gpu::Architecture::Sm90));
    EXPECT_GT(calls, 4) << format;
    EXPECT_EQ(convergent, calls) << format;
  }
}

} // namespace
} // namespace sinter::test
