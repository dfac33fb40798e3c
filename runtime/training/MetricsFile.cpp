// SPDX-License-Identifier: Apache-2.0
#include "runtime/training/MetricsFile.h"
#include "runtime/files/Json.h"
#include "runtime/files/JsonWriter.h"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <sys/stat.h>
#include <unistd.h>

namespace sinter::training {
namespace {

Result<std::string> readAll(const std::string &path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return fail("{}: cannot read: {}", path, std::strerror(errno));
  std::string text;
  char buffer[1 << 16];
  ssize_t count;
  while ((count = ::read(descriptor, buffer, sizeof buffer)) > 0)
    text.append(buffer, size_t(count));
  const int error = errno;
  ::close(descriptor);
  if (count < 0)
    return fail("{}: cannot read: {}", path, std::strerror(error));
  return text;
}

/// Calls use(line number, text, begin) for each complete line until it gives false or an error.
template <typename Use> Result<> eachLine(const std::string &text, Use use) {
  size_t begin = 0, number = 1;
  for (size_t end; (end = text.find('\n', begin)) != text.npos; begin = end + 1, ++number) {
    Result<bool> more = use(number, text.substr(begin, end - begin), begin);
    if (!more)
      return tl::unexpected(more.error());
    if (!*more)
      break;
  }
  return {};
}

/// null, which stands for a number that is not finite, is NaN.
Result<double> numberOf(const JsonValue &object, std::string_view key) {
  return object[key].isNull() ? Result<double>(std::numeric_limits<double>::quiet_NaN())
                              : object.get<double>(key);
}

} // namespace

std::string metricsLine(const StepMetrics &metrics) {
  JsonWriter json;
  json.beginObject().key("step").value(metrics.step).key("loss").value(metrics.loss);
  json.key("grad_norm").value(metrics.norm).key("lr").value(metrics.rate).key("ms").value(metrics.ms);
  json.key("tokens_per_s").value(metrics.tokensPerSecond);
  if (metrics.routerLoss)
    json.key("router_loss").value(*metrics.routerLoss);
  return json.endObject().take() + "\n";
}

std::string metricsLine(const Evaluation &evaluation) {
  JsonWriter json;
  json.beginObject().key("step").value(evaluation.step).key("val_loss").value(evaluation.loss);
  json.key("val_bits_per_byte");
  evaluation.bitsPerByte ? json.value(*evaluation.bitsPerByte) : json.null();
  return json.endObject().take() + "\n";
}

Result<> truncateMetrics(const std::string &path, int64_t step) {
  struct stat status;
  if (::stat(path.c_str(), &status) != 0 && errno == ENOENT)
    return {};
  Result<std::string> text = readAll(path);
  if (!text)
    return tl::unexpected(text.error());
  size_t good = 0;
  (void)eachLine(*text, [&](size_t, std::string line, size_t begin) -> Result<bool> {
    Result<Json> json = Json::parse(line, path);
    Result<int64_t> at = json ? json->root().get<int64_t>("step") : fail("not JSON");
    if (!at || *at > step || (*at == step && json->root().has("loss")))
      return false;
    good = begin + line.size() + 1;
    return true;
  });
  if (good < text->size() && ::truncate(path.c_str(), off_t(good)) != 0)
    return fail("{}: cannot cut to {} bytes: {}", path, good, std::strerror(errno));
  return {};
}

Result<Metrics> readMetrics(const std::string &path) {
  Result<std::string> text = readAll(path);
  if (!text)
    return tl::unexpected(text.error());
  Metrics metrics;
  Result<> read = eachLine(*text, [&](size_t number, std::string line, size_t) -> Result<bool> {
    Result<Json> json = Json::parse(std::move(line), fmt::format("{}, line {}", path, number));
    if (!json)
      return tl::unexpected(json.error());
    const JsonValue object = json->root();
    Result<int64_t> step = object.get<int64_t>("step");
    if (!step)
      return tl::unexpected(step.error());
    if (object.has("loss")) {
      Result<double> loss = numberOf(object, "loss"), norm = numberOf(object, "grad_norm"),
                     rate = numberOf(object, "lr"), ms = numberOf(object, "ms"),
                     speed = numberOf(object, "tokens_per_s");
      for (const Result<double> *value : {&loss, &norm, &rate, &ms, &speed})
        if (!*value)
          return tl::unexpected(value->error());
      StepMetrics &row = metrics.steps.emplace_back(StepMetrics{*step, *loss, *norm, *rate, *ms, *speed});
      if (object.has("router_loss"))
        row.routerLoss = numberOf(object, "router_loss").value_or(std::numeric_limits<double>::quiet_NaN());
      return true;
    }
    Result<double> loss = numberOf(object, "val_loss"), bits = numberOf(object, "val_bits_per_byte");
    for (const Result<double> *value : {&loss, &bits})
      if (!*value)
        return tl::unexpected(value->error());
    metrics.evaluations.push_back(
        {*step, *loss, std::isnan(*bits) ? std::nullopt : std::optional<double>(*bits)});
    return true;
  });
  if (!read)
    return tl::unexpected(read.error());
  return metrics;
}

} // namespace sinter::training
