// SPDX-License-Identifier: Apache-2.0
// Any bytes as JSON: parsing must end, every access must be safe, and what is written again must read the
// same.
#include "runtime/files/Json.h"
#include "runtime/files/JsonWriter.h"

#include <cmath>
#include <cstdlib>

using namespace sinter;

namespace {

void write(JsonValue value, JsonWriter &out) {
  (void)value.where();
  (void)value.describe();
  (void)value.as<int64_t>();
  switch (value.kind()) {
  case JsonValue::Kind::Bool:
    out.value(*value.as<bool>());
    break;
  case JsonValue::Kind::Integer:
    out.value(*value.as<int64_t>());
    break;
  case JsonValue::Kind::Real:
    out.value(*value.as<double>());
    break;
  case JsonValue::Kind::String:
    out.value(*value.as<std::string_view>());
    break;
  case JsonValue::Kind::Array:
    (void)value.as<std::vector<double>>();
    out.beginArray();
    for (JsonValue element : value)
      write(element, out);
    out.endArray();
    break;
  case JsonValue::Kind::Object:
    out.beginObject();
    for (JsonValue member : value) {
      out.key(member.key());
      write(member, out);
    }
    out.endObject();
    break;
  default:
    out.null();
  }
}

std::string rewritten(const Json &json) {
  JsonWriter out;
  write(json.root(), out);
  return out.take();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Result<Json> json = Json::parse(std::string(reinterpret_cast<const char *>(data), size), "fuzz");
  if (!json)
    return 0;
  std::string text = rewritten(*json);
  Result<Json> again = Json::parse(text, "again");
  if (!again || rewritten(*again) != text)
    std::abort();
  return 0;
}
