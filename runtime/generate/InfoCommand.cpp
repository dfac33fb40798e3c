// SPDX-License-Identifier: Apache-2.0
// --info: what this program contains and what it runs on.
#include "runtime/device/CacheLayout.h"
#include "runtime/generate/Commands.h"
#include "runtime/generate/Output.h"
#include <unistd.h>

namespace sinter {

namespace {

/// Sums of one run of an entry.
struct EntrySum {
  uint64_t weightBytes = 0, rowFlops = 0, launches = 0;
};
EntrySum sumOf(const sinter_entry &entry) {
  EntrySum sum;
  for (uint64_t i = 0; i < entry.launch_count; ++i) {
    sum.weightBytes += entry.launches[i].weight_bytes;
    sum.rowFlops += entry.launches[i].row_flops;
  }
  sum.launches = entry.launch_count;
  return sum;
}

/// "NAME       VALUE", a line.
std::string lineOf(std::string_view name, std::string_view value) {
  return fmt::format("{:<22}{}\n", name, value);
}

/// What a step of either kind takes, two lines.
std::string stepsOf(const sinter_program &program) {
  const EntrySum decode = sumOf(program.decode), prefill = sumOf(program.prefill);
  return lineOf("  a decode step",
                fmt::format("{} launches, {:.1f} MB of weights, {:.1f} MFLOP a token", decode.launches,
                            double(decode.weightBytes) / 1e6, double(decode.rowFlops) / 1e6)) +
         lineOf("  a prefill step",
                fmt::format("{} launches, up to {} tokens", prefill.launches, program.prefill.max_rows));
}

} // namespace

Result<void> runInfo(const Setting &setting) {
  const sinter_model &model = setting.model;
  const Metadata &metadata = setting.metadata;
  Result<std::unique_ptr<device::Device>> device = openDevice(setting);
  if (!device)
    return tl::unexpected(device.error());
  std::string text;
  const auto line = [&](const char *name, const std::string &value) {
    if (!value.empty())
      text += lineOf(name, value);
  };
  line("model", model.name ? model.name : metadata.name);
  line("architecture", metadata.architecture);
  line("compiled by", metadata.compiler);
  line("runtime", fmt::format("sinter {}", SINTER_VERSION));
  if (metadata.parameters)
    line("parameters", fmt::format("{:.1f} M", double(metadata.parameters) / 1e6));
  std::string dtypes;
  for (const auto &[name, bytes] : metadata.dtypes)
    dtypes += fmt::format("{}{} {:.1f} MB", dtypes.empty() ? "" : ", ", name, double(bytes) / 1e6);
  line("weights", fmt::format("{:.1f} MB", double(model.weights.size) / 1e6));
  line("weight types", dtypes);
  line("vocabulary", fmt::format("{}", model.vocabulary));
  line("context", model.context ? fmt::format("{} tokens", model.context) : "no limit");
  for (uint64_t i = 0; i < model.program_count; ++i) {
    const sinter_program &program = model.programs[i];
    const std::string type = device::dtypeName(program.cache_dtype);
    line(("cache " + type).c_str(),
         fmt::format("{} bytes a token{}", device::cacheTokenBytes(model, program.cache_dtype),
                     i == 0 && model.program_count > 1 ? " (default; --kv-type chooses)" : ""));
    if (i + 1 < model.program_count && stepsOf(program) == stepsOf(model.programs[i + 1]))
      continue; // said once for all types of cache
    text += stepsOf(program);
  }
  line("chat template",
       metadata.chatTemplate.empty() ? "none" : fmt::format("{} bytes", metadata.chatTemplate.size()));
  std::string ends;
  for (int32_t id : metadata.eos)
    ends += fmt::format("{}{}", ends.empty() ? "" : ", ", id);
  line("end token ids", ends);
  const SamplerOptions &s = metadata.sampling;
  line("sampling", fmt::format("temp {}, top-k {}, top-p {}, min-p {}, repeat-penalty {}", s.temperature,
                               s.topK, s.topP, s.minP, s.repeatPenalty));
  line("device", (*device)->name().empty() ? (*device)->backend()
                                           : fmt::format("{}, {}", (*device)->backend(), (*device)->name()));
  line("instruction set", (*device)->isaName());
  line((*device)->name().empty() ? "threads" : "multiprocessors", fmt::format("{}", (*device)->threads()));
  Output out(STDOUT_FILENO);
  out.write(text);
  return out.status();
}

} // namespace sinter
