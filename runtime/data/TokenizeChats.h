// SPDX-License-Identifier: Apache-2.0
// Chats into token shards for fine-tuning: rendered by the model's own template, with a mark at each token
// that is part of an answer, so that only answers are learnt.
#ifndef SINTER_RUNTIME_DATA_TOKENIZECHATS_H
#define SINTER_RUNTIME_DATA_TOKENIZECHATS_H

#include "runtime/chat/Template.h"
#include "runtime/data/Inputs.h"
#include "runtime/tokenizer/Tokenizer.h"

namespace sinter::data {

/// One chat as the model sees it.
struct ChatTokens {
  std::vector<int32_t> ids;
  std::vector<int32_t> answers; // 1 where the token is part of an assistant's turn, its end included; else 0
};

struct ChatFormat {
  const Tokenizer &tokenizer;
  const chat::Template &form;
  std::vector<std::pair<std::string, std::string>>
      specialTokens; // for the template: ("bos_token", "<s>"), ...
};

/// Tokens of a chat. What stands before an answer is tokenized as it will be when the model is asked: on its
/// own. Fails when the template does, or when it changes earlier turns as later ones come, so that answers
/// cannot be found.
Result<ChatTokens> encodeChat(const ChatFormat &format, const std::vector<chat::Message> &messages);

struct ChatCounts {
  uint64_t chats = 0, tokens = 0, answers = 0; // tokens that are learnt
  uint64_t cut = 0;                            // chats that were longer than a sequence
};

/// Reads the chats of `inputs` (.jsonl lines with `messages`, of `role` and `content`) and writes them as
/// part PART-00000 of a token folder: .tokens, and .answers of the same shape. A chat lies within a sequence
/// of `length` tokens; what it leaves free is filled with end tokens that are not learnt. Fails at the first
/// line that is no chat, for chats without answers, and for none at all.
Result<ChatCounts> tokenizeChats(const ChatFormat &format, const std::vector<Input> &inputs, int64_t length,
                                 const std::string &folder, const std::string &part);

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_TOKENIZECHATS_H
