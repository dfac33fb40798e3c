// SPDX-License-Identifier: Apache-2.0
// What sm_90a has for warpgroups (128 threads), one function an instruction: mbarriers, bulk copies and wgmma
// with the left operand in registers or shared memory.
#ifndef SINTER_PASSES_LOWERING_GPU_WARPGROUP_H
#define SINTER_PASSES_LOWERING_GPU_WARPGROUP_H

#include "passes/lowering/gpu/Emitter.h"

namespace sinter::gpu {

/// Threads of a warpgroup.
inline constexpr int64_t warpgroupSize = 128;

//--- mbarriers: `barrier` is the address of 8 bytes of shared memory

/// `arrivals` that end a phase; by one thread. Others see it after fenceBarriers and a barrier of the block.
void initBarrier(Emitter &e, mlir::Value barrier, int64_t arrivals);
/// Makes the barriers that the thread initialised known to asynchronous copies.
void fenceBarriers(Emitter &e);
/// What the thread wrote and read before is ordered before the phase's end.
void arrive(Emitter &e, mlir::Value barrier);
/// The phase ends after `bytes` more (i32) of copies, too.
void expectBytes(Emitter &e, mlir::Value barrier, mlir::Value bytes);
/// Until the phase of this parity (i32, 0 or 1) has ended. The phase before the first one has parity 1.
void waitBarrier(Emitter &e, mlir::Value barrier, mlir::Value parity);

//--- barriers of some warps: `id` (i32, 1 to 15), `threads` that take part in all

/// Waits until all have come, and sees what they wrote before.
void meetAt(Emitter &e, mlir::Value id, int64_t threads);
/// Comes, and goes on.
void passBy(Emitter &e, mlir::Value id, int64_t threads);

//--- clusters

/// The block's number in its cluster (i32).
mlir::Value clusterRank(Emitter &e);
/// All threads of the cluster's blocks wait, and see each other's writes.
void waitCluster(Emitter &e);
/// As arrive, at the same barrier of another block of the cluster (its rank, i32).
void arriveAt(Emitter &e, mlir::Value barrier, mlir::Value rank);
/// The same of the lanes where `condition` (i1) is true, without a branch.
void arriveAtWhere(Emitter &e, mlir::Value condition, mlir::Value barrier, mlir::Value rank);
/// The same place of another block's shared memory.
mlir::Value placeIn(Emitter &e, mlir::Value place, mlir::Value rank);
/// As waitBarrier, for arrivals of other blocks.
void waitClusterBarrier(Emitter &e, mlir::Value barrier, mlir::Value parity);
/// The thread's arrival; the phase ends after `bytes` (i32) of copies, too.
void arriveExpecting(Emitter &e, mlir::Value barrier, mlir::Value bytes);

//--- asynchronous copies and their proxy

/// A box of a tensor map (generic address) at `coordinates` (i32, innermost first) into the same place of the
/// shared memory of all blocks in `mask` (i32), or of this one alone, counted at each one's `barrier`. By one
/// thread.
void copyBox(Emitter &e, mlir::Value to, mlir::Value map, llvm::ArrayRef<mlir::Value> coordinates,
             mlir::Value barrier, mlir::Value mask = {});

/// `bytes` (i32, a multiple of 16) from global to shared memory, both 16-byte aligned; counted at `barrier`.
void bulkCopy(Emitter &e, mlir::Value to, mlir::Value from, mlir::Value bytes, mlir::Value barrier);
/// A box from shared memory, 128-byte aligned, to its place in the tensor; part of the thread's open group.
void storeBox(Emitter &e, mlir::Value from, mlir::Value map, llvm::ArrayRef<mlir::Value> coordinates);
/// Ends a group of the thread's stores.
void commitStores(Emitter &e);
/// Until all groups of the thread's are stored, or only their sources read.
void waitStores(Emitter &e, bool areRead);
/// Before asynchronous reads of shared memory that the thread wrote.
void fenceAsyncShared(Emitter &e);

//--- wgmma: rows 16 w to 16 w + 15 of 64 are those of warp w

/// An operand's descriptor (i64): rows of 128 bytes, 8 rows a 1024-byte aligned kilobyte, swizzled by
/// 128 bytes: 16 bytes number p of row r lie at p ^ (r % 8). PTX ISA, "Matrix descriptor".
mlir::Value describeRows(Emitter &e, mlir::Value address);
/// Another operand's, contiguous along its columns (wgmma's N; of a left one its rows, M): 64 columns are a
/// line of 128 bytes, 8 lines of k a 1024-byte aligned kilobyte, swizzled by 128 bytes; the next 64 columns
/// are `further` bytes away.
mlir::Value describeColumns(Emitter &e, mlir::Value address, int64_t further);
/// The same of lines of 32 bytes, 16 columns each, swizzled by 32 bytes: bit 4 of an address is that one ^
/// bit 7. The next 16 columns are `further` bytes away.
mlir::Value describePanels(Emitter &e, mlir::Value address, int64_t further);
/// Another operand's, contiguous along k, without swizzle: 8 rows of 16 bytes follow one another, and so do
/// the next 8 rows; the next 16 bytes of each row are `further` bytes away.
mlir::Value describeTiles(Emitter &e, mlir::Value address, int64_t further);
/// Bytes `offset` further, a multiple of 16.
mlir::Value describeFurther(Emitter &e, mlir::Value descriptor, int64_t offset);

using Registers = llvm::SmallVector<mlir::Value>;
/// Orders what the registers hold before the following products.
Registers fenceRegisters(Emitter &e, mlir::ValueRange registers);
/// sums (f32, columns / 2 a thread) + left (4 registers of 16-bit pairs: 64 x 16) * right (16 x columns).
/// As an accumulator of mma.m16n8k16, repeated every 8 columns. Asynchronous.
/// `isTransposed`: right is as describeColumns says. `adds`: as for multiplyShared.
Registers multiply(Emitter &e, mlir::Type element, mlir::ValueRange left, mlir::Value right,
                   mlir::ValueRange sums, bool isTransposed = false, mlir::Value adds = {});
/// sums + left (64 x 16) * right (16 x columns), each as describeRows says, or, transposed, as
/// describeColumns; of 8 bits 32 columns of k, neither transposed. Where `adds` (i32) is given and is 0, the
/// products alone. Asynchronous.
Registers multiplyShared(Emitter &e, mlir::Type element, mlir::Value left, mlir::Value right,
                         mlir::Value adds, mlir::ValueRange sums, bool isLeftTransposed = false,
                         bool isRightTransposed = true);
/// The first of some products of rows, which are contiguous along K both: without what the registers hold.
Registers startShared(Emitter &e, mlir::Type element, mlir::Value left, mlir::Value right,
                      mlir::ValueRange registers);
/// Ends a group of products.
void commitProducts(Emitter &e);
/// Until all groups but the `pending` latest are done; the sums as they are then. `left`: operands in
/// registers, which must not be used for anything else before.
Registers waitProducts(Emitter &e, mlir::ValueRange sums, mlir::ValueRange left, int64_t pending = 0);

/// Another number of registers for the threads of the warpgroup, a multiple of 8.
void setRegisters(Emitter &e, int64_t count, bool isMore);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_WARPGROUP_H
