// SPDX-License-Identifier: Apache-2.0
#include "runtime/data/TokenizeChats.h"
#include "runtime/data/ByteSource.h"
#include "runtime/data/TokenShards.h"
#include "runtime/files/Json.h"

#include <algorithm>
#include <memory>

namespace sinter::data {
namespace {

/// Calls use(line, number) for each line of an input.
template <typename Use> Result<> eachLine(const Input &input, Use use) {
  Result<std::unique_ptr<ByteSource>> source = openBytes(input.path);
  if (!source)
    return tl::unexpected(source.error());
  std::string text;
  std::vector<char> buffer(1 << 20);
  size_t number = 0;
  while (true) {
    Result<size_t> count = (*source)->read(buffer);
    if (!count)
      return tl::unexpected(count.error());
    text.append(buffer.data(), *count);
    size_t begin = 0;
    for (size_t end; (end = text.find('\n', begin)) != text.npos; begin = end + 1)
      if (Result<> used = use(text.substr(begin, end - begin), ++number); !used)
        return used;
    text.erase(0, begin);
    if (*count > 0)
      continue;
    return text.empty() ? Result<>() : use(std::move(text), ++number);
  }
}

Result<std::vector<chat::Message>> messagesOf(std::string line, const std::string &where) {
  Result<Json> json = Json::parse(std::move(line), where);
  if (!json)
    return tl::unexpected(json.error());
  const JsonValue list = json->root()["messages"];
  if (!list.isArray())
    return fail("{}: expected an array of messages, found {}", list.where(), list.describe());
  std::vector<chat::Message> messages;
  for (JsonValue each : list) {
    Result<std::string> role = each.get<std::string>("role"), content = each.get<std::string>("content");
    for (const Result<std::string> *text : {&role, &content})
      if (!*text)
        return tl::unexpected(text->error());
    messages.push_back({std::move(*role), std::move(*content)});
  }
  return messages;
}

/// A part being written: tokens and marks side by side.
class ChatWriter {
public:
  ChatWriter(ShardWriter tokens, ShardWriter answers, int64_t length, int32_t fill)
      : tokens(std::move(tokens)), answers(std::move(answers)), length(length), fill(fill) {}

  Result<> add(ChatTokens chat, ChatCounts &counts) {
    const size_t room = size_t(length - int64_t(tokens.tokens()) % length);
    counts.chats += 1;
    counts.cut += chat.ids.size() > size_t(length);
    chat.ids.resize(std::min(chat.ids.size(), size_t(length)));
    chat.answers.resize(chat.ids.size());
    if (chat.ids.size() > room)
      if (Result<> filled = write({std::vector<int32_t>(room, fill), std::vector<int32_t>(room, 0)}); !filled)
        return filled;
    counts.tokens += chat.ids.size();
    counts.answers += uint64_t(std::ranges::count(chat.answers, 1));
    return write(chat);
  }

  Result<> finish() {
    // Up to the end of the last sequence, and the target of its last token.
    const size_t room = size_t(length - int64_t(tokens.tokens()) % length) % size_t(length) + 1;
    if (Result<> filled = write({std::vector<int32_t>(room, fill), std::vector<int32_t>(room, 0)}); !filled)
      return filled;
    if (Result<> done = tokens.finish(); !done)
      return done;
    return answers.finish();
  }

private:
  Result<> write(const ChatTokens &chat) {
    if (Result<> added = tokens.add(chat.ids, 0); !added)
      return added;
    return answers.add(chat.answers, 0);
  }

  ShardWriter tokens, answers;
  int64_t length;
  int32_t fill;
};

} // namespace

Result<ChatTokens> encodeChat(const ChatFormat &format, const std::vector<chat::Message> &messages) {
  ChatTokens chat;
  std::string before; // rendered and tokenized so far
  const auto append = [&](std::string_view text, int32_t isAnswer) {
    format.tokenizer.encode(text, /*addSpecial=*/false, /*parseSpecial=*/true, chat.ids);
    chat.answers.resize(chat.ids.size(), isAnswer);
  };
  for (size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].role != "assistant")
      continue;
    const std::vector<chat::Message> asked(messages.begin(), messages.begin() + ptrdiff_t(i));
    const std::vector<chat::Message> answered(messages.begin(), messages.begin() + ptrdiff_t(i) + 1);
    Result<std::string> prompt = format.form.render(asked, format.specialTokens, true);
    Result<std::string> whole = prompt ? format.form.render(answered, format.specialTokens, false) : prompt;
    if (!whole)
      return tl::unexpected(whole.error());
    if (!prompt->starts_with(before) || !whole->starts_with(*prompt))
      return fail("expected a chat template that lets earlier turns stand as they are, found one that "
                  "changes what is "
                  "before message {}",
                  i + 1);
    append(std::string_view(*prompt).substr(before.size()), 0);
    append(std::string_view(*whole).substr(prompt->size()), 1);
    before = std::move(*whole);
  }
  return chat;
}

Result<ChatCounts> tokenizeChats(const ChatFormat &format, const std::vector<Input> &inputs, int64_t length,
                                 const std::string &folder, const std::string &part) {
  const std::string base = fmt::format("{}/{}-00000", folder, part);
  const uint64_t vocabulary = uint64_t(format.tokenizer.size());
  Result<ShardWriter> tokens = ShardWriter::create(base + ".tokens", vocabulary, 0);
  Result<ShardWriter> answers = ShardWriter::create(base + ".answers", 2, 0);
  for (const Result<ShardWriter> *each : {&tokens, &answers})
    if (!*each)
      return tl::unexpected(each->error());
  ChatWriter writer(std::move(*tokens), std::move(*answers), length, std::max(format.tokenizer.eos(), 0));
  ChatCounts counts;
  for (const Input &input : inputs) {
    Result<> read = eachLine(input, [&](std::string line, size_t number) -> Result<> {
      if (line.find_first_not_of(" \t\r") == line.npos)
        return {};
      const std::string where = fmt::format("{}: line {}", input.path, number);
      Result<std::vector<chat::Message>> messages = messagesOf(std::move(line), where);
      if (!messages)
        return tl::unexpected(messages.error());
      Result<ChatTokens> chat = encodeChat(format, *messages);
      if (!chat)
        return fail("{}: {}", where, chat.error().message);
      if (chat->ids.empty())
        return fail("{}: expected a chat with a message whose role is assistant, found none", where);
      return writer.add(std::move(*chat), counts);
    });
    if (!read)
      return tl::unexpected(read.error());
  }
  if (counts.chats == 0)
    return fail("expected chats, found none in {} inputs", inputs.size());
  if (Result<> done = writer.finish(); !done)
    return tl::unexpected(done.error());
  return counts;
}

} // namespace sinter::data
