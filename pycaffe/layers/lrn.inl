// Local response normalisation across channels with beta = 3/4, for a run of neighbouring pixels.
//
// Nothing is kept for the backward pass: the sums are cheaper to make again than to read back from memory.

namespace fast {
namespace {

// s^-1/4 for s > 0 to the last bit or so: an estimate from the exponent, good to 3 %, and three of Newton's steps, each
// of which squares the error. The same multiply-adds on every processor, in a quarter of the time of two square roots
// and a division.
inline float inverse_fourth_root(float s) {
  int32_t bits;
  __builtin_memcpy(&bits, &s, sizeof bits);
  bits = 0x4F586000 - (bits >> 2);  // 5/4 of the bits of 1, less what halves the largest error
  float z;
  __builtin_memcpy(&z, &bits, sizeof z);
  for (int step = 0; step < 3; ++step) {
    const float square = z * z;
    z = multiply_add(0.25f * z, multiply_add(-s, square * square, 1.0f), z);
  }
  return z;
}

template <int kCount, bool kSquare>
void add_rows(const float* rows, ptrdiff_t step, int count, float* sums) {
#pragma omp simd
  for (int i = 0; i < count; ++i) {
    float sum = sums[i];
    for (int j = 0; j < kCount; ++j) {
      const float x = rows[j * step + i];
      sum = kSquare ? multiply_add(x, x, sum) : sum + x;
    }
    sums[i] = sum;
  }
}

// sums = the sum of a row, or its square, over the channels around c.
template <bool kSquare>
void sum_around(const LrnShape& s, int c, const float* rows, ptrdiff_t step, int count, float* sums) {
  int begin = c < s.half ? 0 : c - s.half;
  const int end = c + s.half < s.channels ? c + s.half + 1 : s.channels;
  for (int i = 0; i < count; ++i) sums[i] = 0;
  for (; end - begin >= 5; begin += 5) add_rows<5, kSquare>(rows + begin * step, step, count, sums);
  for (; begin < end; ++begin) add_rows<1, kSquare>(rows + begin * step, step, count, sums);
}

// Fetches a row that will be read soon: rows are too short for the processor to foresee the next one.
inline void fetch(const LrnShape& s, const float* rows, int channel, int count) {
  if (channel >= s.channels) return;
  const float* row = rows + channel * s.plane;
  for (int i = 0; i < count; i += 16) __builtin_prefetch(row + i);
}

void lrn(const LrnShape& s, const float* bottom, float* top, int count, float* scratch) {
  float* sums = scratch;
  for (int c = 0; c < s.channels; ++c) {
    fetch(s, bottom, c + s.half + 3, count);
    sum_around<true>(s, c, bottom, s.plane, count, sums);
    const float* x = bottom + c * s.plane;
    float* y = top + c * s.plane;
#pragma omp simd
    for (int i = 0; i < count; ++i) {
      const float root = inverse_fourth_root(multiply_add(s.alpha_over_size, sums[i], s.k));
      y[i] = x[i] * (root * root * root);
    }
  }
}

void lrn_backward(const LrnShape& s, const float* bottom, const float* top_diff, float* bottom_diff, int count,
                  float* scratch) {
  float* sums = scratch;
  float* ratios = sums + count;  // dy * y / s of every channel
  for (int c = 0; c < s.channels; ++c) {
    fetch(s, bottom, c + s.half + 3, count);
    fetch(s, top_diff, c + 3, count);
    sum_around<true>(s, c, bottom, s.plane, count, sums);
    const float* x = bottom + c * s.plane;
    const float* dy = top_diff + c * s.plane;
    float* dx = bottom_diff + c * s.plane;
    float* ratio = ratios + size_t(c) * count;
#pragma omp simd
    for (int i = 0; i < count; ++i) {
      const float root = inverse_fourth_root(multiply_add(s.alpha_over_size, sums[i], s.k));
      const float square = root * root;
      const float own = dy[i] * (square * root);
      dx[i] = own;
      ratio[i] = own * x[i] * (square * square);
    }
  }
  for (int c = 0; c < s.channels; ++c) {
    sum_around<false>(s, c, ratios, count, count, sums);
    const float* x = bottom + c * s.plane;
    float* dx = bottom_diff + c * s.plane;
#pragma omp simd
    for (int i = 0; i < count; ++i) dx[i] = multiply_add(-s.ratio * x[i], sums[i], dx[i]);
  }
}

}  // namespace
}  // namespace fast
