// Local response normalisation across channels with beta = 3/4, for a run of neighbouring pixels.
//
// s^-3/4 is 1 / (sqrt(s) * sqrt(sqrt(s))): two square roots, which vectorise, instead of a call of pow for each value.
// Nothing is kept for the backward pass: the sums are cheaper to make again than to read back from memory.

namespace fast {
namespace {

// s for channel c.
inline void lrn_scale(const LrnShape& s, const float* bottom, int c, int count, float* scale) {
  const int first = c < s.half ? 0 : c - s.half;
  const int last = c + s.half >= s.channels ? s.channels - 1 : c + s.half;
  for (int i = 0; i < count; ++i) scale[i] = 0;
  for (int j = first; j <= last; ++j) {
    const float* x = bottom + j * s.plane;
#pragma omp simd
    for (int i = 0; i < count; ++i) scale[i] += x[i] * x[i];
  }
#pragma omp simd
  for (int i = 0; i < count; ++i) scale[i] = s.k + s.alpha_over_size * scale[i];
}

void lrn(const LrnShape& s, const float* bottom, float* top, int count, float* scratch) {
  float* scale = scratch;
  for (int c = 0; c < s.channels; ++c) {
    lrn_scale(s, bottom, c, count, scale);
    const float* x = bottom + c * s.plane;
    float* y = top + c * s.plane;
#pragma omp simd
    for (int i = 0; i < count; ++i) {
      const float root = __builtin_sqrtf(scale[i]);
      y[i] = x[i] / (root * __builtin_sqrtf(root));
    }
  }
}

void lrn_backward(const LrnShape& s, const float* bottom, const float* top_diff, float* bottom_diff, int count,
                  float* scratch) {
  float* scale = scratch;
  float* sum = scale + count;
  float* ratios = sum + count;  // dy * y / s of every channel
  for (int c = 0; c < s.channels; ++c) {
    lrn_scale(s, bottom, c, count, scale);
    const float* x = bottom + c * s.plane;
    const float* dy = top_diff + c * s.plane;
    float* dx = bottom_diff + c * s.plane;
    float* ratio = ratios + size_t(c) * count;
#pragma omp simd
    for (int i = 0; i < count; ++i) {
      const float root = __builtin_sqrtf(scale[i]);
      const float own = dy[i] / (root * __builtin_sqrtf(root));
      dx[i] = own;
      ratio[i] = own * x[i] / scale[i];
    }
  }
  for (int c = 0; c < s.channels; ++c) {
    const int first = c < s.half ? 0 : c - s.half;
    const int last = c + s.half >= s.channels ? s.channels - 1 : c + s.half;
    for (int i = 0; i < count; ++i) sum[i] = 0;
    for (int j = first; j <= last; ++j) {
      const float* ratio = ratios + size_t(j) * count;
#pragma omp simd
      for (int i = 0; i < count; ++i) sum[i] += ratio[i];
    }
    const float* x = bottom + c * s.plane;
    float* dx = bottom_diff + c * s.plane;
#pragma omp simd
    for (int i = 0; i < count; ++i) dx[i] -= s.ratio * x[i] * sum[i];
  }
}

}  // namespace
}  // namespace fast
