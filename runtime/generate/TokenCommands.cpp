// SPDX-License-Identifier: Apache-2.0
// --tokenize and --detokenize: the tokenizer alone, without the model.
#include "runtime/generate/Commands.h"
#include "runtime/generate/Output.h"
#include <iterator>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace sinter {

Result<void> runTokenize(const Setting &setting) {
  Result<std::unique_ptr<Codec>> codec = setting.openCodec(setting.model);
  if (!codec)
    return std::unexpected(codec.error());
  const Result<std::string> text = inputText(setting.options);
  if (!text)
    return std::unexpected(text.error());
  const Result<std::vector<int32_t>> ids = (*codec)->encode(*text, setting.options.special);
  if (!ids)
    return std::unexpected(ids.error());
  std::string line = "[";
  for (size_t i = 0; i < ids->size(); ++i)
    fmt::format_to(std::back_inserter(line), "{}{}", i ? "," : "", (*ids)[i]);
  line += "]\n";
  Output out(STDOUT_FILENO);
  out.write(line);
  return out.status();
}

namespace {

/// A JSON array of token ids below `vocabulary`.
Result<std::vector<int32_t>> parseIdArray(const std::string &text, int64_t vocabulary) {
  struct Handler : nlohmann::json_sax<nlohmann::json> { // only to learn where the text is malformed
    size_t position = 0;
    bool null() override { return true; }
    bool boolean(bool) override { return true; }
    bool number_integer(number_integer_t) override { return true; }
    bool number_unsigned(number_unsigned_t) override { return true; }
    bool number_float(number_float_t, const string_t &) override { return true; }
    bool string(string_t &) override { return true; }
    bool binary(binary_t &) override { return true; }
    bool start_object(size_t) override { return true; }
    bool key(string_t &) override { return true; }
    bool end_object() override { return true; }
    bool start_array(size_t) override { return true; }
    bool end_array() override { return true; }
    bool parse_error(size_t at, const std::string &, const nlohmann::json::exception &) override {
      position = at;
      return false;
    }
  } handler;
  if (!nlohmann::json::sax_parse(text, &handler))
    return fail("standard input: expected a JSON array of token ids, found malformed JSON at byte {}",
                handler.position);
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_array())
    return fail("standard input: expected a JSON array of token ids, found a JSON {}", json.type_name());
  std::vector<int32_t> ids;
  ids.reserve(json.size());
  for (size_t i = 0; i < json.size(); ++i) {
    if (!json[i].is_number_unsigned() || json[i].get<uint64_t>() >= uint64_t(vocabulary))
      return fail("standard input: expected token ids from 0 to {}, found {} as element {}", vocabulary - 1,
                  json[i].dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).substr(0, 40), i);
    ids.push_back(json[i].get<int32_t>());
  }
  return ids;
}

} // namespace

Result<void> runDetokenize(const Setting &setting) {
  Result<std::unique_ptr<Codec>> codec = setting.openCodec(setting.model);
  if (!codec)
    return std::unexpected(codec.error());
  const Result<std::string> text = readWhole("-");
  if (!text)
    return std::unexpected(text.error());
  const Result<std::vector<int32_t>> ids = parseIdArray(*text, setting.model.vocabulary);
  if (!ids)
    return std::unexpected(ids.error());
  Output out(STDOUT_FILENO);
  out.write((*codec)->decode(*ids));
  return out.status();
}

} // namespace sinter
