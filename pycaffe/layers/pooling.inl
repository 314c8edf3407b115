// Max pooling of one plane, row by row, with the results of upstream's loops bit for bit.
//
// Columns are sorted into phases first: phase p holds every stride-th column from p - pad on, so that the windows'
// element (kh, kw) of all outputs of a row is one contiguous run, phase[kw % stride][i + kw / stride], and nothing has
// to be said about borders: what is outside is -FLT_MAX, which never wins. Then whole vectors of outputs go through the
// elements of their windows, or of pixels through the windows that they are in, without leaving the registers.

namespace fast {
namespace {

constexpr float kLowest = -3.402823466e+38f;  // -FLT_MAX, where upstream starts
constexpr int kNobody = 255;                  // what wins where nothing is above that
constexpr int kMostRows = 255;                // of a window
constexpr int kRowsAhead = 2;                 // from the row that is read to the one that is fetched

// Rows in scratch are whole vectors; what their ends hold is never used.
inline int padded(int n) { return (n + 15) / 16 * 16; }

inline int phase_length(const PoolShape& s) { return padded(padded(s.pooled_width) + (s.kernel_w - 1) / s.stride_w); }

// Rows are prepared one step ahead of their use: a processor that loads across two stores waits until both are done. Forward
// these are rows of the bottom, and of each only the phases that windows see; backward, rows of outputs.
inline int rows_ahead(const PoolShape& s) { return s.stride_h < s.height ? s.stride_h : s.height; }
inline int prepared_rows(const PoolShape& s) { return s.kernel_h + rows_ahead(s); }
inline int prepared_phases(const PoolShape& s) { return s.stride_w < s.kernel_w ? s.stride_w : s.kernel_w; }
inline int prepared_outputs(const PoolShape& s) { return s.kernel_h + 1; }

// Forward: the winners of a row as ints and as bytes; the phases of the prepared rows. Backward: a row's phases; winners and
// gradients of the prepared rows, with room on either side.
size_t pool_scratch(const PoolShape& s) {
  const int forward = 2 + prepared_rows(s) * prepared_phases(s), backward = s.stride_w + 4 * prepared_outputs(s);
  return size_t(forward > backward ? forward : backward) * phase_length(s);
}

// How many elements of phase p lie before the row begins, and how many before it ends.
struct PhaseRange {
  int begin, end;
};

inline PhaseRange phase_range(const PoolShape& s, int stride, int p) {
  const int length = phase_length(s);
  int begin = p < s.pad_w ? (s.pad_w - p + stride - 1) / stride : 0;
  if (begin > length) begin = length;
  int end = s.width - 1 - p + s.pad_w;
  end = end < 0 ? 0 : end / stride + 1;
  if (end > length) end = length;
  return {begin, end < begin ? begin : end};
}

// kStride: the stride where the compiler is to know it, else 0.
template <int kStride>
void split_phases(const PoolShape& s, const float* row, float* phases) {
  const int stride = kStride ? kStride : s.stride_w;
  for (int p = 0; p < prepared_phases(s); ++p) {
    float* phase = phases + size_t(p) * phase_length(s);
    const PhaseRange range = phase_range(s, stride, p);
    const float* from = row + p - s.pad_w;
#pragma omp simd
    for (int j = range.begin; j < range.end; ++j) phase[j] = from[j * stride];
  }
}

void split_phases(const PoolShape& s, const float* row, float* phases) {
  if (s.stride_w == 1) split_phases<1>(s, row, phases);
  else if (s.stride_w == 2) split_phases<2>(s, row, phases);
  else split_phases<0>(s, row, phases);
}

// Calls work.run<n>(first) for n vectors at a time, as far as they begin below `count`.
template <class Work>
inline void for_vectors(int count, const Work& work) {
  int i = 0;
  for (; i + 2 * kLanes <= count; i += 2 * kLanes) work.template run<2>(i);
  for (; i < count; i += kLanes) work.template run<1>(i);
}

inline void store_first(Vector vector, int count, float* to) {
  if (count >= kLanes) return store(vector, to);
  float values[kLanes];
  store(vector, values);
  __builtin_memcpy(to, values, count * sizeof(float));
}

// A loop over bytes of any number would leave up to 63 of them to be handled one by one: these go by 16.
inline void narrow(const int32_t* from, int n, uint8_t* padded_to) {
  for (int begin = 0; begin < n; begin += 16) {
    for (int i = 0; i < 16; ++i) padded_to[begin + i] = uint8_t(from[begin + i]);
  }
}

// The maximum of each window of a row, and its number in the window; the first of equals.
struct Maxima {
  const PoolShape& s;
  const float* const* rows;  // their phases
  const int* columns;        // where the phase of each of a window's columns begins
  int row_count, first_id;
  float* top;
  int32_t* winners;

  template <int kVectorsAtOnce>
  void run(int at) const {
    Vector best[kVectorsAtOnce];
    IntVector which[kVectorsAtOnce];
    for (int v = 0; v < kVectorsAtOnce; ++v) best[v] = Vector{} + kLowest, which[v] = IntVector{} + kNobody;
    IntVector id = IntVector{} + first_id;
    for (int r = 0; r < row_count; ++r) {
      for (int kw = 0; kw < s.kernel_w; ++kw, id += 1) {
        const float* from = rows[r] + columns[kw] + at;
        for (int v = 0; v < kVectorsAtOnce; ++v) {
          const Vector x = load(from + v * kLanes);
          which[v] = x > best[v] ? id : which[v];
          best[v] = larger(x, best[v]);
        }
      }
    }
    for (int v = 0; v < kVectorsAtOnce; ++v) {
      const int i = at + v * kLanes;
      store_first(best[v], s.pooled_width - i, top + i);
      *reinterpret_cast<UnalignedIntVector*>(winners + i) = which[v];
    }
  }
};

void max_pool(const PoolShape& s, const float* bottom, float* top, uint8_t* winner, float* scratch) {
  const int n = s.pooled_width, length = phase_length(s), ring = prepared_rows(s);
  int32_t* const winners = reinterpret_cast<int32_t*>(scratch);
  uint8_t* const bytes = reinterpret_cast<uint8_t*>(winners + length);
  float* const lines = scratch + 2 * length;
  const size_t line = size_t(prepared_phases(s)) * length;
  for (size_t i = 0; i < ring * line; ++i) lines[i] = kLowest;
  int columns[kMostRows];
  for (int kw = 0; kw < s.kernel_w; ++kw) columns[kw] = kw % s.stride_w * length + kw / s.stride_w;
  const float* rows[kMostRows];
  int prepared = 0;
  for (int ph = 0; ph < s.pooled_height; ++ph, top += n, winner += n) {
    const int first = ph * s.stride_h - s.pad_h, end = first + s.kernel_h;
    for (; prepared < end + rows_ahead(s) && prepared < s.height; ++prepared) {
      const float* row = bottom + size_t(prepared) * s.width;
      fetch<0>(row + kRowsAhead * size_t(s.width), s.width);
      split_phases(s, row, lines + prepared % ring * line);
    }
    const int begin = first < 0 ? 0 : first;
    int count = 0;
    for (int h = begin; h < end && h < s.height; ++h) rows[count++] = lines + h % ring * line;
    for_vectors(n, Maxima{s, rows, columns, count, (begin - first) * s.kernel_w, top, winners});
    narrow(winners, n, bytes);
    __builtin_memcpy(winner, bytes, n);
  }
}

// Elements [begin, end) of a phase, `stride` columns apart.
inline void place_phase(const float* phase, int begin, int end, int stride, float* to) {
#pragma omp simd
  for (int j = begin; j < end; ++j) to[j * stride] = phase[j];
}

void join_phases(const PoolShape& s, const float* phases, float* row) {
  const int stride = s.stride_w, length = phase_length(s);
  int begin = 0, end = 0;  // what both phases of stride 2 have: written together, it vectorises
  if (stride == 2) {
    const PhaseRange even = phase_range(s, 2, 0), odd = phase_range(s, 2, 1);
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
    const PhaseRange range = phase_range(s, stride, p);
    float* to = row + p - s.pad_w;
    if (end > begin) {
      place_phase(phase, range.begin, begin, stride, to);
      place_phase(phase, end, range.end, stride, to);
    } else {
      place_phase(phase, range.begin, range.end, stride, to);
    }
    for (int w = range.end * stride + p - s.pad_w; w < s.width; w += stride) row[w] = 0;  // beyond the last window
  }
}

// Gradients and winners of one row of outputs, as a phase of one row of the bottom meets them.
struct WonRow {
  const float* diff;
  const int32_t* winners;
  int32_t last_id;  // of the last column of the phase
};

// The gradients that a run of pixels of one phase won.
struct Won {
  const WonRow* rows;
  int row_count, windows, stride, count;
  float* to;

  template <int kVectorsAtOnce>
  void run(int at) const {
    Vector sum[kVectorsAtOnce] = {};
    for (int r = 0; r < row_count; ++r) {
      const WonRow& row = rows[r];
      IntVector id = IntVector{} + row.last_id;
      for (int i = at; i < at + windows; ++i, id -= stride) {
        for (int v = 0; v < kVectorsAtOnce; ++v) {
          const IntVector winner = *reinterpret_cast<const UnalignedIntVector*>(row.winners + i + v * kLanes);
          sum[v] += winner == id ? load(row.diff + i + v * kLanes) : Vector{};
        }
      }
    }
    for (int v = 0; v < kVectorsAtOnce; ++v) {
      const int i = at + v * kLanes;
      store_first(sum[v], count - i, to + i);
    }
  }
};

// Gathers, one row of the bottom after the other, in the order in which upstream adds: outputs row by row, so for one
// pixel kh descends, and within an output row kw descends.
void max_pool_backward(const PoolShape& s, const float* top_diff, const uint8_t* winner, float* bottom_diff,
                       float* scratch) {
  const int n = s.pooled_width, length = phase_length(s), ring = prepared_outputs(s), stride = s.stride_w;
  const int before = (s.kernel_w - 1) / stride;  // windows that begin before a phase's first element
  float* const phases = scratch;
  float* const diffs = phases + size_t(stride) * length;
  int32_t* const winners = reinterpret_cast<int32_t*>(diffs + size_t(ring) * 2 * length);
  for (int i = 0; i < 2 * ring * length; ++i) winners[i] = kNobody;
  const bool in_place = stride == 1 && s.width + s.pad_w <= length;  // no phases to join
  WonRow rows[kMostRows];
  int prepared = 0;
  for (int h = 0; h < s.height; ++h, bottom_diff += s.width) {
    fetch<1>(bottom_diff + kRowsAhead * size_t(s.width), s.width);
    for (; prepared < s.pooled_height && prepared * s.stride_h <= h + 1 + s.pad_h; ++prepared) {
      const size_t at = size_t(prepared % ring) * 2 * length + before;
      const uint8_t* from = winner + size_t(prepared) * n;
      __builtin_memcpy(diffs + at, top_diff + size_t(prepared) * n, n * sizeof(float));
#pragma omp simd
      for (int i = 0; i < n; ++i) winners[at + i] = from[i];
    }
    const int first = h + s.pad_h - s.kernel_h + 1, begin = first <= 0 ? 0 : (first + s.stride_h - 1) / s.stride_h;
    for (int p = 0; p < stride; ++p) {
      // Element j of the phase is column kw of window j - kw / stride.
      const int windows = p < s.kernel_w ? (s.kernel_w - 1 - p) / stride + 1 : 0, last = (windows - 1) * stride + p;
      const int shift = before - (windows - 1) + (in_place ? s.pad_w : 0);
      int count = 0;
      for (int ph = begin; ph < s.pooled_height && ph * s.stride_h <= h + s.pad_h; ++ph) {
        const size_t at = size_t(ph % ring) * 2 * length + shift;
        rows[count++] = {diffs + at, winners + at, (h + s.pad_h - ph * s.stride_h) * s.kernel_w + last};
      }
      if (in_place) for_vectors(s.width, Won{rows, count, windows, stride, s.width, bottom_diff});
      else for_vectors(length, Won{rows, count, windows, stride, length, phases + size_t(p) * length});
    }
    if (!in_place) join_phases(s, phases, bottom_diff);
  }
}

}  // namespace
}  // namespace fast
