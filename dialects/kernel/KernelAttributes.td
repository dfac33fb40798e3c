// SPDX-License-Identifier: Apache-2.0
// Attributes of the kernel dialect: what a launch runs over, where buffers live, and the schedule.
#ifndef SINTER_DIALECTS_KERNEL_KERNELATTRIBUTES_TD
#define SINTER_DIALECTS_KERNEL_KERNELATTRIBUTES_TD

include "dialects/kernel/Kernel.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

class Kernel_Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::sinter::kernel";
  let genSpecializedAttr = 0;
}
class Kernel_EnumAttr<EnumAttrInfo enum, string mnemonic> : EnumAttr<Kernel_Dialect, enum, mnemonic> {
  let assemblyFormat = "$value";
}

def Kernel_Domain : Kernel_Enum<"Domain", "rows that a kernel runs over", [
  I32EnumAttrCase<"Rows", 0, "rows">,         // all rows of the step
  I32EnumAttrCase<"Selected", 1, "selected">, // the rows whose logits are wanted
  I32EnumAttrCase<"Draws", 2, "draws">        // not rows: the tokens to draw from the selected rows' logits
]>;
def Kernel_DomainAttr : Kernel_EnumAttr<Kernel_Domain, "domain">;

def Kernel_Form : Kernel_Enum<"Form", "shape of a step that attention is generated for", [
  I32EnumAttrCase<"Decode", 0, "decode">,  // each row is the newest token of a sequence of its own
  I32EnumAttrCase<"Prefill", 1, "prefill"> // all rows are consecutive tokens of one sequence
]>;
def Kernel_FormAttr : Kernel_EnumAttr<Kernel_Form, "form">;

// The same numbers as enum sinter_space of runtime/abi.h and enum sinter_training_space of its extension.
def Kernel_Space : Kernel_Enum<"Space", "where a buffer lives", [
  I32EnumAttrCase<"Weight", 0, "weight">,
  I32EnumAttrCase<"Arena", 1, "arena">,
  I32EnumAttrCase<"CacheK", 2, "cache_k">,
  I32EnumAttrCase<"CacheV", 3, "cache_v">,
  I32EnumAttrCase<"Partial", 4, "partial">,
  I32EnumAttrCase<"Logits", 5, "logits">,
  I32EnumAttrCase<"Gradient", 6, "gradient">,
  I32EnumAttrCase<"State0", 7, "state0">,
  I32EnumAttrCase<"State1", 8, "state1">,
  I32EnumAttrCase<"Norms", 9, "norms">,
  I32EnumAttrCase<"Losses", 10, "losses">,
  I32EnumAttrCase<"Votes", 12, "votes">,
  I32EnumAttrCase<"Drawn", 13, "drawn">,
  I32EnumAttrCase<"Average", 14, "average">
]>;
def Kernel_SpaceAttr : Kernel_EnumAttr<Kernel_Space, "space">;

def Kernel_WeightFormat : Kernel_Enum<"WeightFormat", "how the elements of a weight are stored", [
  I32EnumAttrCase<"F32", 0, "f32">,
  I32EnumAttrCase<"F16", 1, "f16">,
  I32EnumAttrCase<"BF16", 2, "bf16">,
  I32EnumAttrCase<"Q8_0", 3, "q8_0">,
  I32EnumAttrCase<"Q4_0", 4, "q4_0">,
  I32EnumAttrCase<"Q4_1", 5, "q4_1">,
  I32EnumAttrCase<"Q5_0", 6, "q5_0">,
  I32EnumAttrCase<"Q5_1", 7, "q5_1">,
  I32EnumAttrCase<"Q2_K", 8, "q2_k">,
  I32EnumAttrCase<"Q3_K", 9, "q3_k">,
  I32EnumAttrCase<"Q4_K", 10, "q4_k">,
  I32EnumAttrCase<"Q5_K", 11, "q5_k">,
  I32EnumAttrCase<"Q6_K", 12, "q6_k">,
  I32EnumAttrCase<"F8E4M3FN", 13, "f8E4M3FN">, // the names of MLIR's types
  I32EnumAttrCase<"F8E5M2", 14, "f8E5M2">
]>;

def Kernel_ScheduleAttr : AttrDef<Kernel_Dialect, "Schedule"> {
  let mnemonic = "schedule";
  let summary = "every tunable of a kernel";
  let description = [{
    A value of 0 leaves the choice to the emitter of the target. The first three make the grid of the launch
    (runtime/abi.h) and are the same for every instruction set; the others are about one tile.
    `rows_per_tile`, `columns_per_tile`, `keys_per_tile`: the share of a tile (rows of the domain, output
    columns of a matmul, keys of attention). `tile_rows`, `tile_columns`: the register tile of a matmul.
    `streams`: weight rows read far apart at once; of attention's prefill on sm_90a warpgroups that take turns
    (1: none does, 2: with a producer of their keys). `prefetch`: bytes ahead. `key_block`: keys between two
    corrections of the running maximum of attention.
  }];
  let parameters = (ins
    DefaultValuedParameter<"int64_t", "0">:$rows_per_tile,
    DefaultValuedParameter<"int64_t", "0">:$columns_per_tile,
    DefaultValuedParameter<"int64_t", "0">:$keys_per_tile,
    DefaultValuedParameter<"int64_t", "0">:$tile_rows,
    DefaultValuedParameter<"int64_t", "0">:$tile_columns,
    DefaultValuedParameter<"int64_t", "0">:$streams,
    DefaultValuedParameter<"int64_t", "0">:$prefetch,
    DefaultValuedParameter<"int64_t", "0">:$key_block);
  let assemblyFormat = "`<` struct(params) `>`";
  let genVerifyDecl = 1;
}

#endif // SINTER_DIALECTS_KERNEL_KERNELATTRIBUTES_TD
