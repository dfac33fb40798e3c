/* SPDX-License-Identifier: Apache-2.0 */
/* A compiled model as a library: open, tokenize, step, log-probabilities, sample, close. Plain C.
 *
 *   char *error;
 *   sinter_session *session = sinter_open(NULL, &error);
 *   int32_t ids[512];
 *   int64_t count = sinter_tokenize(session, "The capital of France is", 24, 1, ids, 512);
 *   while (sinter_step(session, ids, count) == 0) {
 *     int64_t next = sinter_sample(session, NULL);
 *     if (next < 0 || sinter_is_end(session, (int32_t)next))
 *       break;
 *     ids[0] = (int32_t)next; count = 1; ... sinter_detokenize(session, ids, 1, text, sizeof text) ...
 *   }
 *   sinter_close(session);
 *
 * Functions that return a count or a code return a negative number when they fail; sinter_error() then says
 * why. A session may be used by one thread at a time; several sessions may be open, each has threads of its
 * own. */
#ifndef SINTER_RUNTIME_GENERATE_CAPI_H
#define SINTER_RUNTIME_GENERATE_CAPI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Marks what a shared library exports; all else in it is hidden. */
#define SINTER_API __attribute__((visibility("default")))

typedef struct sinter_session sinter_session;

/* All zero is a good choice. */
struct sinter_open_options {
  int32_t threads;     /* 0: one a physical core */
  int64_t context;     /* tokens the session holds; 0: the model's, no more than half of the memory holds */
  const char *kv_type; /* "f16", "bf16" or "f32"; NULL: the model's */
  const char *weights_file; /* of a model compiled with --weights-file; NULL: the file of the recorded name
                               beside the program or library, else the recorded path */
  const char *device;       /* "cpu"; of a model compiled with --target=cuda also "cuda" and "emulator";
                               NULL: a GPU where there are one and its driver, else the processor */
  int32_t check_weights;    /* 1: compare every byte of the file of weights with what was compiled, not eight
                               places alone */
};

/* Negative temperature, top_k, top_p, min_p, repeat_last_n (below -1), and a repeat_penalty of 0 stand for
 * the model's defaults; seed and stream choose the random numbers: token i of a session draws number i of
 * that stream, the prompt's tokens counted (an executable counts behind the prompt, so its texts differ). */
struct sinter_sample_options {
  float temperature; /* 0: the most probable token */
  int32_t top_k;     /* 0: off */
  float top_p;       /* 1: off */
  float min_p;       /* 0: off */
  float repeat_penalty;
  int32_t repeat_last_n; /* -1: all tokens */
  float presence_penalty;
  float frequency_penalty;
  uint64_t seed;
  uint64_t stream;
};

/* Opens the model. Returns NULL when that fails; *error (where error is not NULL) is then a message to be
 * freed with sinter_free. */
SINTER_API sinter_session *sinter_open(const struct sinter_open_options *options, char **error);
SINTER_API void sinter_close(sinter_session *session);
SINTER_API void sinter_free(char *text);

/* Why the latest failing call on this session failed; valid until the next call. */
SINTER_API const char *sinter_error(const sinter_session *session);

/* What runs the model: "cpu (avx2)", "cuda: NVIDIA H100 80GB HBM3 (sm_90a)"; valid as long as the session. */
SINTER_API const char *sinter_device(const sinter_session *session);

SINTER_API int64_t sinter_vocabulary(const sinter_session *session); /* rows of logits */
SINTER_API int64_t sinter_context(const sinter_session *session);    /* tokens the session holds */
SINTER_API int64_t sinter_position(const sinter_session *session);   /* tokens it holds now */
SINTER_API int sinter_is_end(const sinter_session *session,
                             int32_t token); /* 1: the model ends a text with it */

/* Writes up to `capacity` ids of the `size` bytes at `text` and returns how many there are in all. With
 * `special` the tokens that the tokenizer puts around a text are added. */
SINTER_API int64_t sinter_tokenize(sinter_session *session, const char *text, size_t size, int special,
                                   int32_t *ids, int64_t capacity);

/* Writes up to `capacity` bytes of the text of `count` ids and returns how many there are in all. No zero is
 * added. */
SINTER_API int64_t sinter_detokenize(sinter_session *session, const int32_t *ids, int64_t count, char *text,
                                     size_t capacity);

/* Takes the next `count` tokens (at least one). Returns 0, or -1 when one is no token or the context is full;
 * then nothing has changed. */
SINTER_API int sinter_step(sinter_session *session, const int32_t *ids, int64_t count);

/* Forgets all tokens from `position` on, so that other ones can follow; there are no logits until the next
 * step. Returns 0 or -1. */
SINTER_API int sinter_rewind(sinter_session *session, int64_t position);

/* Logits of the token after the latest step (sinter_vocabulary of them), valid until the next step; NULL
 * before the first. */
SINTER_API const float *sinter_logits(sinter_session *session);

/* Writes their natural log-probabilities (sinter_vocabulary of them). Returns 0 or -1. */
SINTER_API int sinter_log_probabilities(sinter_session *session, float *out);

/* Draws the next token; it is not yet stepped. options NULL: the model's defaults, seed 0. Returns the id or
 * -1. */
SINTER_API int64_t sinter_sample(sinter_session *session, const struct sinter_sample_options *options);

#ifdef __cplusplus
}
#endif

#endif /* SINTER_RUNTIME_GENERATE_CAPI_H */
