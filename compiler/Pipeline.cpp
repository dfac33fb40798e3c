// SPDX-License-Identifier: Apache-2.0
// The pipeline: every pass enters through `Pipeline::add`, with the reason for its place.
#include "compiler/Pipeline.h"

#include "passes/Passes.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;

namespace sinter {
namespace {

class Pipeline {
public:
  Pipeline(OpPassManager &passes, const PipelineOptions &options) : passes(passes), options(options) {}

  std::vector<std::string> flags; // of all passes, those too that are left out

  /// On the module, or on each operation of type OpT in it.
  void add(std::unique_ptr<Pass> pass) { addTo(passes, std::move(pass)); }
  template <typename OpT> void addOn(std::unique_ptr<Pass> pass) {
    addTo(passes.nest<OpT>(), std::move(pass));
  }

private:
  void addTo(OpPassManager &manager, std::unique_ptr<Pass> pass) {
    flags.push_back(pass->getArgument().str());
    if (!llvm::is_contained(options.skip, pass->getArgument()))
      manager.addPass(std::move(pass));
  }

  OpPassManager &passes;
  const PipelineOptions &options;
};

/// Operations move into groups, each one kernel.
void addGroups(Pipeline &pipeline) {
  // Gated layers first: their two matmuls must not be taken apart by epilogues.
  pipeline.addOn<func::FuncOp>(createFuseGateUpPass());
  pipeline.addOn<func::FuncOp>(createFuseExpertsPass());
  pipeline.addOn<func::FuncOp>(createFuseRopePass());
  // After rope: the cache holds turned keys.
  pipeline.addOn<func::FuncOp>(createFuseAppendPass());
  pipeline.addOn<func::FuncOp>(createFuseEpiloguePass());
  pipeline.addOn<func::FuncOp>(createFuseEmbeddingPass());
  // After epilogues, which take the additions that directly follow a matmul.
  pipeline.addOn<func::FuncOp>(createFuseResidualNormPass());
  pipeline.addOn<func::FuncOp>(createGroupRestPass());
}

void addFuse(Pipeline &pipeline) {
  // The pure graph gets a cache and an output for chosen rows only: everything after it is inference.
  pipeline.addOn<func::FuncOp>(createUseCachePass());
  pipeline.addOn<func::FuncOp>(createSelectLogitsPass());
  pipeline.addOn<func::FuncOp>(createCanonicalizerPass());
  pipeline.addOn<func::FuncOp>(createCSEPass());
  // Before the entries part, so that both share the stacked parameters.
  pipeline.add(createFuseQkvPass());
  pipeline.add(createMakeEntriesPass());
  addGroups(pipeline);
}

/// From logits to a loss and the gradients of all parameters.
void addTrain(Pipeline &pipeline, const PipelineOptions &options) {
  if (options.adapterRank > 0) {
    AddAdaptersPassOptions adapters;
    adapters.rank = options.adapterRank;
    adapters.factor = options.adapterAlpha / static_cast<double>(options.adapterRank);
    adapters.targets.assign(options.adapterTargets.begin(), options.adapterTargets.end());
    adapters.prefix = options.adapterPrefix;
    // On the pure graph: what is frozen has no gradient to be made.
    pipeline.add(createAddAdaptersPass(adapters));
  }
  AddLossPassOptions loss;
  loss.routerCoefficient = options.routerCoefficient;
  pipeline.add(createAddLossPass(loss));
  pipeline.addOn<func::FuncOp>(createCanonicalizerPass());
  pipeline.addOn<func::FuncOp>(createCSEPass());
  DifferentiatePassOptions differentiate;
  differentiate.function = "train";
  pipeline.add(createDifferentiatePass(differentiate));
  // Before CSE, which lets the gradients of a norm's weight and input share what normalises.
  pipeline.addOn<func::FuncOp>(createSplitNormGradientsPass());
  // Before anything makes a copy of a gradient that is put together from columns.
  pipeline.addOn<func::FuncOp>(createJoinColumnsPass());
  pipeline.addOn<func::FuncOp>(createCanonicalizerPass());
  pipeline.addOn<func::FuncOp>(createCSEPass());
  // One rank: a lowering for several is to find it here.
  pipeline.addOn<func::FuncOp>(createAddAllReducePass());
  // After CSE, which would see that both are the same.
  if (options.recompute)
    pipeline.addOn<func::FuncOp>(createRecomputePass());
}

void addTrainFuse(Pipeline &pipeline) {
  // After the last CSE, which would see that both are the same; before groups, which take up what is
  // repeated.
  pipeline.addOn<func::FuncOp>(createRepeatActivationsPass());
  pipeline.addOn<func::FuncOp>(createFuseRowsPass());
  pipeline.addOn<func::FuncOp>(createGroupRestPass());
}

} // namespace

std::optional<Stage> stageByName(llvm::StringRef name) {
  return llvm::StringSwitch<std::optional<Stage>>(name)
      .Case("import", Stage::Import)
      .Case("train", Stage::Train)
      .Case("fuse", Stage::Fuse)
      .Case("kernels", Stage::Kernels)
      .Case("memory", Stage::Memory)
      .Case("target", Stage::Target)
      .Case("llvm", Stage::Llvm)
      .Case("objects", Stage::Objects)
      .Case("ptx", Stage::Ptx)
      .Case("cubin", Stage::Cubin)
      .Case("exe", Stage::Executable)
      .Default(std::nullopt);
}

static void addPasses(Pipeline &pipeline, Stage stage, const PipelineOptions &options) {
  switch (stage) {
  case Stage::Train:
    addTrain(pipeline, options);
    break;
  case Stage::Fuse:
    options.train ? addTrainFuse(pipeline) : addFuse(pipeline);
    break;
  case Stage::Kernels: {
    if (options.train) {
      TrainToKernelPassOptions train;
      train.batch = options.batch;
      train.sequence = options.sequence;
      pipeline.add(createTrainToKernelPass(train));
      pipeline.addOn<kernel::FuncOp>(createCSEPass());
      if (options.roundProducts) { // before there are products of updates
        pipeline.add(createRoundProductsPass());
        pipeline.add(createNarrowFactorsPass());
        if (options.gpu)
          pipeline.add(createPrepareGradientsPass());
      }
      // Before schedules: Muon has matmuls.
      pipeline.add(createAddUpdatesPass());
      pipeline.add(createChooseSchedulesPass());
      break;
    }
    LmToKernelPassOptions kernels;
    kernels.cacheTypes.assign(options.cacheTypes.begin(), options.cacheTypes.end());
    kernels.prefillRows = options.prefillRows;
    kernels.decodeRows = options.decodeRows;
    pipeline.add(createLmToKernelPass(kernels));
    // Regions repeat loads and constants: one of each.
    pipeline.addOn<kernel::FuncOp>(createCSEPass());
    // The grids of launches follow from schedules: before anything reads them.
    pipeline.add(createChooseSchedulesPass());
    // After schedules, which tell matmuls of many rows from those of few; before memory is planned.
    if (options.gpu)
      pipeline.add(createNarrowActivationsPass());
    break;
  }
  case Stage::Memory:
    pipeline.addOn<kernel::EntryOp>(createPlanMemoryPass());
    break;
  default:
    break;
  }
}

/// The same for models, whose logits are drawn from.
static void addModelPasses(Pipeline &pipeline, Stage stage, const PipelineOptions &options) {
  addPasses(pipeline, stage, options);
  // After all that looks at the entries of steps: this one is none.
  if (stage == Stage::Kernels && options.gpu && !options.train)
    pipeline.add(createAddSamplingPass());
}

void addStage(OpPassManager &passes, Stage stage, const PipelineOptions &options) {
  Pipeline pipeline(passes, options);
  addModelPasses(pipeline, stage, options);
}

bool isPipelinePass(llvm::StringRef flag) {
  OpPassManager passes(ModuleOp::getOperationName());
  PipelineOptions options;
  Pipeline pipeline(passes, options);
  options.recompute = true;
  for (bool train : {false, true}) {
    options.train = train;
    options.gpu = true;
    options.adapterRank = train;
    options.roundProducts = train;
    for (Stage stage : {Stage::Train, Stage::Fuse, Stage::Kernels, Stage::Memory})
      addModelPasses(pipeline, stage, options);
  }
  return llvm::is_contained(pipeline.flags, flag);
}

void addFunctionPasses(OpPassManager &passes, const PipelineOptions &options) {
  Pipeline pipeline(passes, options);
  pipeline.addOn<func::FuncOp>(createCanonicalizerPass());
  pipeline.addOn<func::FuncOp>(createCSEPass());
  // Without what stacks weights: they are the caller's, one by one.
  addGroups(pipeline);
  addPasses(pipeline, Stage::Kernels, options);
  addPasses(pipeline, Stage::Memory, options);
}

void addScheduleChoice(OpPassManager &passes) { passes.addPass(createChooseSchedulesPass()); }

} // namespace sinter
