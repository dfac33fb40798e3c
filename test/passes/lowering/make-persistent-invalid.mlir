// RUN: split-file %s %t
// RUN: not sinter-opt %t/cluster.mlir --kernel-make-persistent 2>&1 | FileCheck %s --check-prefix=FORM
// RUN: not sinter-opt %t/barrier.mlir --kernel-make-persistent 2>&1 | FileCheck %s --check-prefix=FORM
// RUN: not sinter-opt %t/shared.mlir --kernel-make-persistent 2>&1 | FileCheck %s --check-prefix=SHARED
// RUN: not sinter-opt %t/shared.mlir --kernel-make-persistent=architecture=sm_70 2>&1 | FileCheck %s --check-prefix=ARCH
// RUN: sinter-opt %t/shared.mlir --kernel-make-persistent=architecture=sm_90a

// FORM: error: expected a kernel without clusters, tensor maps and named barriers for a persistent step, found 'f'
// SHARED: error: expected at most 101248 bytes of shared memory for a persistent step, found 101376
// ARCH: error: expected sm_80 or sm_90a as architecture, found sm_70

//--- cluster.mlir
module attributes {kernel.persistent = [{name = "step", tasks = 1 : i64, kernels = ["f"]}]} {
  llvm.func @f(%step: !llvm.ptr<1>) attributes {nvvm.kernel, kernel.threads = 128 : i64, kernel.shared_bytes = 0 : i64, kernel.cluster = 4 : i64, kernel.tensor_maps = array<i64>} {
    llvm.return
  }
}
//--- barrier.mlir
module attributes {kernel.persistent = [{name = "step", tasks = 1 : i64, kernels = ["f"]}]} {
  llvm.func @f(%step: !llvm.ptr<1>) attributes {nvvm.kernel, kernel.threads = 128 : i64, kernel.shared_bytes = 0 : i64, kernel.cluster = 1 : i64, kernel.tensor_maps = array<i64>} {
    %id = llvm.mlir.constant(1 : i32) : i32
    %count = llvm.mlir.constant(64 : i32) : i32
    nvvm.barrier id = %id number_of_threads = %count
    llvm.return
  }
}
//--- shared.mlir
module attributes {kernel.persistent = [{name = "step", tasks = 1 : i64, kernels = ["f"]}]} {
  llvm.mlir.global external @shared_memory() {addr_space = 3 : i32, alignment = 1024 : i64} : !llvm.array<0 x i8>
  llvm.func @f(%step: !llvm.ptr<1>) attributes {nvvm.kernel, kernel.threads = 128 : i64, kernel.shared_bytes = 101376 : i64, kernel.cluster = 1 : i64, kernel.tensor_maps = array<i64>} {
    llvm.return
  }
}
