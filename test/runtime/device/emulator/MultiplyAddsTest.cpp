// SPDX-License-Identifier: Apache-2.0
// Runs of loads and multiply-adds give what they give one instruction after another, bit for bit.
#include "test/runtime/device/emulator/PtxRunner.h"

#include <bit>
#include <cmath>
#include <random>

namespace sinter::emulator {
namespace {

constexpr int threads = 64, sharedFloats = 2048;

bool sameBits(float a, float b) {
  return std::isnan(a) ? std::isnan(b) : std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
}

/// One instruction of a run, and what it means.
struct Step {
  enum Kind { load, multiplyAdd } kind;
  int d = 0, a = 0, b = 0, c = 0; // registers; of a load d to d + 3
  int base = 0, offset = 0;       // of a load: which address, floats behind it
};

/// Registers f0 to f<count-1> begin as numbers that differ by thread; all of them are stored at the end. Odd
/// threads may skip the run, which begins with a label of its own when it is a loop of `turns`.
struct Case {
  int registers = 0, turns = 1;
  bool evenOnly = false;
  std::vector<Step> steps;

  static float initial(int reg, int thread) {
    return std::ldexp(float((reg * 37 + thread * 11) % 101 - 50), -4);
  }
  static float inShared(int index) { return std::ldexp(float((index * 29) % 127 - 60), -5); }
  /// Base 0: a quad for 8 lanes; 1: 8 quads, again and again; 2: all over the place.
  static int floatOf(int base, int thread) {
    const int lane = thread % 32;
    return 4 * (base == 0 ? lane / 8 : base == 1 ? lane % 8 : lane * 7 % 32);
  }

  std::string text() const {
    std::string body = ".shared .align 16 .b8 memory[8192];\nmov.u32 %t0, %tid.x;\n"
                       "ld.param.u64 %o, [p0];\nld.param.u64 %i, [p1];\n"
                       "mov.u64 %m, memory;\n";
    for (int i = 0; i < sharedFloats; i += threads) // every thread brings some
      body += fmt::format("add.u32 %t1, %t0, {};\nmul.wide.u32 %w, %t1, 4;\nadd.u64 %x, %i, %w;\n"
                          "ld.global.f32 %s, [%x];\nadd.u64 %x, %m, %w;\nst.shared.f32 [%x], %s;\n",
                          i);
    body +=
        "bar.sync 0;\nand.b32 %t1, %t0, 31;\n"
        "shr.u32 %t2, %t1, 3;\nmul.wide.u32 %w, %t2, 16;\nadd.u64 %b0, %m, %w;\n"
        "and.b32 %t2, %t1, 7;\nmul.wide.u32 %w, %t2, 16;\nadd.u64 %b1, %m, %w;\n"
        "mul.lo.u32 %t2, %t1, 7;\nand.b32 %t2, %t2, 31;\nmul.wide.u32 %w, %t2, 16;\nadd.u64 %b2, %m, %w;\n";
    for (int reg = 0; reg < registers; ++reg) // (reg * 37 + thread * 11) % 101 - 50, by 16
      body += fmt::format("mul.lo.u32 %t1, %t0, 11;\nadd.u32 %t1, %t1, {};\nrem.u32 %t1, %t1, 101;\n"
                          "sub.s32 %t1, %t1, 50;\ncvt.rn.f32.s32 %f{}, %t1;\nmul.f32 %f{}, %f{}, 0.0625;\n",
                          reg * 37, reg, reg, reg);
    body += "mov.u32 %t3, 0;\n";
    if (evenOnly)
      body += "and.b32 %t1, %t0, 1;\nsetp.eq.u32 %p0, %t1, 1;\n@%p0 bra $end;\n";
    body += "$run:\n";
    for (const Step &step : steps)
      body += step.kind == Step::load
                  ? fmt::format("ld.shared.v4.f32 {{%f{}, %f{}, %f{}, %f{}}}, [%b{}+{}];\n", step.d,
                                step.d + 1, step.d + 2, step.d + 3, step.base, step.offset * 4)
                  : fmt::format("fma.rn.f32 %f{}, %f{}, %f{}, %f{};\n", step.d, step.a, step.b, step.c);
    body += fmt::format("add.u32 %t3, %t3, 1;\nsetp.lt.u32 %p0, %t3, {};\n@%p0 bra $run;\n$end:\n", turns);
    for (int reg : read())
      body += fmt::format("mul.wide.u32 %w, %t0, 4;\nadd.u64 %x, %o, %w;\nst.global.f32 [%x+{}], %f{};\n",
                          reg * threads * 4, reg);
    return fmt::format(
        ".version 8.7\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 p0, .param "
        ".u64 p1)\n{{\n.reg .pred %p<2>;\n.reg .b32 %t<8>;\n.reg .b64 %b<3>;\n.reg .b64 %o, %i, "
        "%m, %w, %x;\n.reg .f32 %s;\n.reg .f32 %f<{}>;\n{}ret;\n}}\n",
        registers, body);
  }
  /// Registers that are stored. Those left out may be elided.
  std::vector<int> stored; // empty: all
  std::vector<int> read() const {
    if (!stored.empty())
      return stored;
    std::vector<int> all(registers);
    for (int i = 0; i < registers; ++i)
      all[i] = i;
    return all;
  }

  void expectTheSame(bool joins, const std::string &what) const {
    for (const bool counters : {false, true}) {
      PtxRunner runner;
      runner.block = {threads, 1, 1};
      runner.options.counters = counters;
      const uint64_t out = runner.buffer(std::vector<float>(registers * threads, 77.0f), "out");
      std::vector<float> shared(sharedFloats);
      for (int i = 0; i < sharedFloats; ++i)
        shared[i] = inShared(i);
      runner.buffer(shared, "in");
      const std::string source = text();
      ASSERT_EQ(runner.run(source), "") << what;
      const std::vector<float> found = runner.read<float>(out, registers * threads);
      for (int thread = 0; thread < threads; ++thread) {
        std::vector<float> f(registers);
        for (int reg = 0; reg < registers; ++reg)
          f[reg] = initial(reg, thread);
        for (int turn = 0; turn < turns && !(evenOnly && thread % 2); ++turn)
          for (const Step &step : steps) {
            if (step.kind == Step::multiplyAdd)
              f[step.d] = std::fma(f[step.a], f[step.b], f[step.c]);
            else
              for (int i = 0; i < 4; ++i)
                f[step.d + i] = inShared(floatOf(step.base, thread) + step.offset + i);
          }
        for (int reg : read())
          ASSERT_TRUE(sameBits(found[reg * threads + thread], f[reg]))
              << what << ", register " << reg << ", thread " << thread << (counters ? ", counted" : "");
      }
      uint64_t multiplyAdds = 0;
      auto module = LoadedModule::load(source, runner.memory);
      ASSERT_TRUE(module) << what;
      const auto program = (*module)->kernel("");
      ASSERT_TRUE(program) << what;
      for (size_t at = 0; at < (*program)->code.size(); ++at)
        if ((*program)->code[at].kind == InstructionClass::float32)
          multiplyAdds += runner.counters.executed[at];
      uint64_t expected = 2 * registers; // the mul.f32 of each
      for (const Step &step : steps)
        expected += step.kind == Step::multiplyAdd ? 2 * turns : 0;
      EXPECT_EQ(multiplyAdds, expected) << what << ": every instruction is counted";
      EXPECT_EQ(!(*program)->multiplyAddRuns.empty(), joins) << what;
    }
  }
};

/// The inner loop of a product: rows by columns of sums, `depth` steps, registers in LLVM's manner (each
/// written once, but the sums at the end).
Case product(int rows, int columns, int depth, int rowBase = 0, int columnBase = 1) {
  Case result;
  const int sums = rows * columns;
  int next = sums;
  std::vector<int> at(sums);
  for (int i = 0; i < sums; ++i) {
    at[i] = i;
    result.stored.push_back(i);
  }
  for (int k = 0; k < depth; ++k) {
    const int a = next, b = next + rows;
    for (int i = 0; i < rows; i += 4)
      result.steps.push_back({Step::load, a + i, 0, 0, 0, rowBase, 64 * k + i * 8});
    for (int i = 0; i < columns; i += 4)
      result.steps.push_back({Step::load, b + i, 0, 0, 0, columnBase, 512 + 64 * k + i * 8});
    next += rows + columns;
    for (int i = 0; i < sums; ++i) {
      const int to = k + 1 == depth ? i : next++;
      result.steps.push_back({Step::multiplyAdd, to, a + i / columns, b + i % columns, at[i]});
      at[i] = to;
    }
  }
  result.registers = next;
  return result;
}

TEST(EmulatorMultiplyAdds, AProductIsJoined) {
  product(8, 8, 4).expectTheSame(true, "8 x 8");
  product(8, 8, 8).expectTheSame(true, "8 x 8, eight steps");
  product(8, 4, 1).expectTheSame(true, "8 x 4, one step");
  product(4, 4, 1).expectTheSame(true, "4 x 4, one step");
  product(8, 4, 3, 2, 2).expectTheSame(true, "lanes that share nothing");
  product(4, 12, 2, 1, 0).expectTheSame(true, "rows and columns the other way round");
}

TEST(EmulatorMultiplyAdds, AProductInALoopIsJoined) {
  Case loop = product(8, 8, 4);
  loop.turns = 5;
  loop.expectTheSame(true, "five turns");
}

TEST(EmulatorMultiplyAdds, LanesThatAreFewTakeOneInstructionAfterAnother) {
  Case few = product(8, 8, 2);
  few.evenOnly = true;
  few.expectTheSame(true, "even threads only");
}

TEST(EmulatorMultiplyAdds, SumsThatSomebodyReadsBetweenStepsAreWritten) {
  Case product1 = product(4, 4, 3);
  product1.stored.clear(); // all are
  product1.expectTheSame(true, "all registers stored");
}

TEST(EmulatorMultiplyAdds, FactorsThatSomebodyReadsBehindThemAreWritten) {
  for (const bool isRow : {true, false}) {
    Case read = product(8, 8, 2);
    // Of the loads of the second step the first, of rows, or the last, of columns.
    std::vector<int> loaded;
    for (const Step &step : read.steps)
      if (step.kind == Step::load)
        loaded.push_back(step.d);
    read.stored.push_back(isRow ? loaded[4] + 1 : loaded.back() + 2);
    read.expectTheSame(true, isRow ? "a row" : "a column");
  }
}

TEST(EmulatorMultiplyAdds, FewOfThemAreLeftAlone) {
  Case few = product(4, 4, 1);
  few.steps.pop_back();
  few.expectTheSame(false, "15 of them");
}

TEST(EmulatorMultiplyAdds, AnyOrderOfReadsAndWritesGivesTheSame) {
  std::mt19937 random(5);
  const auto below = [&](int count) { return static_cast<int>(random() % static_cast<uint32_t>(count)); };
  int joined = 0;
  for (int number = 0; number < 60; ++number) {
    // Mostly sums that factors are added to, in place or not; now and then any register anywhere.
    Case any;
    const int factors = 8 + below(24), sums = 4 + below(60);
    any.registers = factors + sums;
    any.turns = 1 + below(2);
    for (int i = 40 + below(80); i >= 0; --i) {
      const bool wild = below(60) == 0;
      const auto sum = [&] { return wild ? below(any.registers) : factors + below(sums); };
      const auto factor = [&] { return below(wild ? any.registers : factors); };
      if (below(60) == 0) {
        any.steps.push_back({Step::load, below(factors - 3), 0, 0, 0, below(3), 4 * below(300)});
        continue;
      }
      const int d = sum();
      any.steps.push_back({Step::multiplyAdd, d, factor(), factor(), below(10) ? d : sum()});
    }
    PtxRunner runner;
    auto module = LoadedModule::load(any.text(), runner.memory);
    ASSERT_TRUE(module);
    const bool joins = !(*(*module)->kernel(""))->multiplyAddRuns.empty();
    joined += joins;
    any.expectTheSame(joins, fmt::format("case {}", number));
    if (HasFatalFailure())
      return;
  }
  EXPECT_GT(joined, 20) << "some of them are runs";
}

TEST(EmulatorMultiplyAdds, AWrongLoadOfARunIsNamed) {
  Case wrong = product(8, 8, 2);
  wrong.steps[0].offset = 4096;
  PtxRunner runner;
  runner.block = {threads, 1, 1};
  runner.options.counters = false;
  runner.buffer(std::vector<float>(wrong.registers * threads), "out");
  runner.buffer(std::vector<float>(sharedFloats), "in");
  const std::string error = runner.run(wrong.text());
  EXPECT_NE(error.find("shared memory"), std::string::npos) << error;
}

} // namespace
} // namespace sinter::emulator
