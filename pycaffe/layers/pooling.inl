// Max pooling of one plane, row by row, with the results of upstream's loops bit for bit.
//
// Columns are sorted into phases first: phase p holds every stride-th column from p - pad on, so that the windows'
// element (kh, kw) of all outputs of a row is one contiguous run, phase[kw % stride][i + kw / stride], and nothing has
// to be said about borders: what is outside is -FLT_MAX, which never wins.

namespace fast {
namespace {

constexpr float kLowest = -3.402823466e+38f;  // -FLT_MAX, where upstream starts

inline int phase_length(const PoolShape& s) { return s.pooled_width + (s.kernel_w - 1) / s.stride_w; }

// Forward: the phases of a row; its maxima and their columns for each row of the window. Backward: the phases.
size_t pool_scratch(const PoolShape& s) {
  return size_t(s.stride_w) * phase_length(s) + size_t(s.kernel_h) * s.pooled_width * 2 + s.pooled_width;
}

// How many elements of phase p lie before the row begins, and how many before it ends.
struct PhaseRange {
  int begin, end;
};

inline PhaseRange phase_range(const PoolShape& s, int p) {
  const int length = phase_length(s);
  int begin = 0;
  while (begin < length && begin * s.stride_w + p - s.pad_w < 0) ++begin;
  int end = s.width - 1 - p + s.pad_w;
  end = end < 0 ? 0 : end / s.stride_w + 1;
  if (end > length) end = length;
  return {begin, end < begin ? begin : end};
}

// kStride: the stride where the compiler is to know it, else 0.
template <int kStride>
void split_phases(const PoolShape& s, const float* row, float* phases) {
  const int stride = kStride ? kStride : s.stride_w;
  const int length = phase_length(s);
  for (int p = 0; p < stride; ++p) {
    float* phase = phases + size_t(p) * length;
    const PhaseRange range = phase_range(s, p);
    for (int j = 0; j < range.begin; ++j) phase[j] = kLowest;
    const float* from = row + p - s.pad_w;
#pragma omp simd
    for (int j = range.begin; j < range.end; ++j) phase[j] = from[j * stride];
    for (int j = range.end; j < length; ++j) phase[j] = kLowest;
  }
}

// The maximum of each window within one row of the plane, and its column in the window; the first of equals.
void row_maxima(const PoolShape& s, const float* row, float* phases, float* maxima, int32_t* columns) {
  if (s.stride_w == 1) split_phases<1>(s, row, phases);
  else if (s.stride_w == 2) split_phases<2>(s, row, phases);
  else split_phases<0>(s, row, phases);
  const int length = phase_length(s);
  const int n = s.pooled_width;
  for (int i = 0; i < n; ++i) maxima[i] = kLowest;
  for (int i = 0; i < n; ++i) columns[i] = 0;
  for (int kw = 0; kw < s.kernel_w; ++kw) {
    const float* phase = phases + size_t(kw % s.stride_w) * length + kw / s.stride_w;
#pragma omp simd
    for (int i = 0; i < n; ++i) {
      const bool wins = phase[i] > maxima[i];
      maxima[i] = wins ? phase[i] : maxima[i];
      columns[i] = wins ? kw : columns[i];
    }
  }
}

void max_pool(const PoolShape& s, const float* bottom, float* top, uint8_t* winner, float* scratch) {
  const int n = s.pooled_width;
  float* phases = scratch;
  float* maxima = phases + size_t(s.stride_w) * phase_length(s);  // of the last kernel_h rows, by row % kernel_h
  int32_t* columns = reinterpret_cast<int32_t*>(maxima + size_t(s.kernel_h) * n);
  int32_t* which = columns + size_t(s.kernel_h) * n;
  int done = 0;  // rows whose maxima are known
  for (int ph = 0; ph < s.pooled_height; ++ph) {
    const int first = ph * s.stride_h - s.pad_h;
    float* out = top + size_t(ph) * n;
    for (int i = 0; i < n; ++i) out[i] = kLowest;
    for (int i = 0; i < n; ++i) which[i] = 255;
    for (int kh = 0; kh < s.kernel_h; ++kh) {
      const int h = first + kh;
      if (h < 0 || h >= s.height) continue;
      float* row = maxima + size_t(h % s.kernel_h) * n;
      int32_t* column = columns + size_t(h % s.kernel_h) * n;
      if (h >= done) {
        row_maxima(s, bottom + size_t(h) * s.width, phases, row, column);
        done = h + 1;
      }
      const int base = kh * s.kernel_w;
#pragma omp simd
      for (int i = 0; i < n; ++i) {
        const bool wins = row[i] > out[i];
        out[i] = wins ? row[i] : out[i];
        which[i] = wins ? base + column[i] : which[i];
      }
    }
    uint8_t* to = winner + size_t(ph) * n;
#pragma omp simd
    for (int i = 0; i < n; ++i) to[i] = uint8_t(which[i]);
  }
}

template <int kStride>
void join_phases(const PoolShape& s, const float* phases, float* row) {
  const int stride = kStride ? kStride : s.stride_w;
  const int length = phase_length(s);
  for (int w = 0; w < s.width; ++w) row[w] = 0;  // columns beyond the last window
  for (int p = 0; p < stride; ++p) {
    const float* phase = phases + size_t(p) * length;
    const PhaseRange range = phase_range(s, p);
    float* to = row + p - s.pad_w;
#pragma omp simd
    for (int j = range.begin; j < range.end; ++j) to[j * stride] = phase[j];
  }
}

// Gathers, one row of the bottom after the other, in the order in which upstream adds: outputs row by row, so for one
// pixel kh descends, and within an output row kw descends.
void max_pool_backward(const PoolShape& s, const float* top_diff, const uint8_t* winner, float* bottom_diff,
                       float* scratch) {
  const int n = s.pooled_width;
  const int length = phase_length(s);
  for (int h = 0; h < s.height; ++h) {
    float* phases = scratch;
    for (int j = 0; j < s.stride_w * length; ++j) phases[j] = 0;
    int ph = h + s.pad_h - s.kernel_h + 1;
    ph = ph <= 0 ? 0 : (ph + s.stride_h - 1) / s.stride_h;
    for (; ph < s.pooled_height && ph * s.stride_h <= h + s.pad_h; ++ph) {
      const int kh = h + s.pad_h - ph * s.stride_h;
      const float* diff = top_diff + size_t(ph) * n;
      const uint8_t* which = winner + size_t(ph) * n;
      for (int kw = s.kernel_w - 1; kw >= 0; --kw) {
        const uint8_t id = uint8_t(kh * s.kernel_w + kw);
        float* phase = phases + size_t(kw % s.stride_w) * length + kw / s.stride_w;
#pragma omp simd
        for (int i = 0; i < n; ++i) phase[i] += which[i] == id ? diff[i] : 0.0f;
      }
    }
    float* row = bottom_diff + size_t(h) * s.width;
    if (s.stride_w == 1) join_phases<1>(s, phases, row);
    else if (s.stride_w == 2) join_phases<2>(s, phases, row);
    else join_phases<0>(s, phases, row);
  }
}

}  // namespace
}  // namespace fast
