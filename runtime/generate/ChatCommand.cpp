// SPDX-License-Identifier: Apache-2.0
// --chat: turns of a conversation through the model's own chat template. Each turn renders the whole history;
// what the cache holds of it already is not computed again.
#include "runtime/chat/Template.h"
#include "runtime/files/Utf8.h"
#include "runtime/generate/Commands.h"
#include "runtime/generate/Loop.h"
#include "runtime/generate/Output.h"
#include "runtime/generate/Transcript.h"
#include <cerrno>
#include <cstring>
#include <optional>
#include <poll.h>
#include <unistd.h>

namespace sinter {

namespace {

/// Waits for standard input; false after an interrupt. The wait is cut into short ones, because an interrupt
/// that comes just before one does not end it.
bool awaitInput(const std::atomic<bool> &interrupt) {
  pollfd input = {STDIN_FILENO, POLLIN, 0};
  while (!interrupt) {
    const int ready = poll(&input, 1, 100);
    if (ready > 0 || (ready < 0 && errno != EINTR))
      return true;
  }
  return false;
}

/// The next line of standard input, without its end; nothing at the input's end and after an interrupt.
Result<std::optional<std::string>> readLine(std::string &buffer, const std::atomic<bool> &interrupt) {
  while (true) {
    if (const size_t end = buffer.find('\n'); end != std::string::npos) {
      std::string line = buffer.substr(0, end);
      buffer.erase(0, end + 1);
      if (line.ends_with('\r'))
        line.pop_back();
      return std::optional(std::move(line));
    }
    if (!awaitInput(interrupt))
      return std::nullopt;
    char bytes[4096];
    const ssize_t got = read(STDIN_FILENO, bytes, sizeof bytes);
    if (got > 0) {
      buffer.append(bytes, size_t(got));
      continue;
    }
    if (got < 0 && errno != EINTR && errno != EAGAIN && errno != EIO) // EIO: the terminal has gone
      return fail("standard input: cannot read: {}", std::strerror(errno));
    if (got < 0 && errno != EIO)
      continue;
    if (buffer.empty())
      return std::nullopt;
    return std::optional(std::exchange(buffer, {}));
  }
}

/// Shows an answer and remembers its text.
class Answer final : public LoopObserver {
public:
  Answer(Transcript &transcript, const Codec &codec, bool special)
      : transcript(transcript), codec(codec), special(special) {}
  bool onToken(const TokenEvent &event) override {
    if (event.isEnd && special)
      end = codec.tokenBytes(event.token);
    return transcript.onToken(event);
  }
  bool onText(int sequence, std::string_view piece) override {
    text += piece;
    return transcript.onText(sequence, piece);
  }
  void onContextShift(int64_t kept) override { transcript.onContextShift(kept); }
  /// What the conversation remembers: not the end token that --special shows, which the template adds itself.
  std::string take() && {
    if (text.ends_with(end))
      text.resize(text.size() - end.size());
    return std::move(text);
  }

private:
  Transcript &transcript;
  const Codec &codec;
  const bool special; // whether the end token is part of the text
  std::string text, end;
};

/// One conversation.
class Chat {
public:
  Chat(const Setting &setting, const Codec &codec, chat::Template form, Engine &engine, Loop &loop,
       Transcript &transcript)
      : setting(setting), codec(codec), form(std::move(form)), engine(engine), loop(loop),
        transcript(transcript) {
    if (setting.options.system)
      messages.push_back({"system", *setting.options.system});
  }

  /// Adds the user's text and the model's answer to it.
  Result<Ending> turn(std::string text, const std::atomic<bool> &interrupt) {
    messages.push_back({"user", repairUtf8(text)});
    Result<std::vector<int32_t>> prompt = render();
    while (prompt && int64_t(prompt->size()) >= engine.capacity() && setting.options.contextShift && forget())
      prompt = render();
    if (!prompt)
      return tl::unexpected(prompt.error());
    if (int64_t(prompt->size()) >= engine.capacity())
      return fail(
          "the conversation has {} tokens, the context {}: expected a larger -c or --context-shift, which "
          "forgets the oldest turns",
          prompt->size(), engine.capacity());
    Answer answer(transcript, codec, setting.options.special);
    const Result<Ending> ending = loop.run(*prompt, answer, interrupt);
    messages.push_back({"assistant", std::move(answer).take()});
    return ending;
  }

private:
  Result<std::vector<int32_t>> render() const {
    const Result<std::string> text = form.render(messages, setting.metadata.specialTokens, true);
    if (!text)
      return tl::unexpected(text.error());
    Result<std::vector<int32_t>> tokens =
        encodeForModel(setting, codec, *text, false); // the template has put in what belongs in front
    if (tokens && tokens->empty())
      return fail("the chat template made no text of the conversation");
    return tokens;
  }

  /// Drops the oldest question and its answer; false when there is none but the newest.
  bool forget() {
    const size_t first = messages[0].role == "system" ? 1 : 0;
    if (messages.size() < first + 3)
      return false;
    messages.erase(messages.begin() + ptrdiff_t(first), messages.begin() + ptrdiff_t(first) + 2);
    remark("context full: the oldest turn is forgotten\n");
    return true;
  }

  const Setting &setting;
  const Codec &codec;
  const chat::Template form;
  Engine &engine;
  Loop &loop;
  Transcript &transcript;
  std::vector<chat::Message> messages;
};

} // namespace

Result<void> runChat(const Setting &setting) {
  const Options &options = setting.options;
  Result<chat::Template> form = chat::Template::parse(setting.metadata.chatTemplate);
  if (!form)
    return tl::unexpected(form.error());
  std::optional<std::string> text;
  if (options.prompt || options.file) {
    Result<std::string> input = inputText(options);
    if (!input)
      return tl::unexpected(input.error());
    text = std::move(*input);
  }
  Result<std::unique_ptr<Codec>> codec = setting.openCodec(setting.model);
  if (!codec)
    return tl::unexpected(codec.error());
  Result<std::unique_ptr<device::Device>> device = openDevice(setting);
  if (!device)
    return tl::unexpected(device.error());
  Result<std::unique_ptr<device::Session>> session = openSession(setting, **device, 0, 1);
  if (!session)
    return tl::unexpected(session.error());
  Engine engine(setting.model, std::move(*session));
  Sampler sampler = makeSampler(setting);
  Loop loop(engine, **codec, sampler, loopOptions(setting));
  Output out(STDOUT_FILENO);
  Transcript transcript(setting, **codec, sampler, out);
  Chat conversation(setting, **codec, std::move(*form), engine, loop, transcript);

  const bool terminal = isatty(STDIN_FILENO), once = text && !terminal;
  std::string buffer;
  Result<void> result;
  while (out.ok()) {
    std::atomic<bool> &interrupt =
        watchInterrupt(); // one interrupt ends an answer, one at the prompt the chat
    interrupt = false;
    if (!text) {
      if (terminal)
        remark("> ");
      Result<std::optional<std::string>> line = readLine(buffer, interrupt);
      if (!line)
        result = tl::unexpected(line.error());
      if (!line || !*line)
        break;
      text = std::move(*line);
      if (text->empty()) {
        text.reset();
        continue;
      }
    }
    const Result<Ending> ending = conversation.turn(*std::exchange(text, {}), interrupt);
    if (!ending) {
      result = tl::unexpected(ending.error());
      break;
    }
    if (!options.json)
      out.write("\n");
    remarkEnding(*ending, engine.capacity());
    if (once || (interrupt && !terminal))
      break;
  }
  if (terminal)
    remark("\n");
  remarkTimes(loop.times());
  return result ? out.status() : result;
}

} // namespace sinter
