// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/CacheLayout.h"
#include <cstddef>
#include <gtest/gtest.h>
#include <set>

using namespace sinter::device;

namespace {
const sinter_cache_layer layers[] = {{3, 64, 64, 0}, {1, 20, 12, 128}, {2, 8, 8, 0}};
sinter_model modelOf() {
  sinter_model model = {};
  model.layers = layers;
  model.layer_count = 3;
  return model;
}
} // namespace

TEST(CacheLayoutTest, RegionsAreAlignedAndDoNotOverlap) {
  for (uint64_t element : {2, 4}) {
    const CacheLayout layout(modelOf(), element, 50);
    EXPECT_EQ(layout.tokens, 64);
    uint64_t end = 0;
    for (const CacheLayout::Layer &layer : layout.layers) {
      EXPECT_GE(layer.keys, end);
      EXPECT_EQ(layer.keys % 64, 0u);
      EXPECT_GE(layer.values, layer.keys + uint64_t(layer.heads) * layer.headKeys);
      EXPECT_EQ(layer.values % 64, 0u);
      end = layer.values + uint64_t(layer.heads) * layer.headValues;
    }
    EXPECT_GE(layout.slotBytes, end);
    EXPECT_EQ(layout.slotBytes % 4096, 0u);
  }
}

TEST(CacheLayoutTest, ATokensBytesAreThoseOfAllLayers) {
  EXPECT_EQ(cacheTokenBytes(modelOf(), SINTER_F16), 2u * (3 * 128 + 32 + 2 * 16));
  EXPECT_EQ(cacheTokenBytes(modelOf(), SINTER_F32), 4u * (3 * 128 + 32 + 2 * 16));
}

TEST(CacheLayoutTest, APrefixIsCopiedWithoutTouchingLaterTokens) {
  const CacheLayout layout(modelOf(), 2, 64);
  std::vector<std::byte> from(layout.slotBytes, std::byte(1)), to(layout.slotBytes, std::byte(2));
  layout.copyPrefix(from.data(), to.data(), 33);
  for (const CacheLayout::Layer &layer : layout.layers)
    for (int head = 0; head < layer.heads; ++head) {
      const std::byte *keys = to.data() + layer.keys + uint64_t(head) * layer.headKeys;
      const std::byte *values = to.data() + layer.values + uint64_t(head) * layer.headValues;
      EXPECT_EQ(keys[3 * layer.panelBytes - 1], std::byte(1)); // 33 tokens lie in 3 panels
      EXPECT_EQ(keys[3 * layer.panelBytes], std::byte(2));
      EXPECT_EQ(values[33 * layer.rowBytes - 1], std::byte(1));
      EXPECT_EQ(values[33 * layer.rowBytes], std::byte(2));
    }
}
