// SPDX-License-Identifier: Apache-2.0
// report.html: the curves of a run, and of others beside it, as a page that needs no other file.
#ifndef SINTER_RUNTIME_TRAINING_RUNREPORT_H
#define SINTER_RUNTIME_TRAINING_RUNREPORT_H

#include "runtime/training/MetricsFile.h"

#include <span>
#include <utility>

namespace sinter::training {

struct NamedRun {
  std::string name;
  Metrics metrics;
};

/// The page. `runs`: the run itself first; `flags`: its flags and their values.
std::string makeRunReport(std::span<const NamedRun> runs,
                          std::span<const std::pair<std::string, std::string>> flags);

} // namespace sinter::training

#endif // SINTER_RUNTIME_TRAINING_RUNREPORT_H
