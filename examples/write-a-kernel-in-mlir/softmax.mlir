// A kernel of one's own: softmax(x + bias) of each row. The region of `kernel.rows` is written for one row, on vectors as
// long as the row; the emitter cuts them into registers of each instruction set and fuses the loops.
kernel.func @softmax(%x: !kernel.rows<1000xf32>, %bias: !kernel.table<1x1000xf32>, %y: !kernel.rows<1000xf32>) {
  kernel.rows over(rows) {
  ^bb0(%row: index):
    %zero = arith.constant 0 : index
    %v = kernel.load %x[%row] : !kernel.rows<1000xf32>, vector<1000xf32>
    %b = kernel.load %bias[%zero] : !kernel.table<1x1000xf32>, vector<1000xf32>
    %scores = arith.addf %v, %b : vector<1000xf32>
    %largest = vector.reduction <maximumf>, %scores : vector<1000xf32> into f32
    %shift = vector.broadcast %largest : f32 to vector<1000xf32>
    %below = arith.subf %scores, %shift : vector<1000xf32>
    %e = math.exp %below : vector<1000xf32>
    %sum = vector.reduction <add>, %e : vector<1000xf32> into f32
    %total = vector.broadcast %sum : f32 to vector<1000xf32>
    %p = arith.divf %e, %total : vector<1000xf32>
    kernel.store %p, %y[%row] : vector<1000xf32>, !kernel.rows<1000xf32>
  }
}
