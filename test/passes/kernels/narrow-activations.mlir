// Rows that matmuls of 16-bit weights alone read are stored as the weights' type; where others read them or the caller brings
// them, a launch rounds a copy. Decode keeps its rows.
// RUN: sinter-opt %s --kernel-narrow-activations | FileCheck %s

// CHECK-LABEL: kernel.func @norm(%{{.*}}: !kernel.rows<32xf32>, %{{.*}}: !kernel.rows<32xf16>)
// CHECK: kernel.store {{.*}} : vector<32xf32>, <32xf16>
kernel.func @norm(%x: !kernel.rows<32xf32>, %n: !kernel.rows<32xf32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    %v = kernel.load %x[%row] : !kernel.rows<32xf32>, vector<32xf32>
    %m = arith.mulf %v, %v : vector<32xf32>
    kernel.store %m, %n[%row] : vector<32xf32>, !kernel.rows<32xf32>
  }
}
// CHECK-LABEL: kernel.func @many(%{{.*}}: !kernel.rows<32xf16>,
kernel.func @many(%x: !kernel.rows<32xf32>, %w: !kernel.weight<96x32, f16>, %y: !kernel.rows<96xf32>) {
  kernel.matmul left(%x : !kernel.rows<32xf32>) weights(%w : !kernel.weight<96x32, f16>) over(rows) schedule <rows_per_tile = 64, columns_per_tile = 64> ranges {
    kernel.range 0 to 96 group 16 {
    ^bb0(%sum: vector<16xf32>, %row: index, %column: index):
      kernel.store %sum, %y[%row, %column] : vector<16xf32>, !kernel.rows<96xf32>
    }
  }
}
// Queries of many rows are stored as the cache's type.
// CHECK-LABEL: kernel.func @queries(%{{.*}}: !kernel.rows<32xf32>, %{{.*}}: !kernel.rows<32xf16>)
kernel.func @queries(%x: !kernel.rows<32xf32>, %q: !kernel.rows<32xf32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    %v = kernel.load %x[%row] : !kernel.rows<32xf32>, vector<32xf32>
    kernel.store %v, %q[%row] : vector<32xf32>, !kernel.rows<32xf32>
  }
}
// CHECK-LABEL: kernel.func @attention(%{{.*}}: !kernel.rows<32xf16>,
kernel.func @attention(%q: !kernel.rows<32xf32>, %k: !kernel.cache_k<1x16xf16>, %v: !kernel.cache_v<1x16xf16>, %y: !kernel.rows<32xf32>) {
  kernel.attention prefill heads 2 scale 0.25 query(%q : !kernel.rows<32xf32>) keys(%k : !kernel.cache_k<1x16xf16>) values(%v : !kernel.cache_v<1x16xf16>) output(%y : !kernel.rows<32xf32>)
}
// CHECK-LABEL: kernel.func @few(%{{.*}}: !kernel.rows<32xf32>,
kernel.func @few(%x: !kernel.rows<32xf32>, %w: !kernel.weight<96x32, f16>, %y: !kernel.rows<96xf32>) {
  kernel.matmul left(%x : !kernel.rows<32xf32>) weights(%w : !kernel.weight<96x32, f16>) over(rows) schedule <columns_per_tile = 64> ranges {
    kernel.range 0 to 96 group 16 {
    ^bb0(%sum: vector<16xf32>, %row: index, %column: index):
      kernel.store %sum, %y[%row, %column] : vector<16xf32>, !kernel.rows<96xf32>
    }
  }
}
// CHECK-LABEL: kernel.entry @prefill_f16
kernel.entry @prefill_f16 rows 64 selected 16 {
  %x = kernel.buffer arena : !kernel.rows<32xf32>
  // CHECK: %[[N:.*]] = kernel.buffer arena : !kernel.rows<32xf16>
  %n = kernel.buffer arena : !kernel.rows<32xf32>
  %w = kernel.buffer weight @w : !kernel.weight<96x32, f16>
  %y = kernel.buffer arena : !kernel.rows<96xf32>
  // CHECK: kernel.launch @norm({{.*}}, %[[N]])
  kernel.launch @norm(%x, %n) : !kernel.rows<32xf32>, !kernel.rows<32xf32>
  // CHECK: kernel.launch @many(%[[N]],
  kernel.launch @many(%n, %w, %y) : !kernel.rows<32xf32>, !kernel.weight<96x32, f16>, !kernel.rows<96xf32>
  %q = kernel.buffer arena : !kernel.rows<32xf32>
  %k = kernel.buffer cache_k layer 0 : !kernel.cache_k<1x16xf16>
  %v = kernel.buffer cache_v layer 0 : !kernel.cache_v<1x16xf16>
  %o = kernel.buffer arena : !kernel.rows<32xf32>
  kernel.launch @queries(%x, %q) : !kernel.rows<32xf32>, !kernel.rows<32xf32>
  kernel.launch @attention(%q, %k, %v, %o) : !kernel.rows<32xf32>, !kernel.cache_k<1x16xf16>, !kernel.cache_v<1x16xf16>, !kernel.rows<32xf32>
}
// CHECK-LABEL: kernel.entry @decode_f16
kernel.entry @decode_f16 rows 16 selected 16 {
  %x = kernel.buffer arena : !kernel.rows<32xf32>
  %n = kernel.buffer arena : !kernel.rows<32xf32>
  %w = kernel.buffer weight @w : !kernel.weight<96x32, f16>
  %y = kernel.buffer arena : !kernel.rows<96xf32>
  // CHECK: kernel.launch @norm_0(
  kernel.launch @norm(%x, %n) : !kernel.rows<32xf32>, !kernel.rows<32xf32>
  kernel.launch @few(%n, %w, %y) : !kernel.rows<32xf32>, !kernel.weight<96x32, f16>, !kernel.rows<96xf32>
}
// CHECK-LABEL: kernel.entry @prefill_bf16
kernel.entry @prefill_bf16 rows 64 selected 16 {
  // CHECK: kernel.buffer arena : !kernel.rows<32xf32>
  // CHECK-NEXT: %[[N:.*]] = kernel.buffer arena : !kernel.rows<32xf32>
  // CHECK-NEXT: %[[COPY:.*]] = kernel.buffer arena : !kernel.rows<32xf16>
  %x = kernel.buffer arena : !kernel.rows<32xf32>
  %n = kernel.buffer arena : !kernel.rows<32xf32>
  %w = kernel.buffer weight @w : !kernel.weight<96x32, f16>
  %y = kernel.buffer arena : !kernel.rows<96xf32>
  // CHECK: kernel.launch @norm_0({{.*}}, %[[N]])
  // CHECK: kernel.launch @round(%[[N]], %[[COPY]])
  // CHECK: kernel.launch @many(%[[COPY]],
  // CHECK: kernel.launch @norm_0(%[[N]],
  kernel.launch @norm(%x, %n) : !kernel.rows<32xf32>, !kernel.rows<32xf32>
  kernel.launch @many(%n, %w, %y) : !kernel.rows<32xf32>, !kernel.weight<96x32, f16>, !kernel.rows<96xf32>
  kernel.launch @norm(%n, %x) : !kernel.rows<32xf32>, !kernel.rows<32xf32>
}
// The head begins a launch later: the first of two copies is made in front of it, the second in it.
// CHECK-LABEL: kernel.entry @prefill_f32 rows 64 selected 16 head 3 {
kernel.entry @prefill_f32 rows 64 selected 16 head 2 {
  %x = kernel.buffer arena : !kernel.rows<32xf32>
  %n = kernel.buffer arena : !kernel.rows<32xf32>
  %w = kernel.buffer weight @w : !kernel.weight<96x32, f16>
  %y = kernel.buffer arena : !kernel.rows<96xf32>
  // CHECK: kernel.launch @norm_0(
  // CHECK-NEXT: kernel.launch @round(
  // CHECK-NEXT: kernel.launch @many(
  // CHECK-NEXT: kernel.launch @norm_0(
  // CHECK-NEXT: kernel.launch @round(
  // CHECK-NEXT: kernel.launch @many(
  kernel.launch @norm(%x, %n) : !kernel.rows<32xf32>, !kernel.rows<32xf32>
  kernel.launch @many(%n, %w, %y) : !kernel.rows<32xf32>, !kernel.weight<96x32, f16>, !kernel.rows<96xf32>
  kernel.launch @norm(%n, %x) : !kernel.rows<32xf32>, !kernel.rows<32xf32>
  kernel.launch @many(%x, %w, %y) : !kernel.rows<32xf32>, !kernel.weight<96x32, f16>, !kernel.rows<96xf32>
}
// CHECK-LABEL: kernel.func @round(%{{.*}}: !kernel.rows<32xf32>, %{{.*}}: !kernel.rows<32xf16>)
// A decode step's norm keeps f32: a kernel of its own.
// CHECK-LABEL: kernel.func @norm_0(%{{.*}}: !kernel.rows<32xf32>, %{{.*}}: !kernel.rows<32xf32>)
