// SPDX-License-Identifier: Apache-2.0
// compileKernels, then ORC; for GPUs see GpuKernels.cpp.
#include "test/execute/KernelRunner.h"

#include "compiler/CpuTarget.h"
#include "compiler/CudaTarget.h"
#include "dialects/kernel/Kernel.h"
#include "passes/lowering/CpuPipeline.h"
#include "passes/lowering/GpuPipeline.h"
#include "passes/lowering/cpu/Emitters.h"
#include "test/execute/AmxEmulator.h"
#include "test/execute/GpuKernels.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ExecutionEngine/Orc/ExecutionUtils.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Support/MemoryBuffer.h"

#include <bit>
#include <cstring>
#include <gtest/gtest.h>
#include <random>

namespace sinter::test {

constexpr size_t guardBytes = 256;
constexpr char guardFill = 0x5a;

std::vector<float> randomFloats(size_t n, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(n);
  for (float &value : values)
    value = normal(generator);
  return values;
}

float toBf16(float number) {
  auto bits = std::bit_cast<uint32_t>(number);
  bits += 0x7fff + (bits >> 16 & 1);
  return std::bit_cast<float>(bits & 0xffff0000u);
}

std::vector<float> toBf16(std::vector<float> numbers) {
  for (float &number : numbers)
    number = toBf16(number);
  return numbers;
}

std::vector<uint16_t> halvesOf(const std::vector<float> &numbers) {
  std::vector<uint16_t> halves;
  for (float number : numbers)
    halves.push_back(static_cast<uint16_t>(std::bit_cast<uint32_t>(toBf16(number)) >> 16));
  return halves;
}

AlignedBytes::AlignedBytes(size_t size, unsigned char fill) : bytes(size), storage(size + guardBytes + 64) {
  std::memset(data(), fill, size);
  std::memset(data() + size, guardFill, guardBytes);
  addHostRange(data(), size);
}
AlignedBytes::AlignedBytes(AlignedBytes &&other) noexcept
    : bytes(other.bytes), storage(std::move(other.storage)) {}
AlignedBytes::~AlignedBytes() {
  if (!storage.empty())
    removeHostRange(data());
}

bool AlignedBytes::isIntact() {
  return std::all_of(data() + bytes, data() + bytes + guardBytes, [](char c) { return c == guardFill; });
}

bool canRun(Machine machine) {
  if (machine.isGpu())
    return true;
  cpu::Isa isa = machine.isa;
  __builtin_cpu_init();
  if (isa == cpu::Isa::Avx2)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  if (isa == cpu::Isa::Avx512)
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
  return canRun(cpu::Isa::Avx512) &&
         __builtin_cpu_supports("avx512bf16"); // AMX is emulated where it is missing
}

static mlir::OwningOpRef<mlir::ModuleOp> parse(const std::string &text, mlir::MLIRContext &context) {
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, mlir::ParserConfig(&context));
  if (!module)
    ADD_FAILURE() << "expected kernels that parse, found\n" << text;
  return module;
}

struct KernelRunner::Jit {
  std::unique_ptr<llvm::orc::LLJIT> lljit;
  std::map<std::string, uint64_t> scratchBytes;
};

KernelRunner::KernelRunner(const std::string &text, Machine machine, const std::vector<cpu::Isa> &lower)
    : isa(machine.isa) {
  mlir::DialectRegistry registry;
  registerCpuLowering(registry);
  registerGpuLowering(registry);
  mlir::MLIRContext context(registry);
  auto module = parse(text, context);
  if (!module)
    return;
  if (machine.isGpu())
    gpu = GpuKernels::compile(*module, *machine.architecture);
  else
    compileForCpu(*module, lower);
  if (!*this)
    ADD_FAILURE() << "expected kernels that compile, found\n" << text;
}

void KernelRunner::compileForCpu(mlir::ModuleOp module, std::vector<cpu::Isa> isas) {
  if (isa == cpu::Isa::Amx)
    emulateAmx();
  isas.push_back(isa);
  auto kernels = compileKernels(module, {.isas = isas, .threads = 1, .sharesCode = true});
  if (failed(kernels))
    return;
  auto check = [](llvm::Error error) {
    if (error)
      ADD_FAILURE() << llvm::toString(std::move(error));
  };
  auto lljit = llvm::orc::LLJITBuilder().create();
  if (!lljit) {
    check(lljit.takeError());
    return;
  }
  auto made = std::make_unique<Jit>(std::move(*lljit), kernels->scratchBytes);
  auto symbols = llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(
      made->lljit->getDataLayout().getGlobalPrefix());
  if (!symbols) {
    check(symbols.takeError());
    return;
  }
  made->lljit->getMainJITDylib().addGenerator(std::move(*symbols));
  for (const ObjectFile &object : kernels->objects)
    check(made->lljit->addObjectFile(
        llvm::MemoryBuffer::getMemBufferCopy({object.bytes.data(), object.bytes.size()}, object.name)));
  jit = std::move(made);
}

KernelRunner::~KernelRunner() = default;

sinter_kernel KernelRunner::find(const std::string &kernel) const {
  auto symbol = jit->lljit->lookup(kernel + "." + cpu::nameOf(isa).str());
  if (!symbol) {
    ADD_FAILURE() << llvm::toString(symbol.takeError());
    return nullptr;
  }
  return symbol->toPtr<sinter_kernel>();
}

uint64_t KernelRunner::scratchBytes(const std::string &kernel) const { return jit->scratchBytes.at(kernel); }

void KernelRunner::run(const std::string &kernel, const std::vector<void *> &buffers, const sinter_step &step,
                       int64_t begin, int64_t end) const {
  if (gpu)
    return begin ? void() : gpu->run(kernel, buffers, step, blocks);
  AlignedBytes scratch(scratchBytes(kernel), 0xff);
  sinter_call call{buffers.data(), &step, scratch.data()};
  if (sinter_kernel function = find(kernel))
    function(&call, begin, end);
  EXPECT_TRUE(scratch.isIntact()) << kernel << " wrote behind its scratch";
}

static std::string printed(const std::string &text, cpu::Isa isa, CpuStage stage) {
  mlir::DialectRegistry registry;
  registerCpuLowering(registry);
  mlir::MLIRContext context(registry);
  auto module = parse(text, context);
  if (!module)
    return "";
  auto result = printKernels(*module, isa, stage);
  if (failed(result)) {
    ADD_FAILURE() << "expected kernels that compile, found\n" << text;
    return "";
  }
  return *result;
}

std::string assemblyOf(const std::string &text, cpu::Isa isa) {
  return printed(text, isa, CpuStage::Assembly);
}

std::string loweredOf(const std::string &text, cpu::Isa isa) {
  std::string result = printed(text, isa, CpuStage::Target), suffix = "." + cpu::nameOf(isa).str();
  for (const char *next : {"(", ".tiles"}) // intrinsics have such parts, too
    for (size_t at; (at = result.find(suffix + next)) != std::string::npos;)
      result.erase(at, suffix.size());
  return result;
}

bool hasOwnCode(const std::string &text, cpu::Isa isa) {
  mlir::DialectRegistry registry;
  registerCpuLowering(registry);
  mlir::MLIRContext context(registry);
  auto module = parse(text, context);
  return module && cpu::hasOwnCode(*module->getOps<kernel::FuncOp>().begin(), isa);
}

std::string optimisedIrOf(const std::string &text, gpu::Architecture architecture) {
  mlir::DialectRegistry registry;
  registerGpuLowering(registry);
  mlir::MLIRContext context(registry);
  auto module = parse(text, context);
  if (!module)
    return "";
  auto ir = printCudaKernels(*module, {architecture}, CudaStage::Llvm);
  if (failed(ir)) {
    ADD_FAILURE() << "expected kernels that compile, found\n" << text;
    return "";
  }
  return *ir;
}

} // namespace sinter::test
