// Max pooling of one plane, row by row, with the results of upstream's loops bit for bit.
//
// Columns are sorted into phases first: phase p holds every stride-th column from p - pad on, so that the windows'
// element (kh, kw) of all outputs of a row is one contiguous run, phase[kw % stride][i + kw / stride], and nothing has
// to be said about borders: what is outside is -FLT_MAX, which never wins. A window's maximum is taken within each row
// first and then over its rows, so that windows that overlap share the former.

namespace fast {
namespace {

constexpr float kLowest = -3.402823466e+38f;  // -FLT_MAX, where upstream starts
constexpr int kNobody = 255;                  // what wins where nothing is above that

// Rows in scratch are whole vectors; what their ends hold is never used.
inline int padded(int n) { return (n + 15) / 16 * 16; }

inline int phase_length(const PoolShape& s) { return padded(padded(s.pooled_width) + (s.kernel_w - 1) / s.stride_w); }

// Forward: a row of outputs, as floats, ints and bytes; a row's phases; the maxima of a window's rows, and their columns.
// Backward: a row's phases; a row of bytes; the winners and gradients of the outputs' rows that a row of the bottom
// meets, with room on either side.
size_t pool_scratch(const PoolShape& s) {
  return size_t(3 + s.stride_w + 4 * s.kernel_h) * phase_length(s);
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

// Takes kCount columns of the windows, from kw on, into their maxima.
template <int kCount>
void take_columns(const PoolShape& s, const float* phases, int kw, float* maxima, int32_t* columns) {
  const int length = phase_length(s), n = padded(s.pooled_width);
  const float* column[kCount];
  for (int k = 0; k < kCount; ++k) {
    column[k] = phases + size_t((kw + k) % s.stride_w) * length + (kw + k) / s.stride_w;
  }
#pragma omp simd
  for (int i = 0; i < n; ++i) {
    float best = maxima[i];
    int32_t which = columns[i];
    for (int k = 0; k < kCount; ++k) {
      const float x = column[k][i];
      which = x > best ? kw + k : which;
      best = x > best ? x : best;
    }
    maxima[i] = best;
    columns[i] = which;
  }
}

// The maximum of each window within one row of the plane, and its column in the window; the first of equals.
void row_maxima(const PoolShape& s, const float* row, float* phases, float* maxima, int32_t* columns) {
  if (s.stride_w == 1) split_phases<1>(s, row, phases);
  else if (s.stride_w == 2) split_phases<2>(s, row, phases);
  else split_phases<0>(s, row, phases);
  const int n = padded(s.pooled_width);
  for (int i = 0; i < n; ++i) maxima[i] = kLowest;
  for (int i = 0; i < n; ++i) columns[i] = 0;
  int kw = 0;
  for (; s.kernel_w - kw >= 3; kw += 3) take_columns<3>(s, phases, kw, maxima, columns);
  for (; kw < s.kernel_w; ++kw) take_columns<1>(s, phases, kw, maxima, columns);
}

// Takes kCount of a window's rows, kh and following, into the maxima of whole windows.
template <int kCount>
void take_rows(const PoolShape& s, const float* const* maxima, const int32_t* const* columns, int kh, float* best,
               int32_t* winners) {
  const int n = padded(s.pooled_width), width = s.kernel_w;
  const float* row[kCount];
  const int32_t* column[kCount];
  for (int k = 0; k < kCount; ++k) row[k] = maxima[k], column[k] = columns[k];
#pragma omp simd
  for (int i = 0; i < n; ++i) {
    float top = best[i];
    int32_t which = winners[i];
    for (int k = 0; k < kCount; ++k) {
      const float x = row[k][i];
      which = x > top ? (kh + k) * width + column[k][i] : which;
      top = x > top ? x : top;
    }
    best[i] = top;
    winners[i] = which;
  }
}

// A loop over bytes of any number would leave up to 63 of them to be handled one by one: these go by 16.
inline void narrow(const int32_t* from, int n, uint8_t* padded_to) {
  for (int begin = 0; begin < n; begin += 16) {
    for (int i = 0; i < 16; ++i) padded_to[begin + i] = uint8_t(from[begin + i]);
  }
}

inline void widen(const uint8_t* padded_from, int n, int32_t* to) {
  for (int begin = 0; begin < n; begin += 16) {
    for (int i = 0; i < 16; ++i) to[begin + i] = padded_from[begin + i];
  }
}

void max_pool(const PoolShape& s, const float* bottom, float* top, uint8_t* winner, float* scratch) {
  const int n = s.pooled_width, length = phase_length(s);
  float* best = scratch;
  int32_t* winners = reinterpret_cast<int32_t*>(best + length);
  uint8_t* bytes = reinterpret_cast<uint8_t*>(winners + length);
  float* phases = best + 3 * length;
  float* maxima = phases + size_t(s.stride_w) * length;  // of the last kernel_h rows, by row % kernel_h
  int32_t* columns = reinterpret_cast<int32_t*>(maxima + size_t(s.kernel_h) * length);
  int done = 0;  // rows whose maxima are known
  for (int ph = 0; ph < s.pooled_height; ++ph) {
    const int first = ph * s.stride_h - s.pad_h;
    for (int i = 0; i < length; ++i) best[i] = kLowest;
    for (int i = 0; i < length; ++i) winners[i] = kNobody;
    const float* row[3];
    const int32_t* column[3];
    int ready = 0;
    for (int h = first < 0 ? 0 : first; h < first + s.kernel_h && h < s.height; ++h) {
      float* own = maxima + size_t(h % s.kernel_h) * length;
      int32_t* own_columns = columns + size_t(h % s.kernel_h) * length;
      if (h >= done) {
        row_maxima(s, bottom + size_t(h) * s.width, phases, own, own_columns);
        done = h + 1;
      }
      row[ready] = own;
      column[ready++] = own_columns;
      if (ready == 3) {
        take_rows<3>(s, row, column, h - 2 - first, best, winners);
        ready = 0;
      } else if (h + 1 == first + s.kernel_h || h + 1 == s.height) {
        for (int k = 0; k < ready; ++k) take_rows<1>(s, row + k, column + k, h - ready + 1 + k - first, best, winners);
      }
    }
    narrow(winners, n, bytes);
    __builtin_memcpy(top + size_t(ph) * n, best, n * sizeof(float));
    __builtin_memcpy(winner + size_t(ph) * n, bytes, n);
  }
}

// Elements [begin, end) of a phase, `stride` columns apart.
template <int kStride>
void place_phase(const float* phase, int begin, int end, int any_stride, float* to) {
  const int stride = kStride ? kStride : any_stride;
#pragma omp simd
  for (int j = begin; j < end; ++j) to[j * stride] = phase[j];
}

void join_phases(const PoolShape& s, const float* phases, float* row) {
  const int stride = s.stride_w, length = phase_length(s);
  int begin = 0, end = 0;  // what both phases of stride 2 have: written together, it vectorises
  if (stride == 2) {
    const PhaseRange even = phase_range(s, 0), odd = phase_range(s, 1);
    begin = even.begin > odd.begin ? even.begin : odd.begin;
    end = even.end < odd.end ? even.end : odd.end;
    const float* other = phases + length;
    float* to = row - s.pad_w;
#pragma omp simd
    for (int j = begin; j < end; ++j) {
      to[2 * j] = phases[j];
      to[2 * j + 1] = other[j];
    }
    if (end < begin) end = begin;
  }
  for (int p = 0; p < stride; ++p) {
    const float* phase = phases + size_t(p) * length;
    const PhaseRange range = phase_range(s, p);
    float* to = row + p - s.pad_w;
    if (stride == 1) {
      place_phase<1>(phase, range.begin, range.end, 1, to);
    } else if (end > begin) {
      place_phase<0>(phase, range.begin, begin, stride, to);
      place_phase<0>(phase, end, range.end, stride, to);
    } else {
      place_phase<0>(phase, range.begin, range.end, stride, to);
    }
    for (int w = range.end * stride + p - s.pad_w; w < s.width; w += stride) row[w] = 0;  // beyond the last window
  }
}

// Adds to a phase the gradients that kCount columns of one row of windows won: kw, kw - stride, ...
template <int kCount>
void add_winners(const float* diff, const int32_t* winners, int n, int first_id, int stride, float* phase) {
#pragma omp simd
  for (int j = 0; j < n; ++j) {
    float sum = phase[j];
    for (int k = 0; k < kCount; ++k) sum += winners[j + k] == first_id - k * stride ? diff[j + k] : 0.0f;
    phase[j] = sum;
  }
}

// Gathers, one row of the bottom after the other, in the order in which upstream adds: outputs row by row, so for one
// pixel kh descends, and within an output row kw descends.
void max_pool_backward(const PoolShape& s, const float* top_diff, const uint8_t* winner, float* bottom_diff,
                       float* scratch) {
  const int n = s.pooled_width, length = phase_length(s);
  const int before = (s.kernel_w - 1) / s.stride_w;  // windows that begin before a phase's first element
  float* phases = scratch;
  uint8_t* bytes = reinterpret_cast<uint8_t*>(phases + size_t(s.stride_w) * length);
  // Rows of outputs by ph % kernel_h, `before` empty places ahead of each and as many behind.
  float* diffs = phases + size_t(s.stride_w + 1) * length;
  int32_t* winners = reinterpret_cast<int32_t*>(diffs + size_t(s.kernel_h) * 2 * length);
  for (int row = 0; row < s.kernel_h; ++row) {
    int32_t* which = winners + size_t(row) * 2 * length;
    for (int i = 0; i < before; ++i) which[i] = kNobody;
    for (int i = before + n; i < before + length; ++i) which[i] = kNobody;
  }
  int done = 0;  // rows of outputs that have been copied
  for (int h = 0; h < s.height; ++h) {
    for (int j = 0; j < s.stride_w * length; ++j) phases[j] = 0;
    int ph = h + s.pad_h - s.kernel_h + 1;
    ph = ph <= 0 ? 0 : (ph + s.stride_h - 1) / s.stride_h;
    for (; ph < s.pooled_height && ph * s.stride_h <= h + s.pad_h; ++ph) {
      float* diff = diffs + size_t(ph % s.kernel_h) * 2 * length;
      int32_t* which = winners + size_t(ph % s.kernel_h) * 2 * length;
      if (ph >= done) {
        __builtin_memcpy(diff + before, top_diff + size_t(ph) * n, n * sizeof(float));
        __builtin_memcpy(bytes, winner + size_t(ph) * n, n);
        for (int i = n; i < padded(n); ++i) bytes[i] = kNobody;
        widen(bytes, n, which + before);
        done = ph + 1;
      }
      const int id = (h + s.pad_h - ph * s.stride_h) * s.kernel_w;
      for (int p = 0; p < s.stride_w && p < s.kernel_w; ++p) {
        int kw = (s.kernel_w - 1 - p) / s.stride_w * s.stride_w + p;
        float* phase = phases + size_t(p) * length;
        // Element j of the phase is column kw of window j - kw / stride.
        for (; kw >= 2 * s.stride_w; kw -= 3 * s.stride_w) {
          const int at = before - kw / s.stride_w;
          add_winners<3>(diff + at, which + at, length, id + kw, s.stride_w, phase);
        }
        for (; kw >= s.stride_w; kw -= 2 * s.stride_w) {
          const int at = before - kw / s.stride_w;
          add_winners<2>(diff + at, which + at, length, id + kw, s.stride_w, phase);
        }
        for (; kw >= 0; kw -= s.stride_w) {
          const int at = before - kw / s.stride_w;
          add_winners<1>(diff + at, which + at, length, id + kw, s.stride_w, phase);
        }
      }
    }
    join_phases(s, phases, bottom_diff + size_t(h) * s.width);
  }
}

}  // namespace
}  // namespace fast
