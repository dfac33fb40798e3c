// SPDX-License-Identifier: Apache-2.0
// --kernel-make-persistent: one GPU kernel that runs a table of tasks, each a launch of one of some kernels.
//
//   module attributes {kernel.persistent = [{name = "persistent", tasks = 9 : i64, kernels = ["a", "b"]}]}
//   llvm.func @a(%step, %x) attributes {nvvm.kernel, kernel.threads = 128, ...}
//   ->
//   llvm.func @a.task(%thread, %first)                // beside @a
//   llvm.func @persistent(%step, %tasks, %waits, %addresses, %finished, %count) attributes {nvvm.kernel, ...}
//
// struct sinter_gpu_persistent in runtime/abi.h says what the table holds. All blocks are resident at once. A
// kernel keeps its own number of threads, so a block of the persistent kernel holds several of the kernel's
// blocks side by side, as many as its threads and shared memory allow: each has its part of the shared memory
// and a barrier of its own. So every tile is computed by the same operations as by a launch.
//
// Each block walks the tasks in order and takes every gridDim-th tile, the first of them where the task
// before ended. Who has tiles of a task waits until the tasks that it depends on are finished, and adds the
// number of its tiles to the task's counter when they are. A task depends on earlier ones alone and all
// blocks run, so nobody waits for ever. While it waits, the weights of its first tile come to the L2 cache.
// Functions are called, not inlined: registers are the greatest number of any. Addresses of the step and of
// buffers lie in shared memory, and a function loads them where it uses them: as arguments they would take
// two registers each all the while, more than there are beside the sums of a matmul with many buffers.
#include "passes/Passes.h"
#include "passes/lowering/AbiLayout.h"
#include "passes/lowering/GpuPipeline.h"
#include "passes/lowering/TaskLayout.h"
#include "passes/lowering/gpu/Frame.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Interfaces/LoopLikeInterface.h"

namespace sinter {
#define GEN_PASS_DEF_MAKEPERSISTENTPASS
#include "passes/Passes.h.inc"
} // namespace sinter

using namespace mlir;
using namespace sinter::gpu;
using sinter::notedNumber;
namespace abi = sinter::abi;

namespace {

constexpr StringRef planName = "kernel.persistent", sharedName = "shared_memory";
/// Three blocks of 128 threads with up to 168 registers each, what the kernels of decode take.
constexpr int64_t leastThreads = 384;
/// Named barriers of a block, of which the first one is everybody's.
constexpr int64_t barriers = 16;

/// A kernel as a function that some threads of a block run.
struct Task {
  LLVM::LLVMFuncOp function;
  int64_t threads = 0, sharedBytes = 0;
};

/// What is for all threads of a real block, or for several blocks.
bool isOfWholeBlocks(Operation *op) {
  if (auto barrier = dyn_cast<NVVM::BarrierOp>(op))
    return barrier.getBarrierId() || barrier.getNumberOfThreads();
  auto assembly = dyn_cast<LLVM::InlineAsmOp>(op);
  return assembly && (assembly.getAsmString().contains("bulk") || assembly.getAsmString().contains("%tid"));
}

bool hasBarrier(Operation *loop) {
  return loop->walk([](NVVM::BarrierOp) { return WalkResult::interrupt(); }).wasInterrupted();
}

/// Where an address that `user` takes is loaded: outside of the loops around it that are one phase between
/// barriers, so once for many turns, and behind the phases before, so that it takes no register in them.
Operation *placeOfLoad(Operation *user) {
  Operation *place = user;
  for (Operation *outer = user->getParentOp(); !isa<LLVM::LLVMFuncOp>(outer); outer = outer->getParentOp()) {
    if (!isa<LoopLikeOpInterface>(outer))
      continue;
    if (hasBarrier(outer))
      break;
    place = outer;
  }
  return place;
}

class Persistent {
public:
  Persistent(ModuleOp module, Architecture architecture)
      : module(module), builder(module.getContext()), architecture(architecture) {}

  LogicalResult make(ArrayRef<Attribute> plans);

private:
  LogicalResult makeKernel(DictionaryAttr plan);
  FailureOr<Task> taskOf(LLVM::LLVMFuncOp kernel);
  void loadAddresses(LLVM::LLVMFuncOp function, Value table);
  void emitLoop(Emitter &e, LLVM::LLVMFuncOp function, int64_t tasks);
  Value tileCount(Emitter &e, Value step, Value task);
  void prefetch(Emitter &e, Value plan, Value addresses, Value tile);
  void waitFor(Emitter &e, Value counter, Value target);
  void callTask(Emitter &e, Task &task, Value first);
  /// Where the addresses of a task are: of the step, then of its buffers.
  Value addressesIn(Emitter &e, Value table) { return e.atByte(table, addressesAt); }
  /// Blocks of the task in one block of the persistent kernel.
  int64_t groupsOf(const Task &task) const {
    int64_t most = std::min(threads / task.threads, task.threads == warpSize ? threads : barriers - 1);
    int64_t room = maxSharedBytes(architecture) - tableBytes;
    return std::min(most, task.sharedBytes ? room / task.sharedBytes : most);
  }

  ModuleOp module;
  OpBuilder builder;
  const Architecture architecture;
  llvm::StringMap<Task> tasks; // by kernel
  SmallVector<Task> mine;      // of the kernel that is made, in the order of its plan
  int64_t threads = leastThreads, addressesAt = 0, tableBytes = 0; // of every kernel
};

SmallVector<StringRef> kernelsOf(DictionaryAttr plan) {
  return llvm::map_to_vector(plan.getAs<ArrayAttr>("kernels").getAsRange<StringAttr>(),
                             [](StringAttr name) { return name.getValue(); });
}
int64_t taskCountOf(DictionaryAttr plan) { return plan.getAs<IntegerAttr>("tasks").getInt(); }

FailureOr<Task> Persistent::taskOf(LLVM::LLVMFuncOp kernel) {
  auto [place, isNew] = tasks.try_emplace(kernel.getName());
  if (!isNew)
    return place->second;
  if (notedNumber(kernel, "kernel.cluster") > 1 || !notedMaps(kernel).empty() ||
      kernel
          .walk([](Operation *op) {
            return isOfWholeBlocks(op) ? WalkResult::interrupt() : WalkResult::advance();
          })
          .wasInterrupted())
    return kernel.emitError() << "expected a kernel without clusters, tensor maps and named barriers for a "
                                 "persistent step, found '"
                              << kernel.getName() << "'";
  Task task{cast<LLVM::LLVMFuncOp>(kernel->clone()), notedNumber(kernel, "kernel.threads"),
            static_cast<int64_t>(llvm::alignTo(notedNumber(kernel, "kernel.shared_bytes"), 128))};
  if (groupsOf(task) < 1)
    return kernel.emitError() << "expected at most " << maxSharedBytes(architecture) - tableBytes
                              << " bytes of shared memory for a persistent step, found " << task.sharedBytes;
  LLVM::LLVMFuncOp function = task.function;
  for (StringRef name :
       {"nvvm.kernel", "nvvm.reqntid", "nvvm.minctasm", "kernel.threads", "kernel.shared_bytes",
        "kernel.cluster", "kernel.blocks_per_sm", "kernel.tensor_maps", "kernel.most_threads"})
    function->removeAttr(name);
  function.setName((kernel.getName() + ".task").str());
  function.setLinkage(LLVM::Linkage::Internal);
  function.setNoInline(true);
  function.setConvergent(true); // its barriers
  SymbolTable(module).insert(function, std::next(kernel->getIterator()));

  builder.setInsertionPointToStart(&function.front());
  Emitter e(builder, kernel.getLoc(), architecture);
  Value table = LLVM::AddressOfOp::create(builder, kernel.getLoc(), e.sharedPtr(), sharedName);
  loadAddresses(function, table);
  // The thread in its group, and the tile of the real block's first group; all else follows.
  Value thread = function.front().addArgument(e.i32(), kernel.getLoc()),
        first = function.front().addArgument(e.i32(), kernel.getLoc());
  function.setFunctionType(
      LLVM::LLVMFunctionType::get(function.getFunctionType().getReturnType(), {e.i32(), e.i32()}));
  auto limit = LLVM::ConstantRangeAttr::get(builder.getContext(), APInt(32, 0), APInt(32, task.threads));
  auto range = builder.getNamedAttr(LLVM::LLVMDialect::getRangeAttrName(), limit);
  function.setAllArgAttrs(
      ArrayRef<Attribute>{builder.getDictionaryAttr(range), builder.getDictionaryAttr({})});

  builder.setInsertionPointAfterValue(table);
  Value all = e.thread(), group = e.div(all, task.threads);
  Value grid = e.blocks(), block = e.add(first, e.mul(group, grid)), blocks = e.mul(grid, groupsOf(task));
  Value shared = e.atByte(table, e.add(e.mul(group, task.sharedBytes), tableBytes));
  Value barrier = e.add(group, 1), count = e.constant(task.threads);
  llvm::SmallPtrSet<Operation *, 4> own;
  for (Value value : {all, grid, table})
    own.insert(value.getDefiningOp());
  function.walk([&](Operation *op) {
    if (own.contains(op))
      return;
    Value instead = isa<NVVM::ThreadIdXOp>(op)  ? thread
                    : isa<NVVM::BlockIdXOp>(op) ? block
                    : isa<NVVM::GridDimXOp>(op) ? blocks
                                                : Value();
    if (auto address = dyn_cast<LLVM::AddressOfOp>(op); address && address.getGlobalName() == sharedName)
      instead = shared;
    if (instead) {
      op->getResult(0).replaceAllUsesWith(instead);
      op->erase();
      return;
    }
    if (!isa<NVVM::BarrierOp>(op))
      return;
    builder.setInsertionPoint(op);
    if (task.threads == warpSize)
      e.warpBarrier();
    else
      NVVM::BarrierOp::create(builder, op->getLoc(), TypeRange{}, barrier, count, {}, Value());
    op->erase();
  });
  return place->second = task;
}

/// The function's arguments become loads from the table.
void Persistent::loadAddresses(LLVM::LLVMFuncOp function, Value table) {
  for (auto [number, argument] : llvm::enumerate(function.getArguments())) {
    llvm::SmallDenseMap<Operation *, Value> loaded; // by place
    for (OpOperand &use : llvm::make_early_inc_range(argument.getUses())) {
      Operation *place = placeOfLoad(use.getOwner());
      Value &address = loaded[place];
      if (!address) {
        OpBuilder::InsertionGuard guard(builder);
        builder.setInsertionPoint(place);
        Emitter e(builder, function.getLoc(), architecture);
        address = e.load(e.globalPtr(), e.atByte(table, addressesAt + number * 8));
      }
      use.set(address);
    }
  }
  function.front().eraseArguments(0, function.getNumArguments());
}

/// As runtime/abi.h says of struct sinter_grid.
Value Persistent::tileCount(Emitter &e, Value step, Value task) {
  auto field = [&](int64_t offset) { return e.load(e.i32(), e.atByte(task, offset)); };
  auto stepField = [&](int64_t offset) { return e.load(e.i32(), e.atByte(step, offset)); };
  auto pieces = [&](Value whole, Value unit) { // of a unit of 0: one
    Value divisor = e.max(unit, e.constant(1));
    Value count = e.div(e.add(whole, e.sub(divisor, 1)), divisor);
    return e.select(e.equal(unit, e.constant(0)), e.constant(1), count);
  };
  Value domain = field(abi::taskDomain);
  auto isDomain = [&](sinter::kernel::Domain which) {
    return e.equal(domain, e.constant(static_cast<int64_t>(which)));
  };
  Value rows = e.select(isDomain(sinter::kernel::Domain::Rows), stepField(abi::stepRows),
                        e.select(isDomain(sinter::kernel::Domain::Selected), stepField(abi::stepSelected),
                                 stepField(abi::stepDraws)));
  return e.mul(field(abi::taskColumns), e.mul(pieces(rows, field(abi::taskRowsPerTile)),
                                              pieces(stepField(abi::stepKeys), field(abi::taskKeysPerTile))));
}

void Persistent::waitFor(Emitter &e, Value counter, Value target) {
  auto loop = scf::WhileOp::create(e.b, e.loc, TypeRange{}, ValueRange{});
  OpBuilder::InsertionGuard guard(e.b);
  e.b.createBlock(&loop.getBefore());
  Value found =
      e.assemble("ld.acquire.gpu.global.u32 $0, [$1];", "=r,l,~{memory}", e.i32(), counter).getResult(0);
  Value waits = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ne, found, target);
  scf::ConditionOp::create(e.b, e.loc, waits, ValueRange{});
  e.b.createBlock(&loop.getAfter());
  e.assemble("nanosleep.u32 20;", "", {}, {});
  scf::YieldOp::create(e.b, e.loc);
}

/// Weights do not depend on other tasks: the block's first tile of them comes to the L2 cache while it waits.
void Persistent::prefetch(Emitter &e, Value plan, Value addresses, Value tile) {
  constexpr int64_t line = 128;
  auto field = [&](int64_t offset) { return e.load(e.i32(), e.atByte(plan, offset)); };
  Value bytes = field(abi::prefetchTileBytes);
  e.ifThen(e.less(e.constant(0), bytes), [&] {
    Value base = e.load(e.globalPtr(), e.at(addresses, field(abi::prefetchBuffer), e.i64()));
    Value from = e.atByte(base, e.mul(e.extend(tile), e.extend(bytes)));
    e.loop(e.mul(e.thread(), line), bytes, threads * line,
           [&](Value at) { e.assemble("prefetch.global.L2 [$0];", "l", {}, e.atByte(from, at)); });
  });
}

/// `first` is the first group's tile; those of others are gridDim further each.
void Persistent::callTask(Emitter &e, Task &task, Value first) {
  int64_t groups = groupsOf(task);
  auto call = [&] {
    LLVM::CallOp::create(e.b, e.loc, task.function, ValueRange{e.rem(e.thread(), task.threads), first});
  };
  if (groups * task.threads == threads)
    return call();
  e.ifThen(e.less(e.thread(), e.constant(groups * task.threads)), call);
}

void Persistent::emitLoop(Emitter &e, LLVM::LLVMFuncOp function, int64_t most) {
  auto argument = [&](unsigned i) -> Value { return function.getArgument(i); };
  Value step = argument(0), tasksAt = argument(1), waits = argument(2), addresses = argument(3),
        finished = argument(4), count = argument(5);
  Value table = LLVM::AddressOfOp::create(e.b, e.loc, e.sharedPtr(), sharedName);
  Value thread = e.thread();
  auto taskAt = [&](Value number) { return e.atByte(tasksAt, e.mul(number, abi::taskBytes)); };
  auto counterOf = [&](Value number) { return e.atByte(finished, e.mul(number, abi::counterBytes)); };
  auto tilesOf = [&](Value number) { return e.at(table, number, e.i32()); };
  Value zero = e.constant(0), tableSize = e.constant(most);
  e.loop(thread, e.min(count, tableSize), threads,
         [&](Value number) { e.store(tileCount(e, step, taskAt(number)), tilesOf(number)); });
  e.ifThen(e.equal(thread, zero), [&] { e.store(step, addressesIn(e, table)); });
  e.barrier();
  // Where the loop is: the number of a task, and the block that its first tile goes to.
  auto loop = scf::WhileOp::create(e.b, e.loc, TypeRange{e.i32(), e.i32()}, ValueRange{zero, zero});
  OpBuilder::InsertionGuard guard(e.b);
  SmallVector<Location> locations(2, e.loc);
  Block *before = e.b.createBlock(&loop.getBefore(), {}, loop.getResultTypes(), locations);
  Value goesOn = e.both(e.less(before->getArgument(0), count), e.less(before->getArgument(0), tableSize));
  scf::ConditionOp::create(e.b, e.loc, goesOn, before->getArguments());
  Block *body = e.b.createBlock(&loop.getAfter(), {}, loop.getResultTypes(), locations);
  auto firstOf = [&](Value place) { // tile of this block
    Value behind = e.sub(e.block(), place);
    return e.select(e.less(behind, zero), e.add(behind, e.blocks()), behind);
  };
  Value number = body->getArgument(0), place = body->getArgument(1), first = firstOf(place);
  auto run = [&] {
    // A kernel takes every register that it can get: while it runs, the place in the loop is in shared
    // memory.
    Value kept = tilesOf(tableSize), keptPlace = tilesOf(e.constant(most + 1));
    e.ifThen(e.equal(thread, zero), [&] {
      e.store(number, kept);
      e.store(place, keptPlace);
    });
    Value task = taskAt(number);
    auto field = [&](int64_t offset) { return e.load(e.i32(), e.atByte(task, offset)); };
    Value buffers = e.at(addresses, field(abi::taskFirstAddress), e.i64());
    e.loop(thread, field(abi::taskAddressCount), threads, [&](Value i) {
      Value address = e.load(e.globalPtr(), e.at(buffers, i, e.i64()));
      e.store(address, e.at(addressesIn(e, table), e.add(i, 1), e.i64()));
    });
    for (int64_t i = 0; i < abi::taskPrefetchCount; ++i)
      prefetch(e, e.atByte(task, abi::taskPrefetches + i * abi::prefetchBytes), buffers, first);
    Value waitsAt = e.at(waits, field(abi::taskFirstWait), e.i32());
    e.loop(thread, field(abi::taskWaitCount), threads, [&](Value i) {
      Value earlier = e.load(e.i32(), e.at(waitsAt, i, e.i32()));
      waitFor(e, counterOf(earlier), e.load(e.i32(), tilesOf(earlier)));
    });
    e.barrier();
    auto cases = llvm::to_vector(llvm::seq<int64_t>(mine.size()));
    auto choice = scf::IndexSwitchOp::create(e.b, e.loc, TypeRange{}, e.toIndex(field(abi::taskKernel)),
                                             cases, cases.size());
    for (auto [region, each] : llvm::zip(choice.getCaseRegions(), mine)) {
      OpBuilder::InsertionGuard guard(e.b);
      e.b.createBlock(&region);
      callTask(e, each, first);
      scf::YieldOp::create(e.b, e.loc);
    }
    {
      OpBuilder::InsertionGuard guard(e.b);
      e.b.createBlock(&choice.getDefaultRegion());
      scf::YieldOp::create(e.b, e.loc);
    }
    SmallVector<Value> found{e.load(e.i32(), kept), e.load(e.i32(), keptPlace)};
    e.barrier();
    e.ifThen(e.equal(e.threadAnew(), zero), [&] {
      Value tiles = e.load(e.i32(), tilesOf(found[0]));
      Value done = e.div(e.add(e.sub(tiles, firstOf(found[1])), e.sub(e.blocks(), 1)), e.blocks());
      e.assemble("red.release.gpu.global.add.u32 [$0], $1;", "l,r,~{memory}", {},
                 {counterOf(found[0]), done});
    });
    // The lanes beside it could be first to wait for this very number, and keep the warp from adding it.
    e.warpBarrier();
    return found;
  };
  auto choice =
      scf::IfOp::create(e.b, e.loc, loop.getResultTypes(), e.less(first, e.load(e.i32(), tilesOf(number))),
                        /*addThenBlock=*/true, /*addElseBlock=*/true);
  {
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(choice.thenBlock());
    scf::YieldOp::create(e.b, e.loc, run());
    e.b.setInsertionPointToStart(choice.elseBlock());
    scf::YieldOp::create(e.b, e.loc, ValueRange{number, place});
  }
  number = choice.getResult(0);
  place = e.rem(e.add(choice.getResult(1), e.load(e.i32(), tilesOf(number))), e.blocks());
  scf::YieldOp::create(e.b, e.loc, ValueRange{e.add(number, 1), place});
}

LogicalResult Persistent::make(ArrayRef<Attribute> plans) {
  // Kernels are shared, so threads and the table are the same for all: tiles of each task, the place in the
  // loop, the addresses of the task's step and buffers.
  int64_t addresses = 0;
  for (Attribute each : plans) {
    auto plan = cast<DictionaryAttr>(each);
    addressesAt = std::max<int64_t>(addressesAt, llvm::alignTo((taskCountOf(plan) + 2) * 4, 8));
    for (StringRef name : kernelsOf(plan)) {
      auto kernel = module.lookupSymbol<LLVM::LLVMFuncOp>(name);
      threads = std::max<int64_t>(threads, llvm::alignTo(notedNumber(kernel, "kernel.threads"), 128));
      addresses = std::max<int64_t>(addresses, kernel.getNumArguments());
    }
  }
  tableBytes = llvm::alignTo(addressesAt + addresses * 8, 128);
  for (Attribute plan : plans)
    if (failed(makeKernel(cast<DictionaryAttr>(plan))))
      return failure();
  return success();
}

LogicalResult Persistent::makeKernel(DictionaryAttr plan) {
  StringRef name = plan.getAs<StringAttr>("name").getValue();
  int64_t most = taskCountOf(plan), sharedBytes = 0;
  mine.clear();
  for (StringRef kernel : kernelsOf(plan)) {
    FailureOr<Task> task = taskOf(module.lookupSymbol<LLVM::LLVMFuncOp>(kernel));
    if (failed(task))
      return failure();
    mine.push_back(*task);
    sharedBytes = std::max(sharedBytes, groupsOf(*task) * task->sharedBytes);
  }
  Location loc = module.getLoc();
  builder.setInsertionPointToEnd(module.getBody());
  Emitter e(builder, loc, architecture);
  SmallVector<Type> inputs(5, e.globalPtr());
  inputs.push_back(e.i32());
  auto function = LLVM::LLVMFuncOp::create(
      builder, loc, name, LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(builder.getContext()), inputs));
  function->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(), builder.getUnitAttr());
  function->setAttr("nvvm.reqntid", builder.getDenseI32ArrayAttr({static_cast<int32_t>(threads)}));
  function->setAttr("nvvm.minctasm", builder.getI32IntegerAttr(1));
  function->setAttr("kernel.threads", builder.getI64IntegerAttr(threads));
  function->setAttr("kernel.shared_bytes", builder.getI64IntegerAttr(tableBytes + sharedBytes));
  builder.setInsertionPointToStart(function.addEntryBlock(builder));
  emitLoop(e, function, most);
  LLVM::ReturnOp::create(builder, loc, ValueRange{});
  return success();
}

struct MakePersistentPass : sinter::impl::MakePersistentPassBase<MakePersistentPass> {
  using MakePersistentPassBase::MakePersistentPassBase;

  void runOnOperation() override {
    std::optional<Architecture> named = architectureNamed(architecture);
    if (!named) {
      getOperation().emitError() << "expected sm_80 or sm_90a as architecture, found " << architecture;
      return signalPassFailure();
    }
    auto plans = getOperation()->getAttrOfType<ArrayAttr>(planName);
    if (!plans)
      return;
    getOperation()->removeAttr(planName);
    Persistent persistent(getOperation(), *named);
    if (failed(persistent.make(plans.getValue())))
      return signalPassFailure();
    for (auto kernel : llvm::make_early_inc_range(getOperation().getOps<LLVM::LLVMFuncOp>()))
      if (kernel->hasAttr("kernel.most_threads"))
        kernel.erase();
  }
};

} // namespace
