# SPDX-License-Identifier: Apache-2.0
"""llama.cpp on one model, run by utils/bench/decode in the peer's own environment. Prints one JSON object.

  peer.py quantize SOURCE TARGET TYPE       another weight type, by llama.cpp's own quantiser
  peer.py bench MODEL THREADS PREFILL DECODE  tokens a second, milliseconds to the first token, memory
  peer.py logits MODEL IDS OUT              f32 logits of every position (ids: a JSON file), raw
"""
import json
import os
import resource
import sys
import time

import llama_cpp
import numpy

TYPES = {"f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q8_0": 7, "bf16": 32}


def quantize(source, target, kind):
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.allow_requantize, params.pure = TYPES[kind], True, True
    code = llama_cpp.llama_model_quantize(source.encode(), target.encode(), params)
    assert code == 0, f"expected code 0 of llama_model_quantize, found {code}"
    print(json.dumps({"bytes": os.path.getsize(target)}))


def load(path, threads, context):
    return llama_cpp.Llama(path, n_ctx=context, n_batch=512, n_ubatch=512, n_threads=threads, n_threads_batch=threads,
                           verbose=False)


def memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def bench(path, threads, prefill, decode):
    before, begin = memory(), time.perf_counter()
    model = load(path, threads, prefill + decode + 16)
    model.eval(model.tokenize(b"The capital of France is"))
    model.sample(temp=0.0)
    first = time.perf_counter() - begin
    ids = [(i * 7919 + 11) % model.n_vocab() for i in range(max(prefill, decode))]
    seconds = {}
    for name, count, batch in (("pp", prefill, prefill), ("tg", decode, 1)):
        for repeat in range(2):   # the first warms
            model.reset()
            model._ctx.kv_cache_clear()
            begin = time.perf_counter()
            for at in range(0, count, batch):
                model.eval(ids[at:at + batch])
            seconds[name] = time.perf_counter() - begin
    print(json.dumps({"pp": prefill / seconds["pp"], "tg": decode / seconds["tg"], "first_ms": 1000 * first,
                      "memory_mib": memory() - before}))


def logits(path, ids, out):
    ids = json.load(open(ids))
    model = load(path, os.cpu_count(), len(ids) + 8)
    context = model._ctx.ctx
    with open(out, "wb") as file:
        batch = llama_cpp.llama_batch_init(512, 0, 1)
        for at in range(0, len(ids), 512):   # one prefill, in llama.cpp's own batches, every position kept
            part = ids[at:at + 512]
            batch.n_tokens = len(part)
            for i, token in enumerate(part):
                batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, at + i, 1
                batch.seq_id[i][0], batch.logits[i] = 0, True
            assert llama_cpp.llama_decode(context, batch) == 0, "llama_decode failed"
            for i in range(len(part)):
                row = numpy.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(context, i), shape=(model.n_vocab(),))
                file.write(row.astype(numpy.float32).tobytes())
    print(json.dumps({"positions": len(ids), "vocabulary": model.n_vocab()}))


if __name__ == "__main__":
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    command, args = sys.argv[1], [int(a) if a.isdigit() else a for a in sys.argv[2:]]
    {"quantize": quantize, "bench": bench, "logits": logits}[command](*args)
