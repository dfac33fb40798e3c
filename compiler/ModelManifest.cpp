// SPDX-License-Identifier: Apache-2.0
// A model's entries and weights in the manifest of its kernels: enough for a program of its own to run it.
#include "compiler/KernelProduct.h"

#include "dialects/kernel/WeightLayout.h"
#include "dialects/lm/LmDialect.h"
#include "runtime/files/JsonWriter.h"

using namespace mlir;

namespace sinter {
namespace {

void writeBuffer(JsonWriter &json, kernel::BufferOp buffer, const WeightPlacement &placement) {
  json.beginObject().key("space").value(std::string_view(kernel::stringifySpace(buffer.getSpace())));
  if (buffer.getParameter()) {
    json.key("parameter").value(std::string_view(*buffer.getParameter()));
    json.key("offset").value(
        placement.offsets.at({buffer.getParameter()->str(), buffer.getType().getAsOpaquePointer()}));
  }
  if (buffer.getOffset())
    json.key("offset").value(*buffer.getOffset());
  if (buffer.getLayer())
    json.key("layer").value(*buffer.getLayer());
  json.endObject();
}

void writeEntry(JsonWriter &json, kernel::EntryOp entry, const WeightPlacement &placement) {
  json.beginObject().key("name").value(std::string_view(entry.getSymName()));
  json.key("max_rows").value(entry.getMaxRows()).key("max_selected").value(entry.getMaxSelected());
  json.key("head_begin")
      .value(entry.getHeadBegin().value_or(0))
      .key("arena_bytes")
      .value(entry.getArenaBytes().value_or(0));
  json.key("launches").beginArray();
  for (auto launch : entry.getOps<kernel::LaunchOp>()) {
    json.beginObject().key("kernel").value(std::string_view(launch.getCallee())).key("buffers").beginArray();
    for (Value buffer : launch.getBuffers())
      writeBuffer(json, buffer.getDefiningOp<kernel::BufferOp>(), placement);
    json.endArray().endObject();
  }
  json.endArray().endObject();
}

/// The tensors of the model file that a parameter is made of, in order.
void writeSources(JsonWriter &json, SymbolTable &symbols, lm::ParameterOp parameter) {
  if (parameter.getParts())
    for (auto part : parameter.getParts()->getAsRange<FlatSymbolRefAttr>())
      writeSources(json, symbols, symbols.lookup<lm::ParameterOp>(part.getValue()));
  else if (parameter.getSource())
    for (StringAttr tensor : parameter.getSource()->getTensors())
      json.value(std::string_view(tensor.getValue()));
}

} // namespace

std::string modelManifest(ModuleOp module, const WeightPlacement &placement, const std::string &name) {
  SymbolTable symbols(module);
  JsonWriter json(1);
  json.beginObject().key("name").value(name).key("weight_bytes").value(placement.size);
  json.key("weights").beginArray();
  for (const auto &[key, offset] : placement.offsets) {
    json.beginObject()
        .key("parameter")
        .value(key.first)
        .key("offset")
        .value(offset)
        .key("tensors")
        .beginArray();
    writeSources(json, symbols, symbols.lookup<lm::ParameterOp>(key.first));
    json.endArray().endObject();
  }
  json.endArray().key("entries").beginArray();
  for (auto entry : module.getOps<kernel::EntryOp>())
    writeEntry(json, entry, placement);
  json.endArray().endObject();
  return json.take();
}

} // namespace sinter
