// SPDX-License-Identifier: Apache-2.0
// Finds flags in their table, and prints it.
#include "runtime/generate/Flags.h"
#include <algorithm>

namespace sinter {

namespace {

/// Calls use(name) for each of "-n,--predict" until it returns true; whether it did.
template <typename Use> bool anyName(std::string_view names, Use use) {
  while (!names.empty()) {
    const size_t end = std::min(names.find(','), names.size());
    if (use(names.substr(0, end)))
      return true;
    names.remove_prefix(std::min(end + 1, names.size()));
  }
  return false;
}

struct Found {
  const Flag *flag = nullptr;
  std::string_view name;
  bool hasValue = false;
  std::string_view value; ///< in the same argument
};

Found find(std::span<const FlagGroup> groups, std::string_view argument) {
  const size_t equals = argument.starts_with("--") ? argument.find('=') : argument.npos;
  Found shortest; // "-n5", unless a name is the whole argument
  for (const FlagGroup &group : groups)
    for (const Flag &flag : group.flags) {
      Found found;
      const bool matches = anyName(flag.names, [&](std::string_view name) {
        if (argument == name)
          found = {&flag, name, false, {}};
        else if (equals != argument.npos && argument.substr(0, equals) == name)
          found = {&flag, name, true, argument.substr(equals + 1)};
        else if (name.size() == 2 && !flag.value.empty() && argument.starts_with(name))
          shortest = {&flag, name, true, argument.substr(2)};
        return found.flag != nullptr;
      });
      if (matches)
        return found;
    }
  return shortest;
}

const Flag *findNameless(std::span<const FlagGroup> groups) {
  for (const FlagGroup &group : groups)
    for (const Flag &flag : group.flags)
      if (flag.names.empty())
        return &flag;
  return nullptr;
}

bool beginsWithDigit(const char *text) { return text[0] >= '0' && text[0] <= '9'; }

} // namespace

Result<void> parseFlags(std::span<const FlagGroup> groups, int argc, const char *const *argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    Found found = find(groups, argument);
    if (const Flag *words = argument.starts_with('-') ? nullptr : findNameless(groups);
        words && !found.flag) {
      if (Result<void> set = words->set(argument); !set)
        return fail("{}: {}", words->value, set.error().message);
      continue;
    }
    if (argument.empty())
      return fail("expected a flag, found an empty argument");
    if (!found.flag)
      return fail("{}: expected {}", argument,
                  argument.starts_with('-') ? "a known flag" : "a flag, found a word");
    if (found.flag->value.empty()) {
      if (found.hasValue)
        return fail("{}: expected no value, found '{}'", found.name, found.value);
    } else if (!found.hasValue) {
      if (found.flag->optional)
        found.value = i + 1 < argc && beginsWithDigit(argv[i + 1]) ? argv[++i] : std::string_view();
      else if (i + 1 == argc)
        return fail("{}: expected a value, found none", found.name);
      else
        found.value = argv[++i];
    }
    if (Result<void> set = found.flag->set(found.value); !set)
      return fail("{}: {}", found.name, set.error().message);
  }
  return {};
}

std::string describeFlags(std::span<const FlagGroup> groups) {
  constexpr size_t column = 40;
  std::string text;
  for (const FlagGroup &group : groups) {
    text += fmt::format("\n{}:\n", group.title);
    for (const Flag &flag : group.flags) {
      std::string line = "  ";
      anyName(flag.names, [&](std::string_view name) {
        line += line.size() > 2 ? ", " : "";
        line += name;
        return false;
      });
      if (flag.names.empty())
        line += flag.value;
      else if (!flag.value.empty())
        line += flag.optional ? fmt::format(" [{}]", flag.value) : fmt::format(" {}", flag.value);
      line += line.size() < column ? std::string(column - line.size(), ' ') : "\n" + std::string(column, ' ');
      text += fmt::format("{}{}\n", line, flag.help);
    }
  }
  return text;
}

} // namespace sinter
