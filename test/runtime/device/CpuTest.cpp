// SPDX-License-Identifier: Apache-2.0
// Which tiles are run by whom, and what a model must have to be opened.
#include "runtime/device/CpuFeatures.h"
#include "runtime/device/Device.h"
#include "runtime/device/WeightHashes.h"
#include "runtime/device/WeightsMapping.h"
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>

using namespace sinter;
using namespace sinter::device;

namespace {

// Counts how often each tile runs, in the arena.
void count(const sinter_call *call, int64_t begin, int64_t end) {
  for (int64_t tile = begin; tile < end; ++tile)
    ++static_cast<int32_t *>(call->buffers[0])[tile];
}
// Adds up the other launch's counts: right only if a barrier lies between.
void sum(const sinter_call *call, int64_t begin, int64_t end) {
  for (int64_t tile = begin; tile < end; ++tile) {
    float total = 0;
    for (int i = 0; i < 3 * 10 * 5; ++i)
      total += float(static_cast<const int32_t *>(call->buffers[0])[i]);
    static_cast<float *>(call->buffers[1])[tile] = total + *static_cast<const float *>(call->buffers[2]);
  }
}

const float weights[2] = {0, 0.5f};

struct Model {
  sinter_buffer buffers[3] = {
      {SINTER_SPACE_ARENA, 0, 64}, {SINTER_SPACE_LOGITS, 0, 0}, {SINTER_SPACE_WEIGHT, 0, 4}};
  sinter_launch launches[2] = {
      {"count", {count, nullptr, nullptr}, {3, 2, 10, SINTER_DOMAIN_ROWS, 0}, buffers, 1, 0, 0},
      {"sum", {sum, nullptr, nullptr}, {7, 0, 0, SINTER_DOMAIN_SELECTED, 0}, buffers, 3, 0, 0}};
  sinter_entry entry = {"prefill", launches, 2, 1, 20, 1, 8192, 0};
  sinter_program program = {SINTER_F16, 0, entry, entry};
  sinter_cache_layer layer = {1, 4, 4, 0};
  sinter_model model = {SINTER_ABI_VERSION,        1,  "t", 7, 100, &program, 1, &layer, 1, 0, 0,
                        {weights, sizeof weights}, 77, {},  {}};
};

TEST(CpuTest, EveryTileRunsOnceAndLaunchesFollowEachOther) {
  for (int threads : {1, 2, 3, 7}) {
    Model m;
    std::unique_ptr<Device> device = std::move(*openCpu(m.model, {threads, ""}));
    EXPECT_EQ(device->threads(), threads);
    EXPECT_STREQ(device->isaName(), "avx2"); // no kernels for more
    std::unique_ptr<Session> session = std::move(*device->openSession({64, 1, {}}));
    const std::vector<int32_t> tokens(20, 0), slots(20, 0);
    std::vector<int32_t> positions(20);
    for (int i = 0; i < 20; ++i)
      positions[size_t(i)] = i + 25; // 45 keys: 5 tiles of 10
    const int32_t select = 19;
    ASSERT_TRUE(session->run({EntryKind::Prefill, tokens, positions, slots}, {&select, 1}));
    for (int i = 0; i < 7; ++i)
      EXPECT_EQ(session->logits()[i], 150.5f)
          << threads; // 3 columns * 10 row tiles * 5 key tiles, and a weight
    ASSERT_TRUE(session->runHead({&select, 1}));
    EXPECT_EQ(session->logits()[6], 150.5f) << "only the head runs again";
  }
}

TEST(CpuTest, AModelOfAnotherAbiIsRefused) {
  Model m;
  m.model.abi_version = 99;
  EXPECT_EQ(openCpu(m.model, {1, ""}).error().message,
            "the model was compiled for version 99 of the runtime, this is version " +
                std::to_string(SINTER_ABI_VERSION));
}

TEST(CpuTest, AModelWithoutKernelsForThisMachineIsRefused) {
  Model m;
  m.launches[1].kernels[0] = nullptr;
  EXPECT_NE(openCpu(m.model, {1, ""}).error().message.find("this program was compiled for none"),
            std::string::npos);
}

TEST(CpuTest, ACacheTypeThatWasNotCompiledIsRefused) {
  Model m;
  std::unique_ptr<Device> device = std::move(*openCpu(m.model, {1, ""}));
  EXPECT_EQ(device->openSession({64, 1, SINTER_F32}).error().message,
            "this program was compiled for keys and values in f16, not in f32");
}

TEST(CpuTest, WeightsInAFileOfTheirOwnAreChecked) {
  Model m;
  m.model.weights.data = nullptr;
  EXPECT_NE(openCpu(m.model, {1, ""}).error().message.find("--weights-file"), std::string::npos);
  const std::string path = testing::TempDir() + "/image.bin";
  const std::vector<uint64_t> table = hashTable(std::as_bytes(std::span(weights)));
  m.model.weights_hash = hashOf(std::as_bytes(std::span(table)));
  sinter_weights_header header = {{}, sizeof weights, m.model.weights_hash};
  std::memcpy(header.magic, SINTER_WEIGHTS_MAGIC, 8);
  const auto write = [&](size_t bytes) {
    std::string content(SINTER_WEIGHTS_OFFSET + sizeof weights + sizeof(uint64_t), '\0');
    std::memcpy(content.data(), &header, sizeof header);
    std::memcpy(content.data() + SINTER_WEIGHTS_OFFSET, weights, sizeof weights);
    std::memcpy(content.data() + SINTER_WEIGHTS_OFFSET + sizeof weights, table.data(), sizeof(uint64_t));
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content.substr(0, bytes);
    const Result<std::unique_ptr<Device>> device = openCpu(m.model, {1, path});
    return device ? std::string("opened") : device.error().message;
  };
  EXPECT_EQ(write(5000), "opened");
  EXPECT_EQ(write(4100), path + ": expected at least 4112 bytes, found 4100");
  EXPECT_EQ(write(10), path + ": expected at least 24 bytes, found 10");
  header.hash = 78;
  EXPECT_EQ(write(5000), fmt::format("{}: expected the weights of hash {:016x} (byte offset 16), found "
                                     "000000000000004e: another model's",
                                     path, m.model.weights_hash));
  header.image_bytes = 9;
  EXPECT_EQ(write(5000), path + ": expected 8 bytes of weights (byte offset 8), found 9");
  header.magic[0] = 'X';
  EXPECT_EQ(write(5000), path + ": expected a file of weights ('SINTERWT' at byte 0), found other bytes");
}

TEST(CpuTest, DamagedWeightsAreFoundInPiecesAtTheStartAndEverywhereByALookAtAll) {
  constexpr uint64_t pieces = 20, size = (pieces - 1) * hashedPieceBytes + 12; // the last piece is short
  std::string image(size, '\0');
  for (uint64_t i = 0; i < size; ++i)
    image[i] = char(i * 31 + i / 4096);
  const std::vector<uint64_t> table = hashTable(std::as_bytes(std::span(image)));
  ASSERT_EQ(table.size(), pieces);
  sinter_model model = {};
  model.weights.size = size;
  model.weights_hash = hashOf(std::as_bytes(std::span(table)));
  sinter_weights_header header = {{}, size, model.weights_hash};
  std::memcpy(header.magic, SINTER_WEIGHTS_MAGIC, 8);
  std::string whole(SINTER_WEIGHTS_OFFSET + hashTableOffset(size), '\0');
  std::memcpy(whole.data(), &header, sizeof header);
  whole.replace(SINTER_WEIGHTS_OFFSET, size, image);
  whole.append(reinterpret_cast<const char *>(table.data()), pieces * sizeof(uint64_t));
  const std::string path = testing::TempDir() + "/pieces.bin";
  const auto openWith = [&](uint64_t flipped, WeightsCheck check) {
    std::string content = whole;
    content[flipped] ^= 1;
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
    const Result<WeightsMapping> opened = WeightsMapping::open(model, path, check);
    return opened ? std::string("opened") : opened.error().message;
  };
  std::ofstream(path, std::ios::binary | std::ios::trunc) << whole;
  EXPECT_TRUE(WeightsMapping::open(model, path, WeightsCheck::All));
  int found = 0;
  for (uint64_t piece = 0; piece < pieces; ++piece) {
    const uint64_t begin = SINTER_WEIGHTS_OFFSET + piece * hashedPieceBytes;
    const std::string message =
        fmt::format("{}: expected bytes of hash {:016x} (byte offset {}), found ", path, table[piece], begin);
    EXPECT_TRUE(openWith(begin + 11, WeightsCheck::All).starts_with(message));
    const std::string atStart = openWith(begin + 11, WeightsCheck::Samples);
    EXPECT_TRUE(atStart == "opened" || atStart.starts_with(message)) << atStart;
    found += atStart != "opened";
    if (piece == 0 || piece == pieces - 1) {
      EXPECT_NE(atStart, "opened") << "the ends are always looked at";
    }
  }
  EXPECT_EQ(found, 8);
  // The table itself, at the start.
  EXPECT_TRUE(openWith(whole.size() - 1, WeightsCheck::Samples).ends_with("damaged since it was compiled"));
}

TEST(CpuTest, TheMachinesLimitsAreMeasured) {
  Model m;
  const Limits limits = (*openCpu(m.model, {2, ""}))->measureLimits();
  EXPECT_GT(limits.readBytesPerSecond, 1e8);
  EXPECT_GT(limits.flopsPerSecond, 1e8);
}

} // namespace
