// RUN: sinter-opt %s --split-input-file --verify-diagnostics

// expected-error @below {{expected dimensions of 1 or more, found 0}}
kernel.func private @f(!kernel.rows<0xf32>)

// -----
// expected-error @below {{expected f32, f16 or bf16 as element, found 'f64'}}
kernel.func private @f(!kernel.rows<8xf64>)

// -----
// expected-error @below {{expected f32, f16 or bf16 as element, found 'f8E4M3FN'}}
kernel.func private @f(!kernel.table<1x8xf8E4M3FN>)

// -----
// expected-error @below {{expected f32, f16 or bf16 as element, found 'f8E5M2'}}
kernel.func private @f(!kernel.cache_k<1x8xf8E5M2>)

// -----
// expected-error @below {{expected rows of q8 to have a multiple of 32 columns, found 40}}
kernel.func private @f(!kernel.rows<40xq8>)

// -----
// expected-error @below {{expected 1 or 2 dimensions, found 3}}
kernel.func private @f(!kernel.rows<8x8x8xf32>)

// -----
// expected-error @below {{expected dimensions of 1 or more, found 0}}
kernel.func private @f(!kernel.rows<0x8xf32>)

// -----
// expected-error @below {{expected dimensions of 1 or more, found 0}}
kernel.func private @f(!kernel.segments<0>)

// -----
// expected-error @below {{expected f32, f16 or bf16 as element, found 'i8'}}
kernel.func private @f(!kernel.table<1x8xi8>)

// -----
// expected-error @below {{expected 2 dimensions, found 1}}
kernel.func private @f(!kernel.weight<8, q4_0>)

// -----
// expected-error @below {{expected a weight format (f32, f16, bf16, q8_0, ...), found q3_1}}
kernel.func private @f(!kernel.weight<8x32, q3_1>)

// -----
// expected-error @below {{expected 2 dimensions, found 3}}
kernel.func private @f(!kernel.cache_k<8x32x4xf16>)

// -----
// expected-error @below {{expected f32, f16 or bf16 as element, found 'i16'}}
kernel.func private @f(!kernel.cache_v<8x32xi16>)

// -----
// expected-error @below {{expected 2 dimensions, found 1}}
kernel.func private @f(!kernel.partial<8, keys 256>)

// -----
// expected-error @below {{expected the keys of a chunk to be a multiple of 16, found 100}}
kernel.func private @f(!kernel.partial<8x64, keys 100>)

// -----
kernel.func @f(%x: !kernel.rows<8xf32>) {
  // expected-error @below {{expected numbers of 0 or more in a schedule, found -1}}
  kernel.rows over(rows) schedule<rows_per_tile = -1> {
  ^bb0(%row: index):
  }
}

// -----
kernel.func @f(%x: !kernel.rows<8xf32>) {
  // expected-error @below {{expected keys_per_tile and key_block to be multiples of 16, found 24}}
  kernel.rows over(rows) schedule<key_block = 24> {
  ^bb0(%row: index):
  }
}
