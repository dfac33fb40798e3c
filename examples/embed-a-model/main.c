/* SPDX-License-Identifier: Apache-2.0 */
/* A model inside a program: it goes on with a text. `run` beside this file compiles the model and this program;
 * model.h, which `sinter compile --lib` writes, documents every function. */
#include "model.h"
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
  const char *prompt = argc > 1 ? argv[1] : "The capital of France is";

  char *error;
  sinter_session *session = sinter_open(NULL, &error);
  if (!session) {
    fprintf(stderr, "%s\n", error);
    return 1;
  }

  int32_t tokens[512];
  int64_t count = sinter_tokenize(session, prompt, strlen(prompt), 1, tokens, 512);
  if (count < 1 || count > 512)
    return 1;

  struct sinter_sample_options sampling = {
      .temperature = 0.8f, .top_k = 40, .top_p = 0.95f, .min_p = -1, .repeat_last_n = -2, .seed = 1};
  for (int i = 0; i < 16 && sinter_step(session, tokens, count) == 0; ++i) {
    int64_t next = sinter_sample(session, &sampling);
    if (next < 0 || sinter_is_end(session, (int32_t)next))
      break;
    tokens[0] = (int32_t)next;
    count = 1;
    char text[256];
    int64_t size = sinter_detokenize(session, tokens, 1, text, sizeof text);
    fwrite(text, 1, size < 256 ? (size_t)size : 256, stdout);
  }
  putchar('\n');
  sinter_close(session);
  return 0;
}
