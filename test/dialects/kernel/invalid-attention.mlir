// RUN: sinter-opt %s --split-input-file --verify-diagnostics

kernel.func @f(%q: !kernel.rows<64xf32>, %k: !kernel.cache_k<2x16xf16>, %v: !kernel.cache_v<2x16xf16>, %o: !kernel.rows<64xf32>) {
  // expected-error @below {{expected a schedule whose tiles fit 524288 bytes of cache, found 1048576}}
  kernel.attention prefill heads 4 scale 0.25 query(%q : !kernel.rows<64xf32>) keys(%k : !kernel.cache_k<2x16xf16>)
      values(%v : !kernel.cache_v<2x16xf16>) output(%o : !kernel.rows<64xf32>) schedule<rows_per_tile = 8192>
}

// -----
kernel.func @f(%q: !kernel.rows<64xf32>, %k: !kernel.cache_k<2x16xf16>, %v: !kernel.cache_v<2x16xf16>, %o: !kernel.rows<64xf32>) {
  // expected-error @below {{expected a schedule whose tiles fit 524288 bytes of cache, found 800256}}
  kernel.attention decode heads 4 scale 0.25 query(%q : !kernel.rows<64xf32>) keys(%k : !kernel.cache_k<2x16xf16>)
      values(%v : !kernel.cache_v<2x16xf16>) output(%o : !kernel.rows<64xf32>) schedule<key_block = 100000>
}

// -----
kernel.func @f(%q: !kernel.rows<64xf32>, %k: !kernel.cache_k<2x16xf16>, %v: !kernel.cache_v<3x16xf16>, %o: !kernel.rows<64xf32>) {
  // expected-error @below {{expected as many heads of values as of keys, found '!kernel.cache_v<3x16xf16>' and '!kernel.cache_k<2x16xf16>'}}
  kernel.attention decode heads 4 scale 0.25 query(%q : !kernel.rows<64xf32>) keys(%k : !kernel.cache_k<2x16xf16>)
      values(%v : !kernel.cache_v<3x16xf16>) output(%o : !kernel.rows<64xf32>) 
}

// -----
kernel.func @f(%q: !kernel.rows<64xf32>, %k: !kernel.cache_k<2x16xf16>, %v: !kernel.cache_v<2x16xf32>, %o: !kernel.rows<64xf32>) {
  // expected-error @below {{expected one type of element in the cache, found '!kernel.cache_k<2x16xf16>' and '!kernel.cache_v<2x16xf32>'}}
  kernel.attention decode heads 4 scale 0.25 query(%q : !kernel.rows<64xf32>) keys(%k : !kernel.cache_k<2x16xf16>)
      values(%v : !kernel.cache_v<2x16xf32>) output(%o : !kernel.rows<64xf32>) 
}

// -----
kernel.func @f(%q: !kernel.rows<64xf32>, %k: !kernel.cache_k<2x16xf16>, %v: !kernel.cache_v<2x16xf16>, %o: !kernel.rows<64xf32>) {
  // expected-error @below {{expected the heads to be a multiple of the 2 heads of the cache, found 3}}
  kernel.attention decode heads 3 scale 0.25 query(%q : !kernel.rows<64xf32>) keys(%k : !kernel.cache_k<2x16xf16>)
      values(%v : !kernel.cache_v<2x16xf16>) output(%o : !kernel.rows<64xf32>) 
}

// -----
kernel.func @f(%q: !kernel.rows<32xf32>, %k: !kernel.cache_k<2x16xf16>, %v: !kernel.cache_v<2x16xf16>, %o: !kernel.rows<64xf32>) {
  // expected-error @below {{expected a query of 4 heads of 16 f32, found '!kernel.rows<32xf32>'}}
  kernel.attention decode heads 4 scale 0.25 query(%q : !kernel.rows<32xf32>) keys(%k : !kernel.cache_k<2x16xf16>)
      values(%v : !kernel.cache_v<2x16xf16>) output(%o : !kernel.rows<64xf32>) 
}

// -----
kernel.func @f(%q: !kernel.rows<64xf32>, %k: !kernel.cache_k<2x16xf16>, %v: !kernel.cache_v<2x16xf16>, %o: !kernel.rows<64xf32>, %s: !kernel.table<1x2xf32>) {
  // expected-error @below {{expected slopes of type !kernel.table<1x4xf32>, found '!kernel.table<1x2xf32>'}}
  kernel.attention decode heads 4 scale 0.25 query(%q : !kernel.rows<64xf32>) keys(%k : !kernel.cache_k<2x16xf16>)
      values(%v : !kernel.cache_v<2x16xf16>) slopes(%s : !kernel.table<1x2xf32>) output(%o : !kernel.rows<64xf32>) 
}

// -----
kernel.func @f(%q: !kernel.rows<64xf32>, %k: !kernel.cache_k<2x16xf16>, %v: !kernel.cache_v<2x16xf16>, %o: !kernel.rows<64xf32>) {
  // expected-error @below {{expected a window of 0 (none) or more, found -5}}
  kernel.attention decode heads 4 scale 0.25 window -5 query(%q : !kernel.rows<64xf32>) keys(%k : !kernel.cache_k<2x16xf16>)
      values(%v : !kernel.cache_v<2x16xf16>) output(%o : !kernel.rows<64xf32>) 
}

// -----
kernel.func @f(%q: !kernel.rows<64xf32>, %k: !kernel.cache_k<2x16xf16>, %v: !kernel.cache_v<2x16xf16>, %o: !kernel.rows<64xf32>) {
  // expected-error @below {{expected a softcap of 0 (none) or more, found -1.000000e+00}}
  kernel.attention decode heads 4 scale 0.25 softcap -1.0 query(%q : !kernel.rows<64xf32>) keys(%k : !kernel.cache_k<2x16xf16>)
      values(%v : !kernel.cache_v<2x16xf16>) output(%o : !kernel.rows<64xf32>) 
}

// -----
kernel.func @f(%q: !kernel.rows<64xf32>, %k: !kernel.cache_k<2x16xf16>, %v: !kernel.cache_v<2x16xf16>, %o: !kernel.rows<32xf32>) {
  // expected-error @below {{expected an output of 4 heads of 16 f32, found '!kernel.rows<32xf32>'}}
  kernel.attention decode heads 4 scale 0.25 query(%q : !kernel.rows<64xf32>) keys(%k : !kernel.cache_k<2x16xf16>)
      values(%v : !kernel.cache_v<2x16xf16>) output(%o : !kernel.rows<32xf32>) 
}

// -----
kernel.func @f(%q: !kernel.rows<64xf32>, %k: !kernel.cache_k<2x16xf16>, %v: !kernel.cache_v<2x16xf16>, %o: !kernel.partial<4x16, keys 256>) {
  // expected-error @below {{expected rows as output of prefill, found '!kernel.partial<4x16, keys 256>'}}
  kernel.attention prefill heads 4 scale 0.25 query(%q : !kernel.rows<64xf32>) keys(%k : !kernel.cache_k<2x16xf16>)
      values(%v : !kernel.cache_v<2x16xf16>) output(%o : !kernel.partial<4x16, keys 256>) 
}

// -----
kernel.func @f(%q: !kernel.rows<64xf32>, %k: !kernel.cache_k<2x16xf16>, %v: !kernel.cache_v<2x16xf16>, %o: !kernel.partial<2x16, keys 256>) {
  // expected-error @below {{expected an output of 4 heads of 16, found '!kernel.partial<2x16, keys 256>'}}
  kernel.attention decode heads 4 scale 0.25 query(%q : !kernel.rows<64xf32>) keys(%k : !kernel.cache_k<2x16xf16>)
      values(%v : !kernel.cache_v<2x16xf16>) output(%o : !kernel.partial<2x16, keys 256>) 
}
