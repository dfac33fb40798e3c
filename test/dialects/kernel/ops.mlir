// RUN: sinter-opt %s | sinter-opt | FileCheck %s
// Every operation of the dialect is printed as it was read.

// CHECK-LABEL: kernel.func @embed(
// CHECK-SAME: !kernel.weight<49152x64, q8_0>, %{{.*}}: !kernel.rows<64xf32>)
kernel.func @embed(%w: !kernel.weight<49152x64, q8_0>, %x: !kernel.rows<64xf32>) {
  // CHECK: kernel.rows over( rows) schedule <rows_per_tile = 8> {
  kernel.rows over(rows) schedule<rows_per_tile = 8> {
  ^bb0(%row: index):
    // CHECK: kernel.token
    %token = kernel.token %row
    // CHECK: kernel.lookup %{{.*}}[%{{.*}}] : <49152x64, q8_0>, vector<64xf32>
    %v = kernel.lookup %w[%token] : !kernel.weight<49152x64, q8_0>, vector<64xf32>
    kernel.store %v, %x[%row] : vector<64xf32>, !kernel.rows<64xf32>
  }
}

// CHECK-LABEL: kernel.func @qkv(
kernel.func @qkv(%x: !kernel.rows<64xf32>, %w: !kernel.weight<96x64, q4_1>, %q: !kernel.rows<32xf32>,
                 %k: !kernel.cache_k<2x16xf16>, %v: !kernel.cache_v<2x16xbf16>, %bias: !kernel.table<1x96xf16>) {
  // CHECK: kernel.matmul weights(%{{.*}} : !kernel.weight<96x64, q4_1>) over( rows) schedule <columns_per_tile = 32> lhs {
  kernel.matmul weights(%w : !kernel.weight<96x64, q4_1>) over(rows) schedule<columns_per_tile = 32> lhs {
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : !kernel.rows<64xf32>, vector<64xf32>
    // CHECK: kernel.yield %{{.*}} : vector<64xf32>
    kernel.yield %a : vector<64xf32>
  } ranges {
    // CHECK: kernel.range 0 to 32 group 16 {
    kernel.range 0 to 32 group 16 {
    ^bb0(%acc: vector<16xf32>, %row: index, %column: index):
      %zero = arith.constant 0 : index
      // CHECK: kernel.load %{{.*}}[%{{.*}}, %{{.*}}] : !kernel.table<1x96xf16>, vector<16xf32>
      %b = kernel.load %bias[%zero, %column] : !kernel.table<1x96xf16>, vector<16xf32>
      %r = arith.addf %acc, %b : vector<16xf32>
      // CHECK: kernel.store %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}] : vector<16xf32>, <32xf32>
      kernel.store %r, %q[%row, %column] : vector<16xf32>, !kernel.rows<32xf32>
    }
    kernel.range 32 to 64 group 16 {
    ^bb0(%acc: vector<16xf32>, %row: index, %column: index):
      %head = arith.constant 0 : index
      // CHECK: kernel.append %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}] : vector<16xf32>, !kernel.cache_k<2x16xf16>
      kernel.append %acc, %k[%row, %head] : vector<16xf32>, !kernel.cache_k<2x16xf16>
    }
    kernel.range 64 to 96 group 16 {
    ^bb0(%acc: vector<16xf32>, %row: index, %column: index):
      %head = arith.constant 1 : index
      // CHECK: kernel.append %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}] : vector<16xf32>, !kernel.cache_v<2x16xbf16>
      kernel.append %acc, %v[%row, %head] : vector<16xf32>, !kernel.cache_v<2x16xbf16>
    }
  }
}

// CHECK-LABEL: kernel.func @gate_up(
kernel.func @gate_up(%x: !kernel.rows<64xq8>, %g: !kernel.weight<96x64, q4_0>, %u: !kernel.weight<96x64, q4_0>,
                     %y: !kernel.rows<96xf32>) {
  // CHECK: kernel.matmul left(%{{.*}} : !kernel.rows<64xq8>) weights(%{{.*}}, %{{.*}} : !kernel.weight<96x64, q4_0>, !kernel.weight<96x64, q4_0>) over( selected)
  kernel.matmul left(%x : !kernel.rows<64xq8>) weights(%g, %u : !kernel.weight<96x64, q4_0>, !kernel.weight<96x64, q4_0>)
      over(selected) ranges {
    kernel.range 0 to 96 group 32 {
    ^bb0(%a: vector<32xf32>, %b: vector<32xf32>, %row: index, %column: index):
      %p = arith.mulf %a, %b : vector<32xf32>
      kernel.store %p, %y[%row, %column] : vector<32xf32>, !kernel.rows<96xf32>
    }
  }
}

// CHECK-LABEL: kernel.func @decode(
kernel.func @decode(%q: !kernel.rows<64xf32>, %k: !kernel.cache_k<2x16xf16>, %v: !kernel.cache_v<2x16xf16>,
                    %s: !kernel.table<1x4xf32>, %p: !kernel.partial<4x16, keys 256>) {
  // CHECK: kernel.attention decode heads 4 scale 2.500000e-01 window 512 softcap 5.000000e+01 query(
  // CHECK-SAME: slopes(
  // CHECK-SAME: output(%{{.*}} : !kernel.partial<4x16, keys 256>)
  kernel.attention decode heads 4 scale 0.25 window 512 softcap 50.0 query(%q : !kernel.rows<64xf32>)
      keys(%k : !kernel.cache_k<2x16xf16>) values(%v : !kernel.cache_v<2x16xf16>) slopes(%s : !kernel.table<1x4xf32>)
      output(%p : !kernel.partial<4x16, keys 256>)
}

// CHECK-LABEL: kernel.func @combine(
kernel.func @combine(%p: !kernel.partial<4x16, keys 256>, %x: !kernel.rows<64xq8>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    // CHECK: kernel.combine %{{.*}}[%{{.*}}] window 512 : <4x16, keys 256>, vector<64xf32>
    %a = kernel.combine %p[%row] window 512 : !kernel.partial<4x16, keys 256>, vector<64xf32>
    kernel.store %a, %x[%row] : vector<64xf32>, !kernel.rows<64xq8>
  }
}

// CHECK-LABEL: kernel.func @heads(
kernel.func @heads(%x: !kernel.rows<64xf32>, %y: !kernel.rows<64xf32>) {
  // CHECK: kernel.rows over( selected) columns 64 group 16 {
  kernel.rows over(selected) columns 64 group 16 {
  ^bb0(%i: index, %column: index):
    // CHECK: kernel.selected
    %row = kernel.selected %i
    // CHECK: kernel.position
    %position = kernel.position %row
    %a = kernel.load %x[%row, %column] : !kernel.rows<64xf32>, vector<16xf32>
    kernel.store %a, %y[%i, %column] : vector<16xf32>, !kernel.rows<64xf32>
  }
}

// CHECK-LABEL: kernel.func @experts(
kernel.func @experts(%x: !kernel.rows<2x32xq8>, %w: !kernel.weight<96x32, q4_0>, %s: !kernel.segments<3>,
                     %y: !kernel.rows<2x32xf32>) {
  // CHECK: kernel.matmul left(%{{.*}} : !kernel.rows<2x32xq8>) weights(%{{.*}} : !kernel.weight<96x32, q4_0>) experts(%{{.*}} : !kernel.segments<3>) over( rows)
  kernel.matmul left(%x : !kernel.rows<2x32xq8>) weights(%w : !kernel.weight<96x32, q4_0>)
      experts(%s : !kernel.segments<3>) over(rows) ranges {
    kernel.range 0 to 32 group 32 {
    ^bb0(%a: vector<32xf32>, %row: index, %column: index):
      kernel.store %a, %y[%row, %column] : vector<32xf32>, !kernel.rows<2x32xf32>
    }
  }
}

// CHECK-LABEL: kernel.func @route(
kernel.func @route(%l: !kernel.rows<3xf32>, %w: !kernel.rows<2xf32>, %c: !kernel.rows<2xi32>) {
  // CHECK: kernel.route normalise logits(%{{.*}} : <3xf32>) weights(%{{.*}} : <2xf32>) chosen(%{{.*}} : <2xi32>) over( rows)
  kernel.route normalise logits(%l : !kernel.rows<3xf32>) weights(%w : !kernel.rows<2xf32>) chosen(%c : !kernel.rows<2xi32>) over(rows)
}

// CHECK-LABEL: kernel.func @dispatch(
kernel.func @dispatch(%c: !kernel.rows<2xi32>, %p: !kernel.rows<2xi32>, %s: !kernel.segments<3>) {
  // CHECK: kernel.dispatch chosen(%{{.*}} : <2xi32>) places(%{{.*}} : <2xi32>) segments(%{{.*}} : <3>) over( selected)
  kernel.dispatch chosen(%c : !kernel.rows<2xi32>) places(%p : !kernel.rows<2xi32>) segments(%s : !kernel.segments<3>) over(selected)
}

// CHECK-LABEL: kernel.func @weighted(
kernel.func @weighted(%p: !kernel.rows<2xi32>, %w: !kernel.rows<2xf32>, %x: !kernel.rows<2x32xf32>, %y: !kernel.rows<32xf32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    // CHECK: %[[P:.*]] = kernel.element %{{.*}}[%{{.*}}, 1] : <2xi32>, index
    %place = kernel.element %p[%row, 1] : !kernel.rows<2xi32>, index
    // CHECK: kernel.element %{{.*}}[%{{.*}}, 1] : <2xf32>, f32
    %weight = kernel.element %w[%row, 1] : !kernel.rows<2xf32>, f32
    // CHECK: kernel.load %{{.*}}[%[[P]]] : !kernel.rows<2x32xf32>, vector<32xf32>
    %a = kernel.load %x[%place] : !kernel.rows<2x32xf32>, vector<32xf32>
    %b = vector.broadcast %weight : f32 to vector<32xf32>
    %c = arith.mulf %a, %b : vector<32xf32>
    kernel.store %c, %y[%row] : vector<32xf32>, !kernel.rows<32xf32>
  }
}

// CHECK-LABEL: kernel.func @peaks(
kernel.func @peaks(%l: !kernel.rows<300xf32>, %p: !kernel.rows<2xf32>) {
  // CHECK: kernel.peaks logits(%{{.*}} : <300xf32>) peaks(%{{.*}} : <2xf32>)
  kernel.peaks logits(%l : !kernel.rows<300xf32>) peaks(%p : !kernel.rows<2xf32>)
}

// CHECK-LABEL: kernel.func @draw(
kernel.func @draw(%l: !kernel.rows<300xf32>, %p: !kernel.rows<2xf32>, %t: !kernel.rows<1xi32>) {
  // CHECK: kernel.sample logits(%{{.*}} : <300xf32>) peaks(%{{.*}} : <2xf32>) drawn(%{{.*}} : <1xi32>)
  kernel.sample logits(%l : !kernel.rows<300xf32>) peaks(%p : !kernel.rows<2xf32>) drawn(%t : !kernel.rows<1xi32>)
}

// CHECK: kernel.entry @step rows 512 selected 1 head 1 {
kernel.entry @step rows 512 selected 1 head 1 {
  // CHECK: kernel.buffer weight @embedding : !kernel.weight<49152x64, q8_0>
  %w = kernel.buffer weight @embedding : !kernel.weight<49152x64, q8_0>
  // CHECK: kernel.buffer arena offset 64 : !kernel.rows<64xf32>
  %x = kernel.buffer arena offset 64 : !kernel.rows<64xf32>
  // CHECK: kernel.buffer cache_k layer 3 : !kernel.cache_k<2x16xf16>
  %k = kernel.buffer cache_k layer 3 : !kernel.cache_k<2x16xf16>
  // CHECK: kernel.buffer drawn : !kernel.rows<1xi32>
  %t = kernel.buffer drawn : !kernel.rows<1xi32>
  // CHECK: kernel.launch @embed(%{{.*}}, %{{.*}}) : !kernel.weight<49152x64, q8_0>, !kernel.rows<64xf32>
  kernel.launch @embed(%w, %x) : !kernel.weight<49152x64, q8_0>, !kernel.rows<64xf32>
}

// CHECK-LABEL: kernel.func @eight_bits(
// CHECK-SAME: !kernel.rows<64xf8E4M3FN>, %{{.*}}: !kernel.weight<32x64, f8E5M2>, %{{.*}}: !kernel.rows<32xf8E5M2>)
kernel.func @eight_bits(%x: !kernel.rows<64xf8E4M3FN>, %w: !kernel.weight<32x64, f8E5M2>, %y: !kernel.rows<32xf8E5M2>) {
  // CHECK: kernel.matmul left(%{{.*}} : !kernel.rows<64xf8E4M3FN>) weights(%{{.*}} : !kernel.weight<32x64, f8E5M2>) over( rows) fast_accumulation schedule
  kernel.matmul left(%x : !kernel.rows<64xf8E4M3FN>) weights(%w : !kernel.weight<32x64, f8E5M2>) over(rows) fast_accumulation schedule<rows_per_tile = 64> ranges {
    kernel.range 0 to 32 group 16 {
    ^bb0(%sum: vector<16xf32>, %row: index, %column: index):
      // CHECK: kernel.store %{{.*}} : vector<16xf32>, <32xf8E5M2>
      kernel.store %sum, %y[%row, %column] : vector<16xf32>, !kernel.rows<32xf8E5M2>
    }
  }
}
