// SPDX-License-Identifier: Apache-2.0
// sinter run-ptx.
#include "runtime/device/emulator/RunPtx.h"
#include "runtime/device/emulator/Execution.h"
#include "runtime/device/emulator/KernelArguments.h"
#include "runtime/device/emulator/Modules.h"
#include "runtime/files/JsonWriter.h"
#include "runtime/files/MappedFile.h"

#include <algorithm>
#include <cstdlib>

namespace sinter::emulator {

const char *const runPtxUsage =
    R"(usage: sinter run-ptx FILE.ptx [--entry NAME] --grid X[,Y[,Z]] --block X[,Y[,Z]] [--cluster X[,Y[,Z]]] [--shared BYTES]
       [--arg ARGUMENT]... [--races] [--schedule earliest|latest] [--counters] [--json] [--threads N]
       [--max-instructions N]

Runs one kernel of a PTX file in the emulator, whatever compiler made it. Arguments in the kernel's order:
  in:a.npy   inout:a.npy   out:c.npy:f32[128,128]      buffers (bf16 travels as uint16)
  in:a.npy:24=b.npy                                    bytes 24 to 31 of a are the address of b
  u32:512    f32:0.5       ptr:0                       numbers of the types u8..u64, s8..s64, f16, bf16, f32, f64
  map:a.npy:box=64,128:swizzle=128                     a tensor map; the box in NumPy's order, outermost first;
  map:out:c.npy:f32[128,128]:box=64,64                 a buffer that another argument names is the same buffer
  map:a.npy:f16[128,64]:box=64,64                      its bytes as another type and shape
--races       runs both schedules of asynchronous work, compares their results, and reports races and missing waits
--counters    prints what the launch cost: instructions by class, sectors, bank conflicts, tensor FLOPs
--json        prints all of it as JSON
--max-instructions  an error where a warp executes more, as in a loop that never ends; any number without
)";

namespace {

struct Options {
  std::string file, entry;
  std::array<uint32_t, 3> grid{}, block{}, cluster{};
  uint64_t shared = 0;
  std::vector<std::string> arguments;
  bool races = false, counters = false, json = false;
  Schedule schedule = Schedule::earliest;
  unsigned threads = 0;
  uint64_t maxInstructions = 0;
};

Result<uint64_t> number(const std::string &flag, const std::string &text) {
  char *end = nullptr;
  const uint64_t value = std::strtoull(text.c_str(), &end, 0);
  if (text.empty() || text[0] < '0' || text[0] > '9' || *end)
    return fail("{}: expected a number, found '{}'", flag, text);
  return value;
}

Result<std::array<uint32_t, 3>> dimensions(const std::string &flag, const std::string &text) {
  std::array<uint32_t, 3> result{1, 1, 1};
  size_t start = 0;
  for (size_t axis = 0; axis < 3; ++axis) {
    const size_t comma = text.find(',', start);
    const Result<uint64_t> value = number(flag, text.substr(start, comma - start));
    if (!value || !*value || *value > 0x7fffffff)
      return fail("{}: expected X, X,Y or X,Y,Z, numbers from 1 to 2147483647, found '{}'", flag, text);
    result[axis] = static_cast<uint32_t>(*value);
    if (comma == std::string::npos)
      return result;
    start = comma + 1;
  }
  return fail("{}: expected at most three numbers, found '{}'", flag, text);
}

Result<Options> parse(std::span<const std::string> arguments) {
  Options options;
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string flag = arguments[i], value;
    if (flag.empty() || flag[0] != '-') {
      if (!options.file.empty())
        return fail("expected one PTX file, found '{}' and '{}'", options.file, flag);
      options.file = flag;
      continue;
    }
    if (flag == "--races" || flag == "--counters" || flag == "--json") {
      (flag == "--races" ? options.races : flag == "--counters" ? options.counters : options.json) = true;
      continue;
    }
    const std::string name = flag.substr(0, flag.find('='));
    if (name != "--grid" && name != "--block" && name != "--cluster" && name != "--shared" &&
        name != "--threads" && name != "--entry" && name != "--arg" && name != "--schedule" &&
        name != "--max-instructions")
      return fail("unknown flag '{}'", name);
    if (const size_t equals = flag.find('='); equals != std::string::npos) {
      value = flag.substr(equals + 1);
      flag.resize(equals);
    } else if (++i < arguments.size()) {
      value = arguments[i];
    } else {
      return fail("{}: expected a value", flag);
    }
    if (flag == "--grid" || flag == "--block" || flag == "--cluster") {
      const auto dims = dimensions(flag, value);
      if (!dims)
        return tl::unexpected<Error>(dims.error());
      (flag == "--grid" ? options.grid : flag == "--block" ? options.block : options.cluster) = *dims;
    } else if (flag == "--shared" || flag == "--threads") {
      const Result<uint64_t> parsed = number(flag, value);
      if (!parsed)
        return tl::unexpected<Error>(parsed.error());
      if (flag == "--shared")
        options.shared = *parsed;
      else
        options.threads = static_cast<unsigned>(std::min<uint64_t>(*parsed, 1024));
    } else if (flag == "--max-instructions") {
      const Result<uint64_t> parsed = number(flag, value);
      if (!parsed || !*parsed)
        return fail("{}: expected a number from 1 on, found '{}'", flag, value);
      options.maxInstructions = *parsed;
    } else if (flag == "--entry") {
      options.entry = value;
    } else if (flag == "--arg") {
      options.arguments.push_back(value);
    } else if (value != "earliest" && value != "latest") {
      return fail("{}: expected earliest or latest, found '{}'", flag, value);
    } else {
      options.schedule = value == "latest" ? Schedule::latest : Schedule::earliest;
    }
  }
  if (options.file.empty())
    return fail("expected a PTX file");
  if (!options.grid[0] || !options.block[0])
    return fail("expected --grid and --block");
  return options;
}

struct Report {
  std::vector<std::string> hazards;
  KernelCounters counters;
};

Result<Report> launchOnce(const Options &options, const Program &program,
                          const std::vector<uint8_t> &parameters, GlobalMemory &memory, Schedule schedule) {
  Launch launch;
  launch.program = &program;
  launch.grid = options.grid;
  launch.block = options.block;
  if (options.cluster[0])
    launch.cluster = options.cluster;
  else if (program.requiredCluster[0])
    launch.cluster = program.requiredCluster;
  launch.dynamicShared = options.shared;
  launch.parameters = parameters;
  launch.memory = &memory;
  launch.options = {schedule, options.races, options.counters || options.json, options.threads,
                    options.maxInstructions};
  Result<KernelCounters> counters = execute(launch);
  if (!counters)
    return tl::unexpected<Error>(counters.error());
  return Report{launch.hazards.take(), std::move(*counters)};
}

std::string hazardsJson(const std::vector<std::string> &hazards) {
  JsonWriter json;
  json.beginArray();
  for (const std::string &each : hazards)
    json.value(each);
  return json.endArray().take();
}

Result<RunPtxOutcome> run(Options options) {
  Result<MappedFile> file = MappedFile::open(options.file);
  if (!file)
    return tl::unexpected(file.error());
  const std::string text(file->text());
  GlobalMemory memory;
  const auto inFile = [&](const Error &error) { return fail("{}: {}", options.file, error.message); };
  auto module = LoadedModule::load(text, memory);
  if (!module)
    return inFile(module.error());
  const Result<const Program *> program = (*module)->kernel(options.entry);
  if (!program)
    return inFile(program.error());
  KernelArguments arguments(memory);
  for (const std::string &each : options.arguments)
    if (Result<> added = arguments.add(each); !added)
      return tl::unexpected<Error>(added.error());
  const auto parameters = arguments.parameters(**program);
  if (!parameters)
    return tl::unexpected<Error>(parameters.error());

  // Sums of atomics depend on the order of blocks in their last bits: with one thread it is the same in both
  // schedules.
  if (options.races && !options.threads &&
      std::any_of((*program)->code.begin(), (*program)->code.end(),
                  [](const Instruction &in) { return in.kind == InstructionClass::atomic; }))
    options.threads = 1;
  Result<Report> report = launchOnce(options, **program, *parameters, memory, options.schedule);
  if (!report)
    return inFile(report.error());
  if (options.races) { // the other schedule must come to the same
    const auto first = arguments.outputs();
    arguments.restore();
    const Schedule other = options.schedule == Schedule::latest ? Schedule::earliest : Schedule::latest;
    const Result<Report> second = launchOnce(options, **program, *parameters, memory, other);
    if (!second)
      return inFile(second.error());
    for (const std::string &each : second->hazards)
      if (std::find(report->hazards.begin(), report->hazards.end(), each) == report->hazards.end())
        report->hazards.push_back(each);
    if (arguments.outputs() != first)
      report->hazards.push_back(
          "the results differ between the earliest and the latest completion of asynchronous work");
  }
  if (Result<> written = arguments.writeOutputs(); !written)
    return tl::unexpected<Error>(written.error());
  RunPtxOutcome outcome;
  outcome.code = report->hazards.empty() ? 0 : 1;
  const bool showsHazards = options.races || outcome.code != 0; // some are found without being looked for
  if (options.json) {
    JsonWriter json;
    json.beginObject().key("counters").raw(countersJson(**program, report->counters));
    if (showsHazards)
      json.key("hazards").raw(hazardsJson(report->hazards));
    outcome.text = json.endObject().take() + "\n";
    return outcome;
  }
  if (options.counters)
    outcome.text += countersTable(**program, report->counters);
  if (showsHazards) {
    for (const std::string &each : report->hazards)
      outcome.text += fmt::format("{}: {}\n", options.file, each);
    outcome.text +=
        report->hazards.empty() ? "no hazards\n" : fmt::format("{} hazards\n", report->hazards.size());
  }
  return outcome;
}

} // namespace

RunPtxOutcome runPtx(std::span<const std::string> arguments) {
  if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "-h")
    return {runPtxUsage, "", arguments.empty() ? 2 : 0};
  const Result<Options> options = parse(arguments);
  if (!options)
    return {"", fmt::format("sinter run-ptx: {}\n", options.error().message), 2};
  Result<RunPtxOutcome> outcome = run(*options);
  if (!outcome)
    return {"", fmt::format("error: {}\n", outcome.error().message), 1};
  return *outcome;
}

} // namespace sinter::emulator
