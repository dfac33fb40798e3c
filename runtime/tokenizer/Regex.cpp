// SPDX-License-Identifier: Apache-2.0
// The interface to libpcre2-8. A match that runs out of the just-in-time stack is repeated by the
// interpreter, whose memory is the heap, without limits: what matches never depends on the size of a stack.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "runtime/tokenizer/Regex.h"
#include "runtime/tokenizer/Unicode.h"
#include <pcre2.h>

namespace sinter {

struct Regex::Code {
  pcre2_code *code = nullptr;
  pcre2_match_context *limits = nullptr;
  bool jit = false;
  ~Code() {
    pcre2_match_context_free(limits);
    pcre2_code_free(code);
  }
};

Result<Regex> Regex::compile(std::string_view pattern) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  auto code = std::make_shared<Code>();
  code->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                             PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error,
                             &offset, nullptr);
  if (!code->code) {
    char message[256] = "";
    pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR *>(message), sizeof message);
    return fail("regular expression \"{}\": {} at byte {}", pattern, message, offset);
  }
  code->jit = pcre2_jit_compile(code->code, PCRE2_JIT_COMPLETE) == 0;
  code->limits = pcre2_match_context_create(nullptr);
  pcre2_set_match_limit(code->limits, 0xFFFFFFFF);
  pcre2_set_depth_limit(code->limits, 0xFFFFFFFF);
  pcre2_set_heap_limit(code->limits, 0xFFFFFFFF);
  Regex regex;
  regex.code = std::move(code);
  return regex;
}

size_t Regex::shortest() const {
  uint32_t characters = 0;
  pcre2_pattern_info(code->code, PCRE2_INFO_MINLENGTH, &characters);
  return characters;
}

Regex::Match Regex::find(std::string_view text, size_t from) const {
  struct Data {
    pcre2_match_data *data = pcre2_match_data_create(1, nullptr);
    ~Data() { pcre2_match_data_free(data); }
  };
  thread_local Data data;
  auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  int found = PCRE2_ERROR_JIT_STACKLIMIT;
  if (code->jit)
    found = pcre2_jit_match(code->code, subject, text.size(), from, 0, data.data, code->limits);
  if (found == PCRE2_ERROR_JIT_STACKLIMIT || (!code->jit && found < 0))
    found = pcre2_match(code->code, subject, text.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data.data,
                        code->limits);
  if (found < 0)
    return {text.size(), text.size(), false};
  const PCRE2_SIZE *range = pcre2_get_ovector_pointer(data.data);
  return {range[0], range[1], true};
}

size_t Regex::charSizeAt(std::string_view text, size_t at) {
  return at < text.size() ? unicode::charSize(text[at]) : 1;
}

} // namespace sinter
