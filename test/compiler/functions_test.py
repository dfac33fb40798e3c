#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sinter kernel: functions of random operations of the dialect lm, called on the processor and launched on the emulated GPU, beside
the same in double. Whatever stands beside what, no fusion may change results, or leave anything that has no kernel."""
import ctypes
import json
import os
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
from functions import SLOT, DeepProducts, FirstTokens, Function, WideProducts
from products import COMPILERS, SINTER, ProductTest, run

EMULATOR = SINTER.parent.parent / "lib/libsinter-cuda-emulator.so"


class Step(ctypes.Structure):
    """The beginning of struct sinter_step, with room for the rest."""
    _fields_ = [("rows", ctypes.c_int64), ("selected", ctypes.c_int64), ("tokens", ctypes.c_void_p), ("positions", ctypes.c_void_p),
                ("slots", ctypes.c_void_p), ("select", ctypes.c_void_p), ("logits", ctypes.c_void_p), ("keys", ctypes.c_int64), ("more", ctypes.c_int64 * 16)]


def memory(data):
    """A copy of bytes, aligned to 64: the buffer, and its address."""
    buffer = ctypes.create_string_buffer(len(data) + 64)
    address = -(-ctypes.addressof(buffer) // 64) * 64
    ctypes.memmove(address, data, len(data))
    return buffer, address


def unwritten(size):
    """Bytes of NaN."""
    return b"\xff" * size


def floats(data):
    return list((ctypes.c_float * (len(data) // 4)).from_buffer_copy(data))


class Gpu:
    """The emulated GPU by the driver's interface: races and accesses out of bounds are errors. Asynchronous copies are as late as they may be."""

    def __init__(self, architecture="sm_80"):
        self.architecture = architecture
        os.environ.update(SINTER_EMULATOR_SM=architecture[3:5], SINTER_EMULATOR_RACES="1", SINTER_EMULATOR_SCHEDULE="latest")
        self.driver, self.given = ctypes.CDLL(str(EMULATOR)), []
        device, context = ctypes.c_int(), ctypes.c_void_p()
        self.do("cuInit", 0)
        self.do("cuDeviceGet", ctypes.byref(device), 0)
        self.do("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self.do("cuCtxSetCurrent", context)

    def do(self, function, *arguments):
        if status := getattr(self.driver, function)(*arguments):
            message = ctypes.c_char_p()
            self.driver.cuGetErrorString(status, ctypes.byref(message))
            raise AssertionError(f"{function}: {message.value.decode()}")

    def put(self, data):
        """The address of a copy of bytes, which stays until `free`."""
        address = ctypes.c_uint64()
        self.do("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(len(data)))
        self.given.append(address)
        self.do("cuMemcpyHtoD_v2", address, bytes(data), ctypes.c_size_t(len(data)))
        return address.value

    def get(self, address, size):
        result = ctypes.create_string_buffer(size)
        self.do("cuMemcpyDtoH_v2", result, ctypes.c_uint64(address), ctypes.c_size_t(size))
        return result.raw

    def free(self):
        for address in self.given:
            self.do("cuMemFree_v2", address)
        self.given = []

    def encode(self, described, buffers, rows):
        """A tensor map of the manifest over one of the buffers: 128 bytes aligned to 64, and what keeps them alive."""
        kept = ctypes.create_string_buffer(192)
        address = -(-ctypes.addressof(kept) // 64) * 64
        rank = len(described["box"])
        self.do("cuTensorMapEncodeTiled", ctypes.c_void_p(address), 6, rank, ctypes.c_void_p(buffers[described["buffer"]]),
                (ctypes.c_uint64 * rank)(*(size or rows for size in described["sizes"])), (ctypes.c_uint64 * (rank - 1))(*described["strides"]),
                (ctypes.c_uint32 * rank)(*described["box"]), (ctypes.c_uint32 * rank)(*[1] * rank), 0, {0: 0, 32: 1, 64: 2, 128: 3}[described["swizzle_bytes"]], 2, 0)
        return kept, address

    def launch(self, ptx, code, addresses, rows):
        """A kernel by a few blocks that share its tiles; `code` describes it in the manifest, `addresses` are the step's and its buffers'."""
        module, kernel = ctypes.c_void_p(), ctypes.c_void_p()
        self.do("cuModuleLoadData", ctypes.byref(module), ptx + b"\0")
        self.do("cuModuleGetFunction", ctypes.byref(kernel), module, code["function"].encode())
        self.do("cuFuncSetAttribute", kernel, 8, code["shared_bytes"])   # the most dynamic shared memory
        values = [ctypes.c_uint64(address) for address in addresses]
        maps = [self.encode(each, addresses[1:], rows) for each in code.get("tensor_maps", [])]
        pointers = [*map(ctypes.addressof, values), *(address for _, address in maps)]
        blocks = 3 if code["cluster"][0] == 1 else 2 * code["cluster"][0]
        self.do("cuLaunchKernel", kernel, blocks, 1, 1, *code["block"], code["shared_bytes"], None, (ctypes.c_void_p * len(pointers))(*pointers), None)
        self.do("cuModuleUnload", module)
        return len(maps)


class FunctionsTest(ProductTest):
    maps = 0   # tensor maps that launches were given
    clusters = frozenset()   # sizes of the clusters of launches

    def kernel(self, name, text, target):
        """What `sinter kernel` describes of a function in text, and the folder of its files; None where its results are not its own."""
        source, folder = self.folder / f"{name}.mlir", self.folder / f"{name}-{target.partition(':')[0]}"
        source.write_text(text)
        err = subprocess.run([SINTER, "kernel", source, "-o", folder, f"--target={target}"], stderr=subprocess.PIPE, text=True, timeout=600).stderr
        if "expected each result to differ" in err:
            return None, folder
        self.assertEqual(err, "", text)
        return json.loads((folder / f"{folder.name}.json").read_text()), folder

    def library(self, folder):
        run(COMPILERS[0], "-shared", "-o", folder / "library.so", folder / f"{folder.name}.o")
        return ctypes.CDLL(str(folder / "library.so"))

    @staticmethod
    def contents(argument, function, library):
        """The bytes of an argument: the input of its name, packed by the processor's library, or nothing yet."""
        kind = argument["kind"]
        size = argument["row_bytes"] if kind == "rows" else SLOT if "cache" in kind else argument["bytes"]
        size *= 1 if kind in ("weight", "table") else function.rows
        if argument["written"] or argument["name"] not in function.inputs:
            return unwritten(size)
        numbers = function.inputs[argument["name"]]
        array = (ctypes.c_float * len(numbers))(*numbers)
        if kind != "weight":
            return bytes(array)
        buffer, address = memory(unwritten(size))
        getattr(library, argument["pack"] if argument["dtype"] == "f32" else argument["round"])(array, ctypes.c_void_p(address))
        return ctypes.string_at(address, size)

    @staticmethod
    def step(function, put):
        """A struct sinter_step; `put` gives the address of a copy of bytes."""
        tokens, positions, slots = (put(bytes((ctypes.c_int32 * function.rows)(*ids)))
                                    for ids in (function.tokens, function.positions, range(function.rows)))
        step = Step(rows=function.rows, selected=function.rows, tokens=tokens, positions=positions, slots=slots, keys=max(function.positions) + 1)
        step.more[0], step.more[1] = 16, SLOT   # tokens of a slot of the cache
        return step

    def call(self, function, described, library):
        """Results of the function on the processor."""
        kept = []

        def put(data):
            buffer, address = memory(data)
            kept.append(buffer)
            return address
        data = [self.contents(each, function, library) for each in described["arguments"]]
        addresses = [put(each) for each in data]
        step = self.step(function, put)
        last = ctypes.byref(step) if described["last"] == "step" else ctypes.c_int64(function.rows)
        library.f(*map(ctypes.c_void_p, addresses), last, ctypes.c_void_p(put(unwritten(described["workspace_bytes"]))))
        return [floats(ctypes.string_at(address, len(each))) for address, each, argument in zip(addresses, data, described["arguments"])
                if argument["written"] and argument["kind"] == "rows"]

    def launch(self, gpu, function, manifest, folder, packing):
        """Results of the function on the emulated GPU, which takes the same bytes; `packing`: the processor's manifest and library."""
        described, = manifest["functions"]
        arguments, library = packing[0]["functions"][0]["arguments"], packing[1]
        self.assertEqual([(each["name"], each["written"], each["kind"]) for each in described["arguments"]],
                         [(each["name"], each["written"], each["kind"]) for each in arguments])
        self.assertTrue(described["max_rows"] == 0 or function.rows <= described["max_rows"])
        data = [self.contents(each, function, library) for each in arguments]
        places = {"argument": [gpu.put(each) for each in data],
                  "constant": [gpu.put(bytes((ctypes.c_float * len(each["values"]))(*each["values"]))) for each in described["constants"]]}
        workspace = gpu.put(unwritten(described["workspace_bytes"] or 1))
        step = gpu.put(bytes(self.step(function, gpu.put)))
        codes = {each["kernel"]: each["code"][gpu.architecture] for each in manifest["kernels"]}
        for launch in described["launches"]:
            buffers = [next(workspace + number if place == "workspace" else places[place][number] for place, number in each.items())
                       for each in launch["buffers"]]
            code = codes[launch["kernel"]]
            self.clusters |= {code["cluster"][0]}
            self.maps += gpu.launch((folder / code["file"]).read_bytes(), code, [step] + buffers, function.rows)
        results = [floats(gpu.get(address, len(each))) for address, each, argument in zip(places["argument"], data, arguments)
                   if argument["written"] and argument["kind"] == "rows"]
        gpu.free()
        return results

    def compare(self, found, function, text):
        for numbers, result in zip(found, function.results, strict=True):
            expected = [x for row in function.values[result] for x in row]
            # Else sums in f32 of numbers that operations before have rounded.
            bounds = function.bounds.get(result) or [3e-4 * (1 + abs(b)) for b in expected]
            for a, b, bound in zip(numbers, expected, bounds, strict=True):
                self.assertLess(abs(a - b), bound, text)

    def check(self, seeds, rows, gpu=None, kind=Function, forms=("prefill", "decode")):
        for seed in seeds:
            function = kind(seed, rows)
            for form in forms if function.results else ():
                with self.subTest(f"seed {seed}, {form}"):
                    text, name = function.text(form), f"{kind.__name__}{seed}{form}"
                    manifest, folder = self.kernel(name, text, "cpu:avx2")
                    if manifest is None:
                        continue
                    packing = manifest, self.library(folder)
                    if gpu:
                        found = self.launch(gpu, function, *self.kernel(name, text, f"cuda:{gpu.architecture}"), packing)
                    else:
                        found = self.call(function, manifest["functions"][0], packing[1])
                    self.compare(found, function, text)

    def testRandomFunctionsComputeWhatTheirOperationsSay(self):
        self.check(range(40), rows=(1, 3, 17, 100))   # 100: more than one step has

    def testRandomFunctionsComputeTheSameOnAGpu(self):
        self.check(range(40, 55), rows=(1, 3, 16), gpu=Gpu())

    def testRandomFunctionsComputeTheSameOnAHopper(self):
        self.check(range(55, 61), rows=(1, 3, 16), gpu=Gpu("sm_90a"))

    def testWideProductsComputeTheSameByTensorMapsToo(self):
        self.check(range(6), rows=(1, 64, 77, 96), gpu=Gpu("sm_90a"), kind=WideProducts, forms=("prefill",))
        self.assertGreater(self.maps, 0)
        self.check(range(6, 8), rows=(64, 77), gpu=Gpu("sm_80"), kind=WideProducts, forms=("prefill",))

    def testDeepProductsOfFewTilesComputeTheSameByClustersToo(self):
        self.check(range(5), rows=(1, 64, 70), gpu=Gpu("sm_90a"), kind=DeepProducts, forms=("prefill",))
        self.assertIn(8, self.clusters)

    def testWhateverReadsAttentionsResultOfASingleTokenReadsAllOfIt(self):
        gpu = Gpu()
        for number, case in enumerate(FirstTokens.CASES):
            with self.subTest(case):
                function, name = FirstTokens(case), f"attention{number}"
                manifest, folder = self.kernel(name, function.text, "cpu:avx2")
                packing = manifest, self.library(folder)
                for numbers, in (self.call(function, manifest["functions"][0], packing[1]),
                                 self.launch(gpu, function, *self.kernel(name, function.text, "cuda:sm_80"), packing)):
                    for a, b in zip(numbers, function.expected, strict=True):
                        self.assertLess(abs(a - b), 1e-5)   # norms of f32


if __name__ == "__main__":
    unittest.main()
