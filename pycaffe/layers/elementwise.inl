// One number after the other: rectification, sums.

namespace fast {
namespace {

void relu(const float* bottom, float* top, int count, float slope) {
#pragma omp simd
  for (int i = 0; i < count; ++i) top[i] = rectify(bottom[i], slope);
}

void relu_backward(const float* bottom, const float* top_diff, float* bottom_diff, int count, float slope) {
#pragma omp simd
  for (int i = 0; i < count; ++i) bottom_diff[i] = top_diff[i] * rectification_slope(bottom[i], slope);
}

void add(const float* a, const float* b, float* sum, int count) {
#pragma omp simd
  for (int i = 0; i < count; ++i) sum[i] = a[i] + b[i];
}

constexpr int kSums = 64;  // side by side, and the same ones whatever the vectors' length

float joined(float* sums) {
  for (int half = kSums / 2; half; half /= 2) {
    for (int j = 0; j < half; ++j) sums[j] += sums[j + half];
  }
  return sums[0];
}

float total(const float* values, int count) {
  float sums[kSums] = {};
  int i = 0;
  for (; i + kSums <= count; i += kSums) {
#pragma omp simd
    for (int j = 0; j < kSums; ++j) sums[j] += values[i + j];
  }
  for (int j = 0; i < count; ++i, ++j) sums[j] += values[i];
  return joined(sums);
}

float dot(const float* a, const float* b, int count) {
  float sums[kSums] = {};
  int i = 0;
  for (; i + kSums <= count; i += kSums) {
#pragma omp simd
    for (int j = 0; j < kSums; ++j) sums[j] = multiply_add(a[i + j], b[i + j], sums[j]);
  }
  for (int j = 0; i < count; ++i, ++j) sums[j] = multiply_add(a[i], b[i], sums[j]);
  return joined(sums);
}

void add_scaled(const float* values, float scale, float* sum, int count) {
#pragma omp simd
  for (int i = 0; i < count; ++i) sum[i] = multiply_add(scale, values[i], sum[i]);
}

}  // namespace
}  // namespace fast
