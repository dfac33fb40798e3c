// SPDX-License-Identifier: Apache-2.0
// The C interface over the same parts as the program: a device, an engine, a sampler.
#include "runtime/generate/CApi.h"
#include "runtime/device/WeightsMapping.h"
#include "runtime/generate/ContextSize.h"
#include "runtime/generate/DeviceOpening.h"
#include "runtime/generate/Engine.h"
#include "runtime/generate/LibraryModel.h"
#include "runtime/generate/Metadata.h"
#include "runtime/generate/SamplingRanges.h"
#include "runtime/generate/WeightsFile.h"
#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <optional>

using namespace sinter;

struct sinter_session {
  const struct sinter_model &model;
  Metadata metadata;
  std::unique_ptr<Codec> codec;
  std::unique_ptr<device::Device> device;
  std::string description; // of the device
  std::unique_ptr<Engine> engine;
  std::optional<Sampler> sampler;
  std::vector<int32_t> history; // tokens in the cache
  std::span<const float> logits;
  std::string error;

  template <typename Number> Number failed(const Error &reason, Number code) {
    error = reason.message;
    return code;
  }
};

/// CApiOpen.cpp calls it.
sinter_session *sinter_open_checked(const sinter_open_options *options, char **error);

namespace {

constexpr const char *noMemory = "expected more memory, the system gave none";
constexpr const char *noLogits = "there are no logits: expected a step first, and after a rewind";

Result<std::unique_ptr<sinter_session>> openModel(const sinter_open_options &options) {
  const struct sinter_model &model = libraryModel();
  Result<Metadata> metadata =
      parseMetadata({static_cast<const char *>(model.metadata.data), size_t(model.metadata.size)});
  if (!metadata)
    return tl::unexpected(metadata.error());
  Result<std::unique_ptr<Codec>> codec = openLibraryCodec(model);
  if (!codec)
    return tl::unexpected(codec.error());
  device::SessionOptions session;
  if (options.kv_type) {
    for (sinter_dtype type : {SINTER_F32, SINTER_F16, SINTER_BF16})
      if (std::strcmp(options.kv_type, device::dtypeName(type)) == 0)
        session.cacheDtype = type;
    if (!session.cacheDtype)
      return fail("kv_type: expected f16, bf16 or f32, found '{}'", options.kv_type);
  }
  const int64_t most = model.context > 0 ? model.context : std::numeric_limits<int32_t>::max();
  if (options.context < 0 || options.context > most)
    return fail("context: expected 0 to {} tokens, found {}", most, options.context);
  if (options.threads < 0 || options.threads > 1024)
    return fail("threads: expected 0 to 1024, found {}", options.threads);
  DeviceChoice choice = DeviceChoice::Auto;
  if (options.device && !readDeviceChoice(options.device, choice))
    return fail("device: expected cpu, cuda or emulator, found '{}'", options.device);
  device::DeviceOptions wanted;
  wanted.threads = options.threads;
  wanted.weightsPath =
      findWeightsFile(options.weights_file ? options.weights_file : "", metadata->weightsFile);
  wanted.emulatorFolder = metadata->emulatorFolder;
  if (options.check_weights)
    if (Result<device::WeightsMapping> whole =
            device::WeightsMapping::open(model, wanted.weightsPath, device::WeightsCheck::All);
        !whole)
      return tl::unexpected(whole.error());
  std::string said; // sinter_device tells
  Result<std::unique_ptr<device::Device>> device = openDevice(model, choice, wanted, said);
  if (!device && options.device)
    return fail("device {}: {}", options.device, device.error().message);
  if (!device)
    return tl::unexpected(device.error());
  const Result<ContextSize> context =
      chooseContext(model, **device, {options.context, 0, 1, session.cacheDtype});
  if (!context)
    return fail("context: {}", context.error().message);
  session.capacity = context->tokens;
  Result<std::unique_ptr<device::Session>> opened = (*device)->openSession(session);
  if (!opened)
    return tl::unexpected(opened.error());
  const std::string name = (*device)->name();
  std::string description =
      fmt::format("{}{} ({})", (*device)->backend(), name.empty() ? "" : ": " + name, (*device)->isaName());
  auto engine = std::make_unique<Engine>(model, std::move(*opened));
  return std::unique_ptr<sinter_session>(new sinter_session{model,
                                                            std::move(*metadata),
                                                            std::move(*codec),
                                                            std::move(*device),
                                                            std::move(description),
                                                            std::move(engine),
                                                            {},
                                                            {},
                                                            {},
                                                            {}});
}

/// What `call` gives, or `code` where memory is lacking: no exception may pass through C.
template <typename Number, typename Call>
Number guarded(sinter_session *session, Number code, const Call &call) {
  try {
    return call();
  } catch (const std::bad_alloc &) {
    session->error = noMemory; // there is room for it from the beginning
    return code;
  }
}

/// The model's defaults with what the caller has chosen.
Result<SamplerOptions> chosen(const SamplerOptions &defaults, const sinter_sample_options *given) {
  SamplerOptions options = defaults;
  if (!given)
    return options;
  if (!(given->temperature < 0)) // NaN is refused below
    options.temperature = given->temperature;
  if (given->top_k >= 0)
    options.topK = given->top_k;
  if (!(given->top_p < 0))
    options.topP = given->top_p;
  if (!(given->min_p < 0))
    options.minP = given->min_p;
  if (given->repeat_penalty != 0)
    options.repeatPenalty = given->repeat_penalty;
  if (given->repeat_last_n >= -1)
    options.repeatLastN = given->repeat_last_n;
  options.presencePenalty = given->presence_penalty;
  options.frequencyPenalty = given->frequency_penalty;
  options.seed = given->seed;
  Result<void> checked;
  const auto check = [&](const char *name, float value, sampling::Range<float> range) {
    if (checked && !range.contains(value))
      checked = fail("{}: expected a number from {} to {}, found {}", name, range.least, range.most, value);
  };
  check("temperature", options.temperature, sampling::temperature);
  check("top_p", options.topP, sampling::topP);
  check("min_p", options.minP, sampling::minP);
  check("repeat_penalty", options.repeatPenalty, sampling::repeatPenalty);
  check("presence_penalty", options.presencePenalty, sampling::penalty);
  check("frequency_penalty", options.frequencyPenalty, sampling::penalty);
  if (!checked)
    return tl::unexpected(checked.error());
  return options;
}

} // namespace

sinter_session *sinter_open_checked(const sinter_open_options *options, char **error) {
  try {
    Result<std::unique_ptr<sinter_session>> session = openModel(options ? *options : sinter_open_options{});
    if (session) {
      (*session)->error.reserve(std::strlen(noMemory));
      return session->release();
    }
    if (error)
      *error = strdup(session.error().message.c_str());
  } catch (const std::bad_alloc &) {
    if (error)
      *error = strdup(noMemory);
  }
  return nullptr;
}

void sinter_close(sinter_session *session) { delete session; }
void sinter_free(char *text) { std::free(text); }
const char *sinter_error(const sinter_session *session) { return session->error.c_str(); }
const char *sinter_device(const sinter_session *session) { return session->description.c_str(); }
int64_t sinter_vocabulary(const sinter_session *session) { return session->model.vocabulary; }
int64_t sinter_context(const sinter_session *session) { return session->engine->capacity(); }
int64_t sinter_position(const sinter_session *session) { return int64_t(session->history.size()); }

int sinter_is_end(const sinter_session *session, int32_t token) {
  const std::vector<int32_t> &ends = session->metadata.eos;
  return std::find(ends.begin(), ends.end(), token) != ends.end();
}

int64_t sinter_tokenize(sinter_session *session, const char *text, size_t size, int special, int32_t *ids,
                        int64_t capacity) {
  return guarded(session, int64_t(-1), [&]() -> int64_t {
    const Result<std::vector<int32_t>> all = session->codec->encode({text, size}, special != 0);
    if (!all)
      return session->failed(all.error(), int64_t(-1));
    std::copy_n(all->begin(), std::min<int64_t>(std::max<int64_t>(capacity, 0), int64_t(all->size())), ids);
    return int64_t(all->size());
  });
}

int64_t sinter_detokenize(sinter_session *session, const int32_t *ids, int64_t count, char *text,
                          size_t capacity) {
  return guarded(session, int64_t(-1), [&]() -> int64_t {
    for (int64_t i = 0; i < count; ++i)
      if (ids[i] < 0 || ids[i] >= session->model.vocabulary)
        return session->failed({fmt::format("expected token ids from 0 to {}, found {} as number {}",
                                            session->model.vocabulary - 1, ids[i], i)},
                               int64_t(-1));
    const std::string all = session->codec->decode({ids, size_t(count)});
    std::copy_n(all.data(), std::min(capacity, all.size()), text); // null with a capacity of 0
    return int64_t(all.size());
  });
}

int sinter_step(sinter_session *session, const int32_t *ids, int64_t count) {
  return guarded(session, -1, [&]() -> int {
    const int64_t position = sinter_position(session), context = sinter_context(session);
    if (count < 1)
      return session->failed({fmt::format("expected at least one token, found {}", count)}, -1);
    if (count > context - position)
      return session->failed({fmt::format("the context of {} tokens is full: it holds {}, {} more are given",
                                          context, position, count)},
                             -1);
    for (int64_t i = 0; i < count; ++i)
      if (ids[i] < 0 || ids[i] >= session->model.vocabulary)
        return session->failed({fmt::format("expected token ids from 0 to {}, found {} as number {}",
                                            session->model.vocabulary - 1, ids[i], i)},
                               -1);
    const Result<std::span<const float>> logits = session->engine->prefill(0, {ids, size_t(count)}, position);
    if (!logits)
      return session->failed(logits.error(), -1);
    session->logits = *logits;
    session->history.insert(session->history.end(), ids, ids + count);
    return 0;
  });
}

int sinter_rewind(sinter_session *session, int64_t position) {
  if (position < 0 || position > sinter_position(session))
    return session->failed(
        {fmt::format("expected a position from 0 to {}, found {}", sinter_position(session), position)}, -1);
  session->history.resize(size_t(position));
  session->logits = {};
  return 0;
}

const float *sinter_logits(sinter_session *session) { return session->logits.data(); }

int sinter_log_probabilities(sinter_session *session, float *out) {
  if (session->logits.empty())
    return session->failed({noLogits}, -1);
  const double norm = logSumExp(session->logits);
  for (size_t i = 0; i < session->logits.size(); ++i)
    out[i] = float(double(session->logits[i]) - norm);
  return 0;
}

int64_t sinter_sample(sinter_session *session, const sinter_sample_options *options) {
  return guarded(session, int64_t(-1), [&]() -> int64_t {
    if (session->logits.empty())
      return session->failed({noLogits}, int64_t(-1));
    Result<SamplerOptions> wanted = chosen(session->metadata.sampling, options);
    if (!wanted)
      return session->failed(wanted.error(), int64_t(-1));
    if (!session->sampler)
      session->sampler.emplace(*wanted, session->model.vocabulary);
    else
      session->sampler->setOptions(std::move(*wanted));
    const Result<int32_t> token = session->sampler->sample(
        session->logits, session->history, options ? options->stream : 0, session->history.size());
    return token ? *token : session->failed(token.error(), int64_t(-1));
  });
}
