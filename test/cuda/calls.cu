// SPDX-License-Identifier: Apache-2.0
// Calls that are not known when the code is compiled: a table of functions, virtual functions; and recursion with arrays of
// its own, also through each other.
typedef int (*Operation)(int, int);

__device__ __noinline__ int add(int a, int b) { return a + b; }
__device__ __noinline__ int subtract(int a, int b) { return a - b; }
__device__ __noinline__ int multiply(int a, int b) { return a * b; }
__device__ Operation operations[] = {add, subtract, multiply};

struct Shape {
  __device__ virtual float area() const = 0;
  __device__ virtual float scaled(float by) const { return by * area(); }
};
struct Square : Shape {
  float side;
  __device__ explicit Square(float side) : side(side) {}
  __device__ float area() const override { return side * side; }
};
struct Rectangle : Shape {
  float width, height;
  __device__ Rectangle(float width, float height) : width(width), height(height) {}
  __device__ float area() const override { return width * height; }
  __device__ float scaled(float by) const override { return by * by * area(); }
};

/// Digits of n in base 10, each level with an array of its own that deeper ones read.
__device__ __noinline__ int digits(int n, const int *above, int depth) {
  int own[4];
  for (int i = 0; i < 4; ++i)
    own[i] = n % 10 + i + (above ? above[(i + depth) % 4] : 0);
  if (n < 10)
    return own[n % 4];
  const int deeper = digits(n / 10, own, depth + 1);
  return deeper * 3 + own[depth % 4];
}

__device__ __noinline__ bool isOdd(unsigned n);
__device__ __noinline__ bool isEven(unsigned n) { return n == 0 ? true : isOdd(n - 1); }
__device__ __noinline__ bool isOdd(unsigned n) { return n == 0 ? false : isEven(n - 1); }

__device__ __noinline__ int fibonacci(int n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

extern "C" __global__ void table(const int *which, const int *a, const int *b, int *out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n)
    out[i] = operations[which[i]](a[i], b[i]);
}

extern "C" __global__ void shapes(const float *sizes, float *out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  Square square(sizes[i]);
  Rectangle rectangle(sizes[i], 2.0f);
  const Shape *shape = i % 3 ? static_cast<const Shape *>(&rectangle) : &square;
  out[i] = shape->scaled(1.5f) + shape->area();
}

extern "C" __global__ void recursion(int *out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  out[3 * i] = digits(i * 7919, nullptr, 0);
  out[3 * i + 1] = isEven(i % 40);
  out[3 * i + 2] = fibonacci(i % 12);
}
