// SPDX-License-Identifier: Apache-2.0
// PTX text to tokens (PTX ISA 4.1 to 4.5).
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_LEXER_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_LEXER_H

#include "runtime/Result.h"
#include <cstdint>
#include <string_view>
#include <vector>

namespace sinter::emulator {

struct Token {
  enum Kind : uint8_t {
    end,
    identifier, // add, %r1, $L__BB0_1, _Z6kernelPf
    dotted,     // .global, .L1::no_allocate: text without the leading dot
    integer,    // value in `bits`
    single,     // 0f3F800000: `bits` are those of a float
    real,       // 1.5, 0d3FF0000000000000: `bits` are those of a double
    string,     // text without quotes
    punctuation // one character
  };
  Kind kind = end;
  char symbol = 0; // of punctuation
  uint32_t line = 0;
  uint64_t bits = 0;
  std::string_view text; // part of the source

  bool is(char character) const { return kind == punctuation && symbol == character; }
  bool isDotted(std::string_view name) const { return kind == dotted && text == name; }
};

/// The tokens of `source`, which must outlive them; the last is `end`. Comments are gone.
Result<std::vector<Token>> tokenize(std::string_view source);

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_LEXER_H
