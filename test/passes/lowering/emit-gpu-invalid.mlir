// RUN: split-file %s %t
// RUN: not sinter-opt %t/reduction.mlir --kernel-emit-gpu=architecture=sm_75 2>&1 | FileCheck %s --check-prefix=ARCHITECTURE
// RUN: not sinter-opt %t/reduction.mlir --kernel-emit-gpu 2>&1 | FileCheck %s --check-prefix=REDUCTION
// RUN: not sinter-opt %t/inputs.mlir --kernel-emit-gpu 2>&1 | FileCheck %s --check-prefix=INPUTS
// RUN: not sinter-opt %t/long.mlir --kernel-emit-gpu 2>&1 | FileCheck %s --check-prefix=LONG
// RUN: not sinter-opt %t/lookup.mlir --kernel-emit-gpu 2>&1 | FileCheck %s --check-prefix=LOOKUP
// RUN: not sinter-opt %t/heads.mlir --kernel-emit-gpu 2>&1 | FileCheck %s --check-prefix=HEADS
// RUN: not sinter-opt %t/kept.mlir --kernel-emit-gpu 2>&1 | FileCheck %s --check-prefix=KEPT
// RUN: not sinter-opt %t/streams.mlir --kernel-emit-gpu=architecture=sm_90a 2>&1 | FileCheck %s --check-prefix=STREAMS
// RUN: not sinter-opt %t/split.mlir --kernel-emit-gpu 2>&1 | FileCheck %s --check-prefix=SPLIT
// RUN: not sinter-opt %t/name.mlir --kernel-emit-gpu 2>&1 | FileCheck %s --check-prefix=NAME

// ARCHITECTURE: error: expected sm_80 or sm_90a as architecture, found sm_75
// REDUCTION: error: 'vector.reduction' op expected a sum, product, maximum or minimum of f32
// INPUTS: error: 'kernel.matmul' op expected the inputs of a weight of format q4_0 to be a multiple of 32, found 40
// LONG: error: 'kernel.matmul' op expected a left side that fits 101376 bytes of shared memory, found 96000 inputs
// LOOKUP: error: 'kernel.lookup' op expected the columns of a weight of format q8_0 to be a multiple of 32, found 40
// HEADS: error: 'kernel.attention' op expected heads that fit 101376 bytes of shared memory and 512 columns, found a group of 1 heads of 1024
// KEPT: error: 'kernel.rows' op expected a program that keeps at most 101376 bytes of shared memory, found
// STREAMS: error: 'kernel.attention' op expected a schedule of 1 or 2 streams for sm_90a, found 3
// SPLIT: error: 'kernel.matmul' op expected a matmul for tensor cores with whole tiles of up to 64 columns for kernel.split_k
// NAME: error: 'kernel.func' op expected another name, found 'shared_memory', which a block's shared memory has

//--- reduction.mlir
kernel.func @f(%x: !kernel.rows<8xf32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : !kernel.rows<8xf32>, vector<8xf32>
    %i = arith.fptosi %a : vector<8xf32> to vector<8xi32>
    %s = vector.reduction <xor>, %i : vector<8xi32> into i32
  }
}
//--- split.mlir
kernel.func @f(%x: !kernel.rows<64xf16>, %w: !kernel.weight<96x64, f16>, %y: !kernel.rows<96xf32>) {
  kernel.matmul left(%x : !kernel.rows<64xf16>) weights(%w : !kernel.weight<96x64, f16>) over(rows) schedule <rows_per_tile = 64, columns_per_tile = 64> attributes {kernel.split_k = 2 : i64} ranges {
    kernel.range 0 to 96 group 16 {
    ^bb0(%sum: vector<16xf32>, %row: index, %column: index):
      kernel.store %sum, %y[%row, %column] : vector<16xf32>, !kernel.rows<96xf32>
    }
  }
}
//--- inputs.mlir
kernel.func @f(%x: !kernel.rows<40xf32>, %w: !kernel.weight<16x40, q4_0>, %y: !kernel.rows<16xf32>) {
  kernel.matmul left(%x : !kernel.rows<40xf32>) weights(%w : !kernel.weight<16x40, q4_0>) over(rows) ranges {
    kernel.range 0 to 16 group 16 {
    ^bb0(%sum: vector<16xf32>, %row: index, %column: index):
      kernel.store %sum, %y[%row, %column] : vector<16xf32>, !kernel.rows<16xf32>
    }
  }
}
//--- long.mlir
kernel.func @f(%x: !kernel.rows<96000xf32>, %w: !kernel.weight<16x96000, q4_0>, %y: !kernel.rows<16xf32>) {
  kernel.matmul weights(%w : !kernel.weight<16x96000, q4_0>) over(rows) lhs {
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : !kernel.rows<96000xf32>, vector<96000xf32>
    kernel.yield %a : vector<96000xf32>
  } ranges {
    kernel.range 0 to 16 group 16 {
    ^bb0(%sum: vector<16xf32>, %row: index, %column: index):
      kernel.store %sum, %y[%row, %column] : vector<16xf32>, !kernel.rows<16xf32>
    }
  }
}
//--- lookup.mlir
kernel.func @f(%w: !kernel.weight<16x40, q8_0>, %y: !kernel.rows<40xf32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    %t = kernel.token %row
    %a = kernel.lookup %w[%t] : !kernel.weight<16x40, q8_0>, vector<40xf32>
    kernel.store %a, %y[%row] : vector<40xf32>, !kernel.rows<40xf32>
  }
}
//--- heads.mlir
kernel.func @f(%q: !kernel.rows<1024xf32>, %k: !kernel.cache_k<1x1024xf16>, %v: !kernel.cache_v<1x1024xf16>, %o: !kernel.rows<1024xf32>) {
  kernel.attention decode heads 1 scale 1.0 query(%q : !kernel.rows<1024xf32>) keys(%k : !kernel.cache_k<1x1024xf16>)
    values(%v : !kernel.cache_v<1x1024xf16>) output(%o : !kernel.rows<1024xf32>)
}
//--- kept.mlir
// What is overwritten cannot be loaded again.
kernel.func @f(%x: !kernel.rows<40000xf32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : !kernel.rows<40000xf32>, vector<40000xf32>
    %e = math.exp %a : vector<40000xf32>
    %s = vector.reduction <add>, %e : vector<40000xf32> into f32
    %v = vector.broadcast %s : f32 to vector<40000xf32>
    %o = arith.divf %e, %v : vector<40000xf32>
    kernel.store %o, %x[%row] : vector<40000xf32>, !kernel.rows<40000xf32>
  }
}
//--- streams.mlir
kernel.func @f(%q: !kernel.rows<64xf32>, %k: !kernel.cache_k<1x64xf16>, %v: !kernel.cache_v<1x64xf16>, %o: !kernel.rows<64xf32>) {
  kernel.attention prefill heads 1 scale 1.0 query(%q : !kernel.rows<64xf32>) keys(%k : !kernel.cache_k<1x64xf16>)
    values(%v : !kernel.cache_v<1x64xf16>) output(%o : !kernel.rows<64xf32>) schedule <rows_per_tile = 128, streams = 3>
}
//--- name.mlir
kernel.func @shared_memory(%x: !kernel.rows<8xf32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : !kernel.rows<8xf32>, vector<8xf32>
    kernel.store %a, %x[%row] : vector<8xf32>, !kernel.rows<8xf32>
  }
}
