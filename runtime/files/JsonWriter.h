// SPDX-License-Identifier: Apache-2.0
// Writes JSON into a string: places commas, escapes strings, and prints numbers so that they read back
// exactly.
#ifndef SINTER_RUNTIME_FILES_JSONWRITER_H
#define SINTER_RUNTIME_FILES_JSONWRITER_H

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace sinter {

/// Builds one JSON value. `indent` 0 writes one line without spaces; more writes a member a line.
///
///   JsonWriter json;
///   json.beginObject().key("step").value(3).key("loss").value(2.5).endObject();
///   json.take() == R"({"step":3,"loss":2.5})"
class JsonWriter {
public:
  explicit JsonWriter(int indent = 0) : indent(indent) {}

  JsonWriter &beginObject() { return open('{'); }
  JsonWriter &endObject() { return close('}'); }
  JsonWriter &beginArray() { return open('['); }
  JsonWriter &endArray() { return close(']'); }
  JsonWriter &key(std::string_view name);

  /// Bytes that are not valid UTF-8 become U+FFFD.
  JsonWriter &value(std::string_view text);
  JsonWriter &value(const char *text) { return value(std::string_view(text)); }
  JsonWriter &value(bool boolean) { return token(boolean ? "true" : "false"); }
  /// The shortest digits that read back as the same number, with ".0" where nothing else shows that it is not
  /// an integer. Infinity and NaN, which JSON lacks, become null.
  JsonWriter &value(double number);
  JsonWriter &value(float number);
  template <typename T>
    requires std::is_integral_v<T>
  JsonWriter &value(T number) {
    return token(std::to_string(number));
  }
  JsonWriter &null() { return token("null"); }
  /// `json` as it is: one value, already written.
  JsonWriter &raw(std::string_view json) { return token(json); }

  const std::string &text() const { return out; }
  std::string take() { return std::move(out); }

private:
  JsonWriter &open(char bracket);
  JsonWriter &close(char bracket);
  JsonWriter &token(std::string_view text);
  void separate();
  void newLine();

  std::string out;
  int indent;
  int depth = 0;
  bool first = true;     // nothing stands in the innermost container yet
  bool afterKey = false; // the next value belongs to a key
};

/// `text` in quotes and escaped, appended to `out`.
void appendJsonString(std::string &out, std::string_view text);

} // namespace sinter

#endif // SINTER_RUNTIME_FILES_JSONWRITER_H
