/* SPDX-License-Identifier: Apache-2.0 */
/* The contract between a compiled training step and the runtime, in plain C. The compiler emits one constant
 * `sinter_trainer` (compiler/TrainerTable.cpp); runtime/training/Trainer.h runs it. It extends runtime/abi.h:
 * kernels, launches, grids and instruction sets are the same, and the layout rule too.
 *
 * A step of an optimizer is one or more micro-steps (forward and backward; gradients add up) and one update.
 * The rows of a micro-step are batch * sequence tokens, always that many: a sequence is `sequence`
 * neighbouring rows. Row i attends to rows i - positions[i] to i, so a position of 0 begins a document,
 * inside of a sequence too; rows with a target of -1 do not count in the loss.
 *
 * All parameters lie in one image of f32, gradients and the optimizer's state in images of the same layout,
 * so that an update is elementwise. Those that are not trained come last, and only the image of parameters
 * has them: that part is never written. Padding between and inside parameters is zero in every image, and
 * stays so. */
#ifndef SINTER_RUNTIME_TRAINING_TRAININGABI_H
#define SINTER_RUNTIME_TRAINING_TRAININGABI_H

#include "runtime/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rises with SINTER_ABI_VERSION where that changes launches, too. */
#define SINTER_TRAINING_ABI_VERSION 8

/* More places where a buffer lives; the numbers go on from enum sinter_space. SINTER_SPACE_WEIGHT is the
 * image of parameters, SINTER_SPACE_ARENA the activations and their gradients. Offsets are bytes. */
enum sinter_training_space {
  SINTER_SPACE_GRADIENT = 6,  /* image of gradients */
  SINTER_SPACE_STATE0 = 7,    /* the optimizer's first image (AdamW's m, SGD's and Muon's momentum) */
  SINTER_SPACE_STATE1 = 8,    /* its second (AdamW's v) */
  SINTER_SPACE_NORMS = 9,     /* (norm_blocks) f32: partial sums of squares of gradients */
  SINTER_SPACE_LOSSES = 10,   /* (rows) f32: cross-entropy of each row in nats, 0 where it does not count */
  SINTER_SPACE_CONSTANT = 11, /* trainer.constants */
  SINTER_SPACE_VOTES = 12,    /* (2 * experts) f32: of all routers, how often each expert was chosen, then the
                                 sums of probabilities; zeros before a micro-step */
  SINTER_SPACE_AVERAGE = 14   /* image of the average of the parameters, where one is kept */
};

/* What an update is given (sinter_step.update). */
struct sinter_update {
  float learning_rate;
  float beta1; /* SGD and Muon: momentum */
  float beta2;
  float epsilon;
  float weight_decay;   /* only of parameters with `decay` */
  float correction1;    /* 1 - beta1^t, t counts updates from 1 */
  float correction2;    /* 1 - beta2^t */
  float gradient_scale; /* clipping: the runtime sets min(1, clip / norm) */
  float muon_rate;      /* Muon: learning rate of its matrices; the others take learning_rate by AdamW */
  /* Of the loss, read in micro-steps. */
  float label_smoothing; /* this share of the target is spread over all tokens */
  float z_loss;          /* weight of log(sum(exp(logits)))^2 */
  float router_weight;   /* share of the micro-step in the update's balance loss */
  float dropout;         /* 1: activations are dropped, by step.seed; 0: none is (evaluations) */
  float average_share;   /* of the moved parameters in their average: 1 - its decay */
};

/* One tensor of model.safetensors, or the part of one, that holds rows of a parameter. Element (row + i,
 * column c) of the parameter is element offset + order(i) * row_stride + c * column_stride of the tensor in
 * row-major order. */
struct sinter_tensor_part {
  const char *tensor;    /* its name as transformers saves it */
  int64_t rank;          /* 1 to 3 */
  int64_t shape[3];      /* of the whole tensor, outermost first */
  int64_t row, rows;     /* rows of the parameter that are here */
  int64_t offset;        /* elements */
  int64_t row_stride;    /* elements */
  int64_t column_stride; /* elements */
  const int64_t *order;  /* (rows), or null: i itself */
};

enum sinter_parameter_layout {
  SINTER_LAYOUT_PLAIN = 0, /* [row][column] */
  SINTER_LAYOUT_PANELS = 1 /* [ceil(rows / 16)][column][16 rows], rows that lack are zeros */
};
enum sinter_parameter_start {
  SINTER_START_ZEROS = 0,
  SINTER_START_ONES = 1,
  SINTER_START_NORMAL = 2, /* mean 0, standard deviation start_deviation */
  SINTER_START_UNIFORM = 3 /* from -start_deviation to start_deviation */
};

struct sinter_parameter {
  const char *name; /* in the graph: "layers.0.attention.query" */
  int64_t rows;     /* of a stack of matrices (experts) all of them; a vector is one column */
  int64_t columns;
  uint64_t offset; /* into every image, in floats, a multiple of 16 */
  uint64_t floats; /* with padding; the next parameter begins behind them */
  uint32_t layout; /* enum sinter_parameter_layout */
  uint32_t decay;  /* 1: matrices and embeddings; 0: norms and biases */
  uint32_t hidden; /* 1: Muon's: a matrix that is neither embedding nor head, of whole panels */
  uint32_t start;  /* enum sinter_parameter_start: how transformers initialises it */
  float start_deviation;
  uint32_t trained; /* 0: keeps its value; it has no gradient */
  int64_t matrices; /* matrices stacked in it (experts); else 1 */
  int64_t zero_row; /* with SINTER_START_NORMAL: the row that begins as zeros (padding token), or -1 */
  const struct sinter_tensor_part *parts;
  uint64_t part_count;
  int64_t adapters[2]; /* numbers of the parameters A (rank, columns) and B (rows, rank): the model's weight
                          is this parameter + adapter_alpha / adapter_rank * B A; or -1 */
  uint64_t is_adapter; /* 1: such an A or B, no tensor of the model. It begins as `start` says in any case */
};

/* A launch over some of the rows. Its buffers' offsets are those of its first row already. */
struct sinter_train_launch {
  struct sinter_launch launch;
  int64_t first_row; /* step.tokens, positions and targets begin here */
  int64_t rows;      /* step.rows; 1 for launches on images */
  uint32_t adds;     /* 1: adds to gradients even in the first micro-step (a parameter used twice) */
  uint32_t in_loss;  /* 1: also run when only the loss is wanted */
  uint32_t
      fills_logits; /* 1: after it the chunk's logits are in the arena, see sinter_trainer.logits_offset */
  uint32_t reserved;
};

struct sinter_optimizer {
  const char *name;      /* "adamw", "sgd", "muon" */
  uint64_t state_images; /* 1 or 2 */
  const struct sinter_train_launch *launches;
  uint64_t launch_count;
};

/* The same launches on a GPU, as runtime/abi.h says it of sinter_gpu_launch. `step` of all launches with
 * equal rows is one struct sinter_step in device memory; its `update` and all images, activations, constants,
 * losses, norms and votes are there, too. There is no scratch. */
struct sinter_gpu_train_launch {
  struct sinter_gpu_launch launch;
  int64_t first_row;
  int64_t rows;
  uint32_t adds;
  uint32_t in_loss;
  uint32_t fills_logits;
  uint32_t reserved;
};

struct sinter_gpu_train_list {
  const struct sinter_gpu_train_launch *launches;
  uint64_t count;
};

/* The step compiled for one architecture. */
struct sinter_gpu_train_program {
  uint32_t architecture; /* of the image that has the functions */
  uint32_t reserved;
  struct sinter_gpu_train_list micro;
  struct sinter_gpu_train_list norm;
  const struct sinter_gpu_train_list *optimizers; /* in the order of sinter_trainer.optimizers */
  struct sinter_gpu_train_list average;
  struct sinter_gpu_train_list exchange;
};

/* A text that goes into every folder the trainer writes: config.json, tokenizer.json, ... */
struct sinter_file {
  const char *name;
  struct sinter_blob contents;
};

struct sinter_trainer {
  uint32_t abi_version; /* SINTER_TRAINING_ABI_VERSION */
  uint32_t isa_mask;    /* bit i: compiled for enum sinter_isa i */
  const char *name;
  int64_t batch;      /* sequences of a micro-step */
  int64_t sequence;   /* tokens of each */
  int64_t vocabulary; /* rows of logits */
  int64_t context;    /* longest sequence the positions allow; 0: no limit */
  const struct sinter_parameter *parameters;
  uint64_t parameter_count;
  uint64_t parameter_total;   /* numbers of all parameters that are trained, without padding */
  uint64_t image_floats;      /* of the image of parameters; a multiple of 16 */
  uint64_t trained_floats;    /* of every other image: without what is not trained */
  struct sinter_blob initial; /* image of parameters to start from; data is null: as `start` says. What is not
                                 trained stays there */
  struct sinter_blob constants;               /* SINTER_SPACE_CONSTANT */
  const struct sinter_train_launch *launches; /* a micro-step */
  uint64_t launch_count;
  uint64_t arena_bytes;
  uint64_t scratch_bytes; /* a thread */
  uint64_t logits_offset; /* into the arena: (logits_rows, vocabulary) f32, filled chunk by chunk */
  int64_t logits_rows;    /* rows of a chunk; rows of a micro-step are cut into chunks of that many */
  const struct sinter_train_launch *norm; /* of the gradients, into SINTER_SPACE_NORMS */
  uint64_t norm_count;
  uint64_t norm_blocks;
  const struct sinter_optimizer *optimizers;
  uint64_t optimizer_count;
  const struct sinter_train_launch *average; /* behind those of an optimizer, where an average is kept: moves
                                                it by average_share towards the parameters */
  uint64_t average_count;
  const struct sinter_train_launch *exchange; /* parameters and their average change places */
  uint64_t exchange_count;
  uint64_t flops; /* floating-point operations of a micro-step: products of matrices and attention */
  const struct sinter_file *files;
  uint64_t file_count;
  struct sinter_blob tokenizer; /* as sinter_model's; size 0: none (a bare configuration) */
  struct sinter_blob metadata;  /* JSON, as sinter_model's */
  int64_t routers;              /* whose votes are counted: layers with experts; 0: no balance loss */
  int64_t experts;              /* of each */
  float router_coefficient;     /* weight of the balance loss */
  float adapter_alpha;
  int64_t adapter_rank;        /* of low-rank adapters, which alone are trained then; 0: there are none */
  const char *adapter_targets; /* modules that have one, as --lora-targets has them */
  struct sinter_blob adapter_config; /* adapter_config.json, as PEFT reads it */
  const char *dropout;               /* what --dropout was compiled: "0", "config" or a share */
  const char *dropout_keys; /* the configuration's keys and their shares: "attn_pdrop 0.1, ..."; "": none */
  uint64_t recomputes;      /* 1: activations are computed again in the backward pass */
  const char *dtype;        /* "f32", or "bf16": what factors of products of matrices are rounded to */

  /* What --target=cuda adds; null and 0 without it. */
  const struct sinter_gpu_image *gpu_images;
  uint64_t gpu_image_count;
  const struct sinter_gpu_train_program *gpu_programs;
  uint64_t gpu_program_count;
  const char *emulator_folder; /* where the emulator is looked for last; "": not recorded */
};

#ifdef __cplusplus
}
#endif

#endif /* SINTER_RUNTIME_TRAINING_TRAININGABI_H */
