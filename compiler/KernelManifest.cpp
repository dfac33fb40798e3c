// SPDX-License-Identifier: Apache-2.0
// Kernels for programs: docs/kernels.md lists the members.
#include "compiler/KernelFunction.h"

#include "dialects/kernel/WeightLayout.h"
#include "runtime/files/JsonWriter.h"

#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace sinter {

static void writeShape(JsonWriter &json, ArrayRef<int64_t> sizes) {
  json.key("shape").beginArray();
  for (int64_t size : sizes)
    json.value(size);
  json.endArray();
}

template <typename Cache> static void writeCache(JsonWriter &json, std::string_view kind, Cache cache) {
  json.key("kind").value(kind).key("heads").value(cache.getHeads()).key("size").value(cache.getSize());
  json.key("dtype").value(elementName(cache.getElement()));
}

void writeBufferType(JsonWriter &json, Type type) {
  llvm::TypeSwitch<Type>(type)
      .Case([&](kernel::RowsType rows) {
        json.key("kind").value("rows").key("columns").value(rows.getColumns());
        json.key("per_row").value(rows.getPerRow());
        json.key("dtype").value(elementName(rows.getElement())).key("row_bytes").value(rows.getRowBytes());
      })
      .Case([&](kernel::WeightType weight) {
        json.key("kind").value("weight");
        writeShape(json, {weight.getRows(), weight.getColumns()});
        json.key("dtype").value(std::string_view(kernel::stringifyWeightFormat(weight.getFormat())));
        json.key("layout").value("packed").key("bytes").value(kernel::WeightLayout(weight).bytes());
      })
      .Case([&](kernel::TableType table) {
        json.key("kind").value("table");
        writeShape(json, {table.getRows(), table.getColumns()});
        json.key("dtype").value(elementName(table.getElement()));
        json.key("bytes").value(table.getRows() * table.getRowBytes());
      })
      .Case([&](kernel::CacheKType keys) { writeCache(json, "cache_keys", keys); })
      .Case([&](kernel::CacheVType values) { writeCache(json, "cache_values", values); })
      .Case([&](kernel::SegmentsType segments) {
        json.key("kind").value("segments").key("experts").value(segments.getExperts());
        json.key("bytes").value(segments.getBytes());
      })
      .Case([&](kernel::PartialType partial) {
        json.key("kind")
            .value("partial")
            .key("heads")
            .value(partial.getHeads())
            .key("size")
            .value(partial.getSize());
        json.key("keys").value(partial.getKeys()).key("bytes").value(partial.getBytes());
      });
}

void writeBuffer(JsonWriter &json, const KernelBuffer &buffer) {
  static constexpr std::string_view names[] = {"argument", "constant", "workspace"};
  json.beginObject().key(names[static_cast<size_t>(buffer.place)]).value(buffer.number).endObject();
}

void writeConstants(JsonWriter &json, const KernelFunction &function) {
  json.beginArray();
  for (auto [number, values] : llvm::enumerate(function.constants)) {
    json.beginObject().key("name").value(constantName(function, number)).key("values").beginArray();
    for (float value : values)
      json.value(value);
    json.endArray().endObject();
  }
  json.endArray();
}

namespace {

class ManifestWriter {
public:
  ManifestWriter(ArrayRef<cpu::Isa> isas) : json(1), isas(isas) {}

  std::string write(ArrayRef<KernelFunction> functions);

private:
  void argument(const KernelFunction &function, const KernelArgument &argument);
  void launch(const KernelLaunch &launch);

  JsonWriter json;
  ArrayRef<cpu::Isa> isas;
};

void ManifestWriter::argument(const KernelFunction &function, const KernelArgument &argument) {
  json.beginObject().key("name").value(argument.name).key("written").value(argument.written);
  writeBufferType(json, argument.type);
  if (auto type = dyn_cast<kernel::WeightType>(argument.type)) {
    json.key("pack").value(function.name + "_pack_" + argument.name);
    if (canRound(type.getFormat()))
      json.key("round").value(function.name + "_round_" + argument.name);
  }
  json.endObject();
}

void ManifestWriter::launch(const KernelLaunch &launch) {
  auto kernel = launch.kernel;
  json.beginObject().key("kernel").value(std::string_view(kernel.getName()));
  json.key("symbols").beginObject();
  for (cpu::Isa isa : isas)
    json.key(std::string_view(cpu::nameOf(isa))).value((kernel.getName() + "." + cpu::nameOf(isa)).str());
  json.endObject();
  kernel::Grid grid = kernel.getAnchor().getGrid();
  json.key("grid")
      .beginObject()
      .key("columns")
      .value(grid.columns)
      .key("rows_per_tile")
      .value(grid.rowsPerTile);
  json.key("keys_per_tile").value(grid.keysPerTile);
  json.key("domain").value(std::string_view(kernel::stringifyDomain(grid.domain))).endObject();
  json.key("buffers").beginArray();
  for (const KernelBuffer &buffer : launch.buffers)
    writeBuffer(json, buffer);
  json.endArray().endObject();
}

std::string ManifestWriter::write(ArrayRef<KernelFunction> functions) {
  json.beginArray();
  for (const KernelFunction &function : functions) {
    json.beginObject().key("name").value(function.name).key("arguments").beginArray();
    for (const KernelArgument &each : function.arguments)
      argument(function, each);
    json.endArray().key("last").value(function.takesStep ? "step" : "rows");
    json.key("max_rows").value(function.maxRows).key("workspace_bytes").value(function.arenaBytes);
    json.key("scratch_bytes").value(function.scratchBytes);
    writeConstants(json.key("constants"), function);
    json.key("launches").beginArray();
    for (const KernelLaunch &each : function.launches)
      launch(each);
    json.endArray().endObject();
  }
  json.endArray();
  return json.take();
}

} // namespace

std::string kernelManifest(ArrayRef<KernelFunction> functions, ArrayRef<cpu::Isa> isas) {
  return ManifestWriter(isas).write(functions);
}

} // namespace sinter
