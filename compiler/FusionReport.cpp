// SPDX-License-Identifier: Apache-2.0
// Sums the costs of graphs for a step of one token that sees itself alone.
#include "compiler/FusionReport.h"

#include "compiler/ModelTable.h"
#include "dialects/kernel/Kernel.h"
#include "dialects/lm/Cost.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/Format.h"

using namespace mlir;

namespace sinter {

void FusionReport::addRow(ModuleOp module, StringRef function, StringRef name) {
  auto graph = module.lookupSymbol<func::FuncOp>(function);
  if (!graph)
    return;
  Row row{name.str(), 0, lm::costOf(graph.getBody().front(), {})};
  for (Operation &op : graph.getBody().front())
    row.launches += isa<lm::CostInterface>(op) && !isa<lm::ReadOp>(op);
  rows.push_back(std::move(row));
}

void FusionReport::addGraph(ModuleOp module) { addRow(module, "forward", "graph as imported"); }

void FusionReport::addFused(ModuleOp module) {
  for (StringRef form : {"prefill", "decode"})
    addRow(module, form, form);
}

void FusionReport::print(llvm::raw_ostream &stream, StringRef name, uint64_t launches, const lm::Cost &cost) {
  stream << llvm::format("  %-22s %10llu %16lld %14lld %10.2e\n", name.str().c_str(),
                         (unsigned long long)launches, (long long)(cost.readBytes + cost.writtenBytes),
                         (long long)cost.weightBytes, double(cost.flops));
}

void FusionReport::print(llvm::raw_ostream &stream, ModuleOp module) const {
  stream << llvm::format("\n  %-22s %10s %16s %14s %10s\n", "a token", "launches", "activation bytes",
                         "weight bytes", "FLOPs");
  for (const Row &row : rows) {
    if (row.name == "graph as imported") {
      print(stream, row.name, row.launches, row.cost);
      continue;
    }
    // A group may become several launches: of keys in chunks and their sum, of the activations in 8 bits.
    for (auto entry : module.getOps<kernel::EntryOp>())
      if (entry.getSymName().starts_with(row.name + "_"))
        print(stream, entry.getSymName(), costOfEntry(entry).launches, row.cost);
  }
  stream << "  " << llvm::range_size(module.getOps<kernel::FuncOp>()) << " different kernels\n\n";
}

} // namespace sinter
