/* SPDX-License-Identifier: Apache-2.0 */
/* The contract between generated code and the runtime, in plain C. The compiler emits one constant
 * `sinter_model`: tables of launches over generated kernels, the shape of the cache, the tokenizer's
 * tables and the metadata. The runtime resolves buffers to addresses once, then runs the launches of an
 * entry in order, tiles split over threads, a barrier after each launch.
 *
 * Layout rule: all fields have natural alignment and only grow at the end; the compiler emits these
 * structs field by field in this order (compiler/ModelTable.cpp). */
#ifndef SINTER_RUNTIME_ABI_H
#define SINTER_RUNTIME_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SINTER_ABI_VERSION 4

/* Levels of the x86-64 instruction set that kernels are compiled for; a higher one includes the lower.
 *   AVX2        x86-64-v3: AVX2, FMA, F16C, BMI
 *   AVX512      x86-64-v4 (F, BW, CD, DQ, VL) and AVX512-VNNI
 *   AVX512BF16  AVX512 and AVX512-BF16
 *   AMX         AVX512BF16 and AMX-TILE, AMX-INT8, AMX-BF16 */
enum sinter_isa {
  SINTER_ISA_AVX2 = 0,
  SINTER_ISA_AVX512 = 1,
  SINTER_ISA_AVX512BF16 = 2,
  SINTER_ISA_AMX = 3,
  SINTER_ISA_COUNT = 4
};

/* What one step computes: `rows` tokens go through the layers, logits come out for `selected` of them.
 * Read-only for kernels. In the entry `prefill` all rows are consecutive tokens of one sequence; in
 * `decode` each row is the newest token of its own sequence. */
struct sinter_update;
struct sinter_step {
  int64_t rows;             /* tokens in this step, 1 to entry.max_rows */
  int64_t selected;         /* rows whose logits are wanted, 0 to rows */
  const int32_t *tokens;    /* (rows) token ids */
  const int32_t *positions; /* (rows) position in the sequence, from 0 */
  const int32_t *slots;     /* (rows) cache slot of the row's sequence */
  const int32_t *select;    /* (selected) indices into rows, increasing */
  float *logits;            /* (selected, vocabulary) */
  int64_t keys;             /* 1 + the largest position of this step */
  int64_t cache_tokens;     /* capacity of a slot in tokens, a multiple of SINTER_CACHE_PANEL */
  int64_t cache_slot_bytes; /* distance between two slots of one cache buffer */
  /* Training only (runtime/training/TrainingAbi.h). */
  const int32_t *targets; /* (rows) token that should follow, -1: the row does not count */
  float target_weight;    /* 1 / number of targets that count in all micro-steps of the update */
  uint32_t adds;          /* 0: gradients of parameters are overwritten, 1: added to */
  uint64_t seed;          /* of dropout, another one each micro-step */
  const struct sinter_update *update;
  /* Drawing on the device. */
  int64_t draws;                               /* tokens to draw from the logits of the selected rows */
  const struct sinter_sampling *sampling;      /* (draws) */
  const struct sinter_adjustment *adjustments; /* of all draws, one draw's after another's; null: none */
};

/* Bias and penalties of one logit, made where it lies before anything is drawn: x += bias; then x *= repeat
 * where x <= 0, else x /= repeat; then x -= subtract. A draw names a token once, and draws from one row do
 * not name the same tokens. */
struct sinter_adjustment {
  int32_t id;
  float bias, repeat, subtract;
};

/* Candidates are in order: larger logits first, of equals the smaller id. A filter keeps the first ones. The
 * weight of a logit is exp((logit - largest) * scale) * 2^SINTER_WEIGHT_BITS, rounded down to an integer:
 * sums of weights do not depend on the order in which they are added, so every device finds the same. */
#define SINTER_WEIGHT_BITS 44
enum sinter_filter_kind {
  SINTER_FILTER_FLOOR = 0, /* keeps logits of at least largest + offset */
  SINTER_FILTER_COUNT = 1, /* keeps `amount` candidates */
  SINTER_FILTER_SHARE = 2  /* keeps the fewest that have amount / 2^64 of the weight of all that are left, one
                              at  least; below largest + offset none is needed for it */
};
struct sinter_filter {
  uint32_t kind; /* enum sinter_filter_kind */
  float scale;   /* of weights */
  float offset;
  uint32_t reserved;
  uint64_t amount;
};

/* How a token is drawn: what the filters leave, in the order of ids, each as long as its weight; the token in
 * which the place floor(random * sum / 2^64) falls. `random` is draw `index` of stream `stream` of `seed`
 * (runtime/generate/Random.h). */
#define SINTER_MAX_FILTERS 3
struct sinter_sampling {
  uint64_t seed, stream, index;
  int32_t row; /* of the selected ones, whose logits these are */
  uint32_t filter_count;
  float scale;               /* of the weights of the draw */
  uint32_t adjustment_count; /* of its row */
  struct sinter_filter filters[SINTER_MAX_FILTERS];
};

/* Keys are stored in panels: K[kv_head][token / 16][head_dim][token % 16]; values in rows:
 * V[kv_head][token][head_dim]. One slot holds the layers' K and V one after another. */
#define SINTER_CACHE_PANEL 16

/* What a kernel is given. One call a thread and launch: tiles begin to end - 1 are the thread's share. */
struct sinter_call {
  void *const *buffers;           /* the launch's buffers, in order */
  const struct sinter_step *step; /* */
  void *scratch;                  /* this thread's own, 64-byte aligned, entry.scratch_bytes */
};
typedef void (*sinter_kernel)(const struct sinter_call *call, int64_t begin, int64_t end);

/* Where a buffer lives. */
enum sinter_space {
  SINTER_SPACE_WEIGHT = 0,  /* offset: bytes into the weight image */
  SINTER_SPACE_ARENA = 1,   /* offset: bytes into the activation arena */
  SINTER_SPACE_CACHE_K = 2, /* offset: number of the layer; resolves to slot 0 */
  SINTER_SPACE_CACHE_V = 3, /* the same */
  SINTER_SPACE_PARTIAL = 4, /* partial results of attention, shared by all launches:
                               (rows, ceil(cache_tokens / keys_per_tile), model.partial_bytes) */
  SINTER_SPACE_LOGITS = 5,  /* step.logits (also reachable as such) */
  /* 6 to 12 and 14: runtime/training/TrainingAbi.h */
  SINTER_SPACE_DRAWN = 13, /* (step.draws) i32: drawn tokens; -1 where a logit is not a number or the largest
                             is infinite */
  SINTER_SPACE_SPLIT = 15  /* GPUs: sums of parts of matmuls whose K is split, shared by all launches; `offset`:
                              bytes that the launch takes, `counters`: how many u32 it takes before the address,
                              downwards, which are 0 between launches */
};
struct sinter_buffer {
  uint32_t space;
  uint32_t counters; /* of SINTER_SPACE_SPLIT; else 0 */
  uint64_t offset;
};

enum sinter_domain { SINTER_DOMAIN_ROWS = 0, SINTER_DOMAIN_SELECTED = 1, SINTER_DOMAIN_DRAWS = 2 };

/* Number of tiles of a launch:
 *   columns * ceil(n / rows_per_tile) * ceil(step.keys / keys_per_tile)
 * where n is step.rows, step.selected or step.draws as the domain says; a rows_per_tile or keys_per_tile of 0
 * makes its factor 1. Tile index = (column * row_tiles + row_tile) * key_tiles + key_tile. The split never
 * depends on the number of threads, so neither does any result. */
struct sinter_grid {
  int64_t columns;
  int32_t rows_per_tile;
  int32_t keys_per_tile;
  uint32_t domain;
  uint32_t reserved;
};

struct sinter_launch {
  const char *name;                        /* kernel's name without the instruction set */
  sinter_kernel kernels[SINTER_ISA_COUNT]; /* null where not compiled */
  struct sinter_grid grid;
  const struct sinter_buffer *buffers;
  uint64_t buffer_count;
  uint64_t weight_bytes; /* bytes of weights that one run reads; of experts: those of one row's */
  uint64_t row_flops;    /* floating-point operations a row (without attention over the keys) */
};

struct sinter_entry {
  const char *name; /* "prefill" or "decode" */
  const struct sinter_launch *launches;
  uint64_t launch_count;
  uint64_t head_begin;    /* launches from here on compute logits of the selected rows; they may be run
                             several times with different `select` after one run of the others */
  int64_t max_rows;       /* the arena is planned for this many rows */
  int64_t max_selected;   /* and this many rows of logits */
  uint64_t arena_bytes;   /* one arena a session */
  uint64_t scratch_bytes; /* one scratch a thread */
};

enum sinter_dtype { SINTER_F32 = 0, SINTER_F16 = 1, SINTER_BF16 = 2 };

/* The entries compiled for one type of cache element. */
struct sinter_program {
  uint32_t cache_dtype; /* enum sinter_dtype */
  uint32_t reserved;
  struct sinter_entry prefill;
  struct sinter_entry decode;
};

/* How code for GPUs is stored. */
enum sinter_gpu_code {
  SINTER_GPU_PTX = 0,  /* text, with a zero byte behind it (not counted); newer devices compile it, too */
  SINTER_GPU_CUBIN = 1 /* machine code of exactly this architecture */
};

struct sinter_blob {
  const void *data;
  uint64_t size;
};

/* All GPU kernels of a model in one module for one architecture. Names of functions are those of
 * sinter_gpu_launch.function. */
struct sinter_gpu_image {
  uint32_t architecture; /* 80: any device from compute capability 8.0 on; 90: sm_90a, 9.0 alone */
  uint32_t code;         /* enum sinter_gpu_code */
  struct sinter_blob blob;
};

/* A tensor map that a kernel takes: cuTensorMapEncodeTiled of f16 over one of the launch's buffers, without
 * interleaving, zeros outside. Dimensions are innermost first. */
struct sinter_tensor_map {
  uint32_t buffer;        /* its number in the launch */
  uint32_t swizzle_bytes; /* 0, 32 or 128 */
  uint32_t rank;          /* 2 or 3 */
  uint32_t box[3];        /* elements */
  uint64_t sizes[3];      /* elements; 0: as many as the buffer has rows */
  uint64_t strides[2];    /* bytes, of dimensions 1 and 2 */
  uint64_t of_cache;      /* 1: over a buffer of the cache; sizes[1] is that of a token, to be multiplied by
                             step.cache_tokens, dimension 2 the slots, step.cache_slot_bytes apart */
};

/* A kernel on the GPU:
 *   .visible .entry FUNCTION(.param .u64 step, .param .u64 buffer0, .param .u64 buffer1, ...,
 *                            .param .align 64 .b8 map0[128], ...)
 * `step` is the device address of a `struct sinter_step` in device memory, whose pointers are device
 * addresses, too: arguments stay the same from step to step, so that a step can be a graph. Buffers are
 * resolved as on the CPU; a device has its own weight image (the same bytes), arena, cache and partial
 * results.
 *
 * Blocks share the tiles: block b runs tiles b, b + gridDim.x, ...; tiles are numbered as in sinter_grid
 * (their number is read from the step). Any number of blocks from 1 on gives the same results; useful are at
 * most as many as there are tiles, and blocks_per_sm for each multiprocessor. gridDim is a multiple of
 * `cluster`. */
struct sinter_gpu_launch {
  const char *name;     /* of the kernel, for reports */
  const char *function; /* in the images */
  struct sinter_grid grid;
  const struct sinter_buffer *buffers;
  uint64_t buffer_count;
  uint32_t threads;       /* a block; blockDim is (threads, 1, 1) */
  uint32_t shared_bytes;  /* dynamic shared memory a block; over 48 KiB needs the function's attribute set */
  uint32_t cluster;       /* blocks a cluster, 1: none */
  uint32_t blocks_per_sm; /* that the registers and shared memory of the kernel are planned for */
  uint64_t weight_bytes;  /* as in sinter_launch */
  uint64_t row_flops;     /* as in sinter_launch */
  const struct sinter_tensor_map *maps; /* parameters behind the buffers */
  uint64_t map_count;
};

/* As sinter_entry; there is no scratch. */
struct sinter_gpu_entry {
  const char *name; /* "prefill" or "decode" */
  const struct sinter_gpu_launch *launches;
  uint64_t launch_count;
  uint64_t head_begin;
  int64_t max_rows;
  int64_t max_selected;
  uint64_t arena_bytes;
};

/* A decode step as one kernel: it walks the launches of `decode`, then those of `sample`, as tasks.
 *   .visible .entry FUNCTION(.param .u64 step, .param .u64 tasks, .param .u64 waits, .param .u64 addresses,
 *                            .param .u64 finished, .param .u32 count)
 * All are addresses of device memory: the step; task_count tasks; the numbers of the tasks that each waits
 * for; the buffers of all launches one after another, resolved; a counter of finished tiles a task, u32 in
 * SINTER_GPU_COUNTER_BYTES each, which are 0 when the kernel begins. It runs the first `count` tasks.
 *
 * Blocks wait for each other, so the launch is cooperative: any number of blocks that are resident at once
 * gives the same results, and useful are at most as many as the largest task has tiles. */
#define SINTER_GPU_COUNTER_BYTES 32
struct sinter_gpu_task {
  uint32_t kernel; /* its number in the persistent kernel */
  uint32_t domain; /* the launch's grid */
  uint32_t columns;
  uint32_t rows_per_tile;
  uint32_t keys_per_tile;
  uint32_t first_wait; /* the tasks that must be finished before, earlier ones */
  uint32_t wait_count;
  uint32_t first_address; /* of its buffers */
  uint32_t address_count;
  struct {
    uint32_t buffer;     /* its number in the launch */
    uint32_t tile_bytes; /* 0: none; tile i reads bytes i * tile_bytes to (i + 1) * tile_bytes */
  } prefetches[2];       /* weights, which may be fetched before the task's turn */
};
struct sinter_gpu_persistent {
  const char *function;
  const struct sinter_gpu_task *tasks;
  uint64_t task_count;
  const uint32_t *waits;
  uint64_t wait_count;
  uint32_t threads; /* a block */
  uint32_t shared_bytes;
};

/* The entries compiled for one architecture and type of cache element. */
struct sinter_gpu_program {
  uint32_t architecture; /* of the image that has the functions */
  uint32_t cache_dtype;  /* enum sinter_dtype */
  struct sinter_gpu_entry prefill;
  struct sinter_gpu_entry decode;
  struct sinter_gpu_entry
      sample; /* draws tokens from logits; an arena of its own; no launches: the host draws */
  const struct sinter_gpu_persistent *persistent; /* null: a decode step is its launches */
};

struct sinter_cache_layer {
  int32_t kv_heads;
  int32_t key_dim;   /* of one head */
  int32_t value_dim; /* of one head */
  int32_t window;    /* 0: all earlier tokens; else this many, itself included */
};

/* The weight image as a file of its own: this header, zeros up to SINTER_WEIGHTS_OFFSET, the image, the
 * hashes of its pieces (runtime/device/WeightHashes.h). */
#define SINTER_WEIGHTS_MAGIC "SINTERWT"
#define SINTER_WEIGHTS_OFFSET 4096
struct sinter_weights_header {
  char magic[8];        /* SINTER_WEIGHTS_MAGIC without its final zero */
  uint64_t image_bytes; /* sinter_model.weights.size */
  uint64_t hash;        /* sinter_model.weights_hash: of the hashes */
};

struct sinter_model {
  uint32_t abi_version; /* SINTER_ABI_VERSION */
  uint32_t isa_mask;    /* bit i: compiled for enum sinter_isa i */
  const char *name;
  int64_t vocabulary; /* rows of logits */
  int64_t context;    /* longest sequence the positions allow; 0: no limit */
  const struct sinter_program *programs;
  uint64_t program_count;
  const struct sinter_cache_layer *layers;
  uint64_t layer_count;
  uint64_t partial_bytes;       /* see SINTER_SPACE_PARTIAL */
  int64_t partial_keys;         /* keys_per_tile of the attention launches that use it */
  struct sinter_blob weights;   /* data is null when the image is a file of its own (--weights-file) */
  uint64_t weights_hash;        /* of the image's index; of the hashes when it is a file */
  struct sinter_blob tokenizer; /* runtime/tokenizer reads it */
  struct sinter_blob metadata; /* JSON, docs/metadata.md: end tokens, sampling defaults, chat template, ... */

  /* What --target=cuda adds; null and 0 without it. */
  const struct sinter_gpu_image *gpu_images;
  uint64_t gpu_image_count;
  const struct sinter_gpu_program *gpu_programs;
  uint64_t gpu_program_count;
  uint64_t gpu_partial_bytes; /* as partial_bytes and partial_keys, of the GPU's launches */
  int64_t gpu_partial_keys;
};

#ifdef __cplusplus
}
#endif

#endif /* SINTER_RUNTIME_ABI_H */
