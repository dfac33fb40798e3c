// RUN: sinter-opt %s --split-input-file --verify-diagnostics

kernel.entry @step rows 1 selected 1 {
  // expected-error @below {{expected a buffer in weight to be !kernel.weight or !kernel.table, found '!kernel.rows<8xf32>'}}
  %x = kernel.buffer weight @w : !kernel.rows<8xf32>
}

// -----
kernel.entry @step rows 1 selected 1 {
  // expected-error @below {{expected the name of a parameter, found none}}
  %x = kernel.buffer weight : !kernel.table<1x8xf32>
}

// -----
kernel.entry @step rows 1 selected 1 {
  // expected-error @below {{expected a buffer in arena to be !kernel.rows or !kernel.segments, found '!kernel.table<1x8xf32>'}}
  %x = kernel.buffer arena : !kernel.table<1x8xf32>
}

// -----
kernel.entry @step rows 1 selected 1 {
  // expected-error @below {{expected a buffer in votes to be !kernel.table, found '!kernel.rows<8xf32>'}}
  %x = kernel.buffer votes : !kernel.rows<8xf32>
}

// -----
kernel.entry @step rows 1 selected 1 {
  // expected-error @below {{expected a buffer in cache_k to be !kernel.cache_k, found '!kernel.cache_v<2x16xf16>'}}
  %x = kernel.buffer cache_k layer 0 : !kernel.cache_v<2x16xf16>
}

// -----
kernel.entry @step rows 1 selected 1 {
  // expected-error @below {{expected the number of a layer, found none}}
  %x = kernel.buffer cache_v : !kernel.cache_v<2x16xf16>
}

// -----
kernel.entry @step rows 1 selected 1 {
  // expected-error @below {{expected a buffer in partial to be !kernel.partial, found '!kernel.rows<8xf32>'}}
  %x = kernel.buffer partial : !kernel.rows<8xf32>
}

// -----
kernel.entry @step rows 1 selected 1 {
  %x = kernel.buffer arena : !kernel.rows<8xf32>
  // expected-error @below {{expected a kernel.func, found no such symbol: none}}
  kernel.launch @none(%x) : !kernel.rows<8xf32>
}

// -----
kernel.func @f(%x: !kernel.rows<8xf32>, %y: !kernel.rows<8xf32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
  }
}
kernel.entry @step rows 1 selected 1 {
  %x = kernel.buffer arena : !kernel.rows<8xf32>
  // expected-error @below {{expected the buffers of f: ('!kernel.rows<8xf32>', '!kernel.rows<8xf32>'), found ('!kernel.rows<8xf32>')}}
  kernel.launch @f(%x) : !kernel.rows<8xf32>
}
