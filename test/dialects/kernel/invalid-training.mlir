// RUN: sinter-opt %s --split-input-file --verify-diagnostics

kernel.func @f(%g: !kernel.rows<16xf32>, %x: !kernel.rows<8xf32>, %w: !kernel.weight<16x32, q8_0>) {
  // expected-error @below {{expected an output of f32, found '!kernel.weight<16x32, q8_0>'}}
  kernel.weight_gradient gradient(%g : !kernel.rows<16xf32>) input(%x : !kernel.rows<8xf32>) output(%w : !kernel.weight<16x32, q8_0>)
}

// -----
kernel.func @f(%g: !kernel.rows<16xf32>, %x: !kernel.rows<8xf32>, %w: !kernel.weight<16x8, f32>, %s: !kernel.segments<3>) {
  // expected-error @below {{expected an output whose rows are a multiple of the 3 experts, found '!kernel.weight<16x8, f32>'}}
  kernel.weight_gradient gradient(%g : !kernel.rows<16xf32>) input(%x : !kernel.rows<8xf32>) output(%w : !kernel.weight<16x8, f32>) experts(%s : !kernel.segments<3>)
}

// -----
kernel.func @f(%g: !kernel.rows<12xf32>, %x: !kernel.rows<8xf32>, %w: !kernel.weight<16x8, f32>) {
  // expected-error @below {{expected rows of f32 (or of bf16 with kernel.bf16) as long as the output's rows and columns, found '!kernel.rows<12xf32>' and '!kernel.rows<8xf32>' for '!kernel.weight<16x8, f32>'}}
  kernel.weight_gradient gradient(%g : !kernel.rows<12xf32>) input(%x : !kernel.rows<8xf32>) output(%w : !kernel.weight<16x8, f32>)
}

// -----
kernel.func @f(%x: !kernel.rows<8xf32>, %o: !kernel.table<1x3xf32>) {
  // expected-error @below {{expected rows of f32 and a table of one row of f32 whose width divides theirs, found '!kernel.rows<8xf32>' and '!kernel.table<1x3xf32>'}}
  kernel.column_sum input(%x : !kernel.rows<8xf32>) output(%o : !kernel.table<1x3xf32>)
}

// -----
kernel.func @f(%g: !kernel.rows<8xf32>, %w: !kernel.weight<16x4, f32>) {
  // expected-error @below {{expected rows of f32 and a weight of f32 with as many columns, found '!kernel.rows<8xf32>' and '!kernel.weight<16x4, f32>'}}
  kernel.scatter gradient(%g : !kernel.rows<8xf32>) output(%w : !kernel.weight<16x4, f32>)
}

// -----
kernel.func @f(%x: !kernel.rows<8xf32>, %l: !kernel.rows<2xf32>) {
  // expected-error @below {{expected rows of f32, and losses of one column, found '!kernel.rows<8xf32>' and '!kernel.rows<2xf32>'}}
  kernel.cross_entropy logits(%x : !kernel.rows<8xf32>) losses(%l : !kernel.rows<2xf32>)
}

// -----
kernel.func @f(%q: !kernel.rows<24xf32>, %k: !kernel.rows<16xf32>, %l: !kernel.rows<3xf32>) {
  // expected-error @below {{expected the heads to be a multiple of the key heads, found 3 and 2}}
  kernel.self_attention query(%q : !kernel.rows<24xf32>) key(%k : !kernel.rows<16xf32>) value(%k : !kernel.rows<16xf32>)
      output(%q : !kernel.rows<24xf32>) log_sum(%l : !kernel.rows<3xf32>) {heads = 3 : i64, kv_heads = 2 : i64, sequence = 4 : i64, scale = 1.0 : f64}
}

// -----
kernel.func @f(%q: !kernel.rows<32xf32>, %k: !kernel.rows<12xf32>, %l: !kernel.rows<4xf32>) {
  // expected-error @below {{expected queries and keys of one size of head, and outputs as wide as the values' heads, found widths 32, 12, 12 and 32}}
  kernel.self_attention query(%q : !kernel.rows<32xf32>) key(%k : !kernel.rows<12xf32>) value(%k : !kernel.rows<12xf32>)
      output(%q : !kernel.rows<32xf32>) log_sum(%l : !kernel.rows<4xf32>) {heads = 4 : i64, kv_heads = 2 : i64, sequence = 4 : i64, scale = 1.0 : f64}
}

// -----
kernel.func @f(%q: !kernel.rows<32xbf16>, %k: !kernel.rows<16xf32>, %o: !kernel.rows<32xf32>, %l: !kernel.rows<4xf32>) {
  // expected-error @below {{expected queries, keys and values of f32, or, with kernel.bf16, bf16, found '!kernel.rows<32xbf16>'}}
  kernel.self_attention query(%q : !kernel.rows<32xbf16>) key(%k : !kernel.rows<16xf32>) value(%k : !kernel.rows<16xf32>)
      output(%o : !kernel.rows<32xf32>) log_sum(%l : !kernel.rows<4xf32>) {heads = 4 : i64, kv_heads = 2 : i64, sequence = 4 : i64, scale = 1.0 : f64}
}

// -----
kernel.func @f(%q: !kernel.rows<32xf32>, %k: !kernel.rows<16xf32>, %o: !kernel.rows<32xbf16>, %l: !kernel.rows<4xf32>) {
  // expected-error @below {{expected outputs of f32, found '!kernel.rows<32xbf16>'}}
  kernel.self_attention query(%q : !kernel.rows<32xf32>) key(%k : !kernel.rows<16xf32>) value(%k : !kernel.rows<16xf32>)
      output(%o : !kernel.rows<32xbf16>) log_sum(%l : !kernel.rows<4xf32>) {heads = 4 : i64, kv_heads = 2 : i64, sequence = 4 : i64, scale = 1.0 : f64}
}

// -----
kernel.func @f(%q: !kernel.rows<32xf32>, %k: !kernel.rows<16xf32>, %l: !kernel.rows<2xf32>) {
  // expected-error @below {{expected a log_sum of 4 columns, one a head, found '!kernel.rows<2xf32>'}}
  kernel.self_attention query(%q : !kernel.rows<32xf32>) key(%k : !kernel.rows<16xf32>) value(%k : !kernel.rows<16xf32>)
      output(%q : !kernel.rows<32xf32>) log_sum(%l : !kernel.rows<2xf32>) {heads = 4 : i64, kv_heads = 2 : i64, sequence = 4 : i64, scale = 1.0 : f64}
}

// -----
kernel.func @f(%q: !kernel.rows<32xf32>, %k: !kernel.rows<16xf32>, %l: !kernel.rows<4xf32>) {
  // expected-error @below {{expected sequences of at least one row, found 0}}
  kernel.self_attention query(%q : !kernel.rows<32xf32>) key(%k : !kernel.rows<16xf32>) value(%k : !kernel.rows<16xf32>)
      output(%q : !kernel.rows<32xf32>) log_sum(%l : !kernel.rows<4xf32>) {heads = 4 : i64, kv_heads = 2 : i64, sequence = 0 : i64, scale = 1.0 : f64}
}

// -----
kernel.func @f(%q: !kernel.rows<32xf32>, %k: !kernel.rows<16xf32>, %l: !kernel.rows<4xf32>) {
  // expected-error @below {{expected rows_per_tile to be a multiple of 64 and to divide the sequence, found 64 of 96}}
  kernel.self_attention query(%q : !kernel.rows<32xf32>) key(%k : !kernel.rows<16xf32>) value(%k : !kernel.rows<16xf32>)
      output(%q : !kernel.rows<32xf32>) log_sum(%l : !kernel.rows<4xf32>) schedule <rows_per_tile = 64> {heads = 4 : i64, kv_heads = 2 : i64, sequence = 96 : i64, scale = 1.0 : f64}
}

// -----
kernel.func @f(%q: !kernel.rows<32xf32>, %k: !kernel.rows<16xf32>, %l: !kernel.rows<4xf32>, %s: !kernel.table<1x3xf32>) {
  // expected-error @below {{expected 4 slopes, one a head, found '!kernel.table<1x3xf32>'}}
  kernel.self_attention query(%q : !kernel.rows<32xf32>) key(%k : !kernel.rows<16xf32>) value(%k : !kernel.rows<16xf32>) slopes(%s : !kernel.table<1x3xf32>)
      output(%q : !kernel.rows<32xf32>) log_sum(%l : !kernel.rows<4xf32>) {heads = 4 : i64, kv_heads = 2 : i64, sequence = 4 : i64, scale = 1.0 : f64}
}

// -----
kernel.func @f(%q: !kernel.rows<32xf32>, %k: !kernel.rows<16xf32>, %l: !kernel.rows<4xf32>) {
  // expected-error @below {{expected gradients of f32, as wide as what they are gradients of}}
  kernel.self_attention_backward gradient(%q : !kernel.rows<32xf32>) query(%q : !kernel.rows<32xf32>) key(%k : !kernel.rows<16xf32>) value(%k : !kernel.rows<16xf32>)
      output(%q : !kernel.rows<32xf32>) log_sum(%l : !kernel.rows<4xf32>) gradients(%k, %k, %k : !kernel.rows<16xf32>, !kernel.rows<16xf32>, !kernel.rows<16xf32>)
      {heads = 4 : i64, kv_heads = 2 : i64, sequence = 4 : i64, scale = 1.0 : f64}
}

// -----
kernel.func @f(%q: !kernel.rows<32xf32>, %l: !kernel.rows<4xf32>) {
  // expected-error @below {{expected to be prepared with kernel.bf16, by a gradient of bf16 and f32 of a column a head}}
  kernel.self_attention_backward gradient(%q : !kernel.rows<32xf32>) query(%q : !kernel.rows<32xf32>) key(%q : !kernel.rows<32xf32>) value(%q : !kernel.rows<32xf32>)
      output(%q : !kernel.rows<32xf32>) log_sum(%l : !kernel.rows<4xf32>) prepared(%q, %l : !kernel.rows<32xf32>, !kernel.rows<4xf32>)
      gradients(%q, %q, %q : !kernel.rows<32xf32>, !kernel.rows<32xf32>, !kernel.rows<32xf32>) {heads = 4 : i64, kv_heads = 4 : i64, sequence = 4 : i64, scale = 1.0 : f64, kernel.bf16}
}

// -----
kernel.func @f(%x: !kernel.rows<64xf32>, %o: !kernel.rows<3xf32>) {
  // expected-error @below {{expected f32 in multiples of 16, and an output of a column a block, found '!kernel.rows<64xf32>' and '!kernel.rows<3xf32>' for blocks of 32}}
  kernel.square_sum input(%x : !kernel.rows<64xf32>) output(%o : !kernel.rows<3xf32>) block 32
}

// -----
kernel.func @f(%x: !kernel.rows<32xf32>, %w: !kernel.weight<32x32, q8_0>) {
  // expected-error @below {{expected transposed weights to be f32, found '!kernel.weight<32x32, q8_0>'}}
  kernel.matmul left(%x : !kernel.rows<32xf32>) transposed weights(%w : !kernel.weight<32x32, q8_0>) over(rows) ranges {
    kernel.range 0 to 32 group 32 {
    ^bb0(%a: vector<32xf32>, %row: index, %column: index):
    }
  }
}

// -----
kernel.func @f(%x: !kernel.rows<4xf32>, %c: !kernel.rows<2xf32>, %o: !kernel.table<1x8xf32>) {
  // expected-error @below {{expected choices of i32, found '!kernel.rows<2xf32>'}}
  kernel.router_votes logits(%x : !kernel.rows<4xf32>) chosen(%c : !kernel.rows<2xf32>) output(%o : !kernel.table<1x8xf32>)
}

// -----
kernel.func @f(%x: !kernel.rows<4xf32>, %c: !kernel.rows<2xi32>, %o: !kernel.table<1x4xf32>) {
  // expected-error @below {{expected logits of f32 and a table of two f32 for each expert, found '!kernel.rows<4xf32>' and '!kernel.table<1x4xf32>'}}
  kernel.router_votes logits(%x : !kernel.rows<4xf32>) chosen(%c : !kernel.rows<2xi32>) output(%o : !kernel.table<1x4xf32>)
}

// -----
kernel.func @f(%x: !kernel.rows<4xf32>, %v: !kernel.table<1x8xf32>, %o: !kernel.rows<5xf32>) {
  // expected-error @below {{expected an output like the logits, found '!kernel.rows<5xf32>' and '!kernel.rows<4xf32>'}}
  kernel.balance_gradient logits(%x : !kernel.rows<4xf32>) votes(%v : !kernel.table<1x8xf32>) output(%o : !kernel.rows<5xf32>) {coefficient = 0.1 : f64, routers = 2 : i64}
}

// -----
kernel.func @f(%x: !kernel.rows<8xf32>, %s: !kernel.table<1x2xf32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    // expected-error @below {{expected a site of one f32, found '!kernel.table<1x2xf32>'}}
    %m = kernel.dropout %s[%row] rate 1.000000e-01 : !kernel.table<1x2xf32>, vector<8xf32>
    kernel.store %m, %x[%row] : vector<8xf32>, !kernel.rows<8xf32>
  }
}

// -----
kernel.func @f(%x: !kernel.rows<8xf32>, %s: !kernel.table<1x1xf32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    // expected-error @below {{expected a rate of dropout above 0 and below 1, found 1.0}}
    %m = kernel.dropout %s[%row] rate 1.000000e+00 : !kernel.table<1x1xf32>, vector<8xf32>
    kernel.store %m, %x[%row] : vector<8xf32>, !kernel.rows<8xf32>
  }
}

// -----
kernel.func @f(%q: !kernel.rows<32xf32>, %l: !kernel.rows<4xf32>) {
  // expected-error @below {{expected a site for dropout of 1.000000e-01, found none}}
  kernel.self_attention query(%q : !kernel.rows<32xf32>) key(%q : !kernel.rows<32xf32>) value(%q : !kernel.rows<32xf32>)
      output(%q : !kernel.rows<32xf32>) log_sum(%l : !kernel.rows<4xf32>) {heads = 4 : i64, kv_heads = 4 : i64, sequence = 4 : i64, scale = 1.0 : f64, dropout = 0.1 : f64}
}
