// SPDX-License-Identifier: Apache-2.0
// Lays out a slot and copies prefixes: keys by whole panels, values by rows.
#include "runtime/device/CacheLayout.h"
#include "runtime/device/Device.h"
#include <cassert>
#include <cstddef>
#include <cstring>

namespace sinter::device {

namespace {
uint64_t roundUp(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }
} // namespace

CacheLayout::CacheLayout(const sinter_model &model, uint64_t elementBytes, int64_t capacity)
    : capacity(capacity), tokens(int64_t(roundUp(uint64_t(capacity), SINTER_CACHE_PANEL))) {
  uint64_t at = 0;
  for (uint64_t i = 0; i < model.layer_count; ++i) {
    const sinter_cache_layer &shape = model.layers[i];
    Layer layer;
    layer.heads = shape.kv_heads;
    layer.rowBytes = uint64_t(shape.value_dim) * elementBytes;
    layer.panelBytes = uint64_t(shape.key_dim) * SINTER_CACHE_PANEL * elementBytes;
    layer.headKeys = layer.panelBytes * (uint64_t(tokens) / SINTER_CACHE_PANEL);
    layer.headValues = layer.rowBytes * uint64_t(tokens);
    layer.keys = at;
    layer.values = roundUp(at + uint64_t(layer.heads) * layer.headKeys, 64);
    at = roundUp(layer.values + uint64_t(layer.heads) * layer.headValues, 64);
    layers.push_back(layer);
  }
  slotBytes = roundUp(at, 4096);
}

void CacheLayout::visitPrefix(int64_t count, const std::function<void(uint64_t, uint64_t)> &visit) const {
  assert(count >= 0 && count <= tokens && "prefix longer than the cache");
  const uint64_t panels = (uint64_t(count) + SINTER_CACHE_PANEL - 1) / SINTER_CACHE_PANEL;
  for (const Layer &layer : layers)
    for (int32_t head = 0; head < layer.heads; ++head) {
      const uint64_t keys = layer.keys + uint64_t(head) * layer.headKeys;
      const uint64_t values = layer.values + uint64_t(head) * layer.headValues;
      visit(keys, panels * layer.panelBytes);
      visit(values, uint64_t(count) * layer.rowBytes);
    }
}

void CacheLayout::copyPrefix(const std::byte *from, std::byte *to, int64_t count) const {
  visitPrefix(count,
              [&](uint64_t offset, uint64_t bytes) { std::memcpy(to + offset, from + offset, bytes); });
}

uint64_t dtypeBytes(uint32_t dtype) { return dtype == SINTER_F32 ? 4 : 2; }

uint64_t cacheTokenBytes(const sinter_model &model, uint32_t dtype) {
  uint64_t elements = 0;
  for (uint64_t i = 0; i < model.layer_count; ++i)
    elements +=
        uint64_t(model.layers[i].kv_heads) * uint64_t(model.layers[i].key_dim + model.layers[i].value_dim);
  return elements * dtypeBytes(dtype);
}

const char *dtypeName(uint32_t dtype) {
  switch (dtype) {
  case SINTER_F32:
    return "f32";
  case SINTER_F16:
    return "f16";
  case SINTER_BF16:
    return "bf16";
  }
  return "?";
}

const sinter_program *findProgram(const sinter_model &model, std::optional<sinter_dtype> dtype) {
  for (uint64_t i = 0; i < model.program_count; ++i)
    if (!dtype || model.programs[i].cache_dtype == uint32_t(*dtype))
      return &model.programs[i];
  return nullptr;
}

} // namespace sinter::device
