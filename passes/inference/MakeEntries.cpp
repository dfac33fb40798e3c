// SPDX-License-Identifier: Apache-2.0
// --lm-make-entries: one graph, two entries.
//
//   func.func @forward(...)   ->   func.func @prefill(...) attributes {lm.form = "prefill"}
//                                  func.func @decode(...)  attributes {lm.form = "decode"}
//
// In prefill all rows are consecutive tokens of one sequence, in decode each row is the newest token of its
// own: the passes after this one fuse and schedule each for itself.
#include "passes/Passes.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_MAKEENTRIESPASS
#include "passes/Passes.h.inc"

namespace {

struct MakeEntriesPass : impl::MakeEntriesPassBase<MakeEntriesPass> {
  void runOnOperation() override {
    auto forward = getOperation().lookupSymbol<func::FuncOp>("forward");
    if (!forward) {
      getOperation().emitError("expected a function forward, found none");
      return signalPassFailure();
    }
    OpBuilder builder(forward);
    for (StringRef form : {"prefill", "decode"}) {
      auto entry = cast<func::FuncOp>(builder.clone(*forward));
      entry.setName(form);
      entry->setAttr("lm.form", builder.getStringAttr(form));
    }
    forward.erase();
  }
};

} // namespace
} // namespace sinter
