// Causal attention over a cache: 4 heads of 64 numbers, 2 of keys and values.
kernel.func @attention(%query: !kernel.rows<256xf32>, %keys: !kernel.cache_k<2x64xf16>, %values: !kernel.cache_v<2x64xf16>,
                       %output: !kernel.rows<256xf32>) {
  kernel.attention prefill heads 4 scale 1.25e-1 query(%query : !kernel.rows<256xf32>) keys(%keys : !kernel.cache_k<2x64xf16>)
      values(%values : !kernel.cache_v<2x64xf16>) output(%output : !kernel.rows<256xf32>)
}
