// One tile of a correlation as a matrix product: outputs x positions, summed over (channel, tap).
//
// The input that the tile sees is copied into a slab, padding and all, in which rows follow each other at one pitch.
// Then the operand of tap (channel, kh, kw) for positions p, p + 1, ... (running on over row ends) is simply
// slab[offset(channel, kh, kw) + p]: no column matrix is ever written. What is computed between the end of one row and
// the begin of the next belongs to no output and is dropped. Every output is one chain of multiply-adds over the taps,
// in the same order wherever it lies, so equal patches of a picture give bitwise equal outputs.

namespace fast {
namespace {

// A block of sums stays in registers, kRows outputs times kVectors vectors of positions; with few outputs there is room
// for more positions.
#if defined(__AVX512F__)
constexpr int kRows = 8, kVectors = 3, kFewRows = 3, kMoreVectors = 6;
#elif defined(__AVX2__)
constexpr int kRows = 4, kVectors = 3, kFewRows = 2, kMoreVectors = 4;
#elif defined(__aarch64__)
constexpr int kRows = 8, kVectors = 3, kFewRows = 3, kMoreVectors = 6;
#else
constexpr int kRows = 4, kVectors = 3, kFewRows = 2, kMoreVectors = 4;
#endif

// `sums` (rows at distance `pitch`) = bias + sum over d of weights[d][row] * operands[offsets[d] + position], rectified if
// there is a slope.
template <int kTileRows, int kTileVectors>
void multiply(const float* weights, const float* operands, const int32_t* offsets, int depth, const float* bias,
              const float* slope, float* sums, ptrdiff_t pitch) {
  Vector sum[kTileRows][kTileVectors] = {};
  for (int d = 0; d < depth; ++d, weights += kTileRows) {
    const float* from = operands + offsets[d];
    // A slab lies in the second-level cache, in pieces too short for the processor to foresee the next one.
    __builtin_prefetch(operands + offsets[d + kPrefetchTaps]);
    Vector operand[kTileVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kTileVectors; ++v) operand[v] = load(from + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kTileRows; ++r) {
      const Vector weight = weights[r] - Vector{};
#pragma GCC unroll 8
      for (int v = 0; v < kTileVectors; ++v) sum[r][v] = multiply_add(weight, operand[v], sum[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kTileRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kTileVectors; ++v) {
      const Vector value = sum[r][v] + bias[r];
      store(slope ? rectify(value, *slope) : value, sums + r * pitch + v * kLanes);
    }
  }
}

typedef void (*Multiply)(const float*, const float*, const int32_t*, int, const float*, const float*, float*, ptrdiff_t);

template <int kTileRows>
inline Multiply multiply_for(int vectors) {
  switch (vectors) {
    case 1: return multiply<kTileRows, 1>;
    case 2: return multiply<kTileRows, 2>;
    case 3: return multiply<kTileRows, 3>;
  }
  if constexpr (kTileRows > kFewRows) return nullptr;
  else if constexpr (kMoreVectors == 4) return multiply<kTileRows, 4>;
  else return vectors == 4 ? multiply<kTileRows, 4> : vectors == 5 ? multiply<kTileRows, 5> : multiply<kTileRows, 6>;
}

inline Multiply multiply_for(int rows, int vectors) {
  switch (rows) {
    case 1: return multiply_for<1>(vectors);
    case 2: return multiply_for<2>(vectors);
    case 3: return multiply_for<3>(vectors);
  }
  if constexpr (kRows == 8) {
    switch (rows) {
      case 4: return multiply_for<4>(vectors);
      case 5: return multiply_for<5>(vectors);
      case 6: return multiply_for<6>(vectors);
      case 7: return multiply_for<7>(vectors);
    }
  }
  return multiply_for<kRows>(vectors);
}

// Columns first, first + step, ... of a row that is zero outside of [0, width). `outputs`: that row of Rectified's, or null.
template <int kStep>
void copy_columns(const float* row, const float* outputs, float slope, int width, int first, int any_step, int count,
                  float* to) {
  const int step = kStep ? kStep : any_step;
  int begin = first < 0 ? (-first + step - 1) / step : 0;
  int end = first < width ? (width - 1 - first) / step + 1 : 0;
  if (end > count) end = count;
  if (begin > end) begin = end;
  for (int j = 0; j < begin; ++j) to[j] = 0;
  const float* from = row + first;
  if (outputs) {
    outputs += first;
#pragma omp simd
    for (int j = begin; j < end; ++j) {
      to[j] = from[ptrdiff_t(j) * step] * rectification_slope(outputs[ptrdiff_t(j) * step], slope);
    }
  } else {
#pragma omp simd
    for (int j = begin; j < end; ++j) to[j] = from[ptrdiff_t(j) * step];
  }
  for (int j = end; j < count; ++j) to[j] = 0;
}

// The input of a tile whose first output is (row, col).
void fill_slab(const Correlation& c, const float* input, const Rectified& rectified, int row, int col, float* slab) {
  constexpr int kAhead = 2;  // channels: the rows of a tile are too short for the processor to foresee the next one
  const int slab_rows = c.tile_rows + c.taps_h - 1;
  for (int channel = 0; channel < c.channels; ++channel) {
    const size_t plane = size_t(channel) * c.height * c.width;
    float* to = slab + channel * c.slab_channel;
    for (int phase_h = 0; phase_h < c.step_h; ++phase_h) {
      for (int phase_w = 0; phase_w < c.step_w; ++phase_w, to += c.slab_phase) {
        for (int r = 0; r < slab_rows; ++r) {
          const int y = (row + r) * c.step_h + phase_h + c.origin_h;
          const int x = col * c.step_w + phase_w + c.origin_w;
          const bool inside = y >= 0 && y < c.height;
          const size_t at = plane + (inside ? size_t(y) * c.width : 0);
          const float* from = input + at;
          const float* outputs = rectified.outputs ? rectified.outputs + at : nullptr;
          const int width = inside ? c.width : 0;
          if (channel + kAhead < c.channels) {
            const size_t ahead = kAhead * size_t(c.height) * c.width + x;
            fetch<0>(from + ahead, c.pitch * c.step_w);
            if (outputs) fetch<0>(outputs + ahead, c.pitch * c.step_w);
          }
          float* line = to + size_t(r) * c.pitch;
          const auto copy = c.step_w == 1 ? copy_columns<1> : c.step_w == 2 ? copy_columns<2> : copy_columns<0>;
          copy(from, outputs, rectified.slope, width, x, c.step_w, c.pitch, line);
        }
      }
    }
  }
}

// Where the outputs of a tile go.
struct Target {
  const Correlation& c;
  const CorrelationFilter& filter;
  int row, col;    // of the tile's first output
  int rows, cols;  // of the tile, as far as it lies in the grid

  int y(int r) const { return (row + r) * c.out_step_h + filter.out_h; }
  int x(int j) const { return (col + j) * c.out_step_w + filter.out_w; }

  // Whether all of [position, position + count) are neighbouring outputs, to which sums can be written directly.
  bool is_run(int position, int count) const {
    const int r = position / c.pitch, j = position % c.pitch;
    return c.out_step_w == 1 && r < rows && j + count <= cols && y(r) >= 0 && y(r) < c.out_height && x(j) >= 0 &&
           x(j) + count <= c.out_width;
  }

  size_t index(int r, int j) const { return size_t(y(r)) * c.out_width + x(j); }

  // One output's sums of [position, position + count), without what belongs to no output.
  void scatter(const float* sums, int position, int count, float* out) const {
    for (int done = 0; done < count;) {
      const int r = (position + done) / c.pitch, j = (position + done) % c.pitch;
      const int run = c.pitch - j < count - done ? c.pitch - j : count - done;
      if (r < rows && y(r) >= 0 && y(r) < c.out_height) {
        int begin = j, end = j + run < cols ? j + run : cols;
        while (begin < end && x(begin) < 0) ++begin;
        while (begin < end && x(end - 1) >= c.out_width) --end;
        const float* from = sums + done - j;
        float* to = out + size_t(y(r)) * c.out_width + filter.out_w + ptrdiff_t(col) * c.out_step_w;
        if (c.out_step_w == 1) {
          if (begin < end) __builtin_memcpy(to + begin, from + begin, (end - begin) * sizeof(float));
        } else {
          for (int i = begin; i < end; ++i) to[ptrdiff_t(i) * c.out_step_w] = from[i];
        }
      }
      done += run;
    }
  }
};

// Vectors in the next block of positions. A single one in the last block would wait for its own sums, so the one before
// leaves it another.
int vectors_at_once(int positions, int most) {
  const int wanted = (positions + kLanes - 1) / kLanes;
  return wanted > most + 1 ? most : wanted == most + 1 ? most - 1 : wanted;
}

// The slab, and as much as is read beyond it.
size_t correlate_scratch(const Correlation& c) { return size_t(c.slab_channel) * c.channels + kMoreVectors * kLanes; }

void correlate(const Correlation& c, const float* input, const Rectified& rectified, float* output, int row, int col,
               float* scratch) {
  float* const slab = scratch;
  fill_slab(c, input, rectified, row, col, slab);
  const size_t out_plane = size_t(c.out_height) * c.out_width;
  constexpr int kMostSums = kRows * kVectors > kFewRows * kMoreVectors ? kRows * kVectors : kFewRows * kMoreVectors;
  alignas(64) float sums[kMostSums * kLanes];
  const int most_vectors = c.outputs <= kFewRows ? kMoreVectors : kVectors;
  const int panel = most_vectors * kLanes;
  for (int f = 0; f < c.filter_count; ++f) {
    const CorrelationFilter& filter = c.filters[f];
    const Target target = {c, filter, row, col, c.rows - row < c.tile_rows ? c.rows - row : c.tile_rows,
                           c.cols - col < c.tile_cols ? c.cols - col : c.tile_cols};
    const int positions = (target.rows - 1) * c.pitch + target.cols;
    for (int position = 0, vectors; position < positions; position += vectors * kLanes) {
      vectors = vectors_at_once(positions - position, most_vectors);
      const bool run = target.is_run(position, vectors * kLanes);
      const size_t at = run ? target.index(position / c.pitch, position % c.pitch) : 0;
      for (int first = 0; first < c.outputs; first += kRows) {
        const int rows = c.outputs - first < kRows ? c.outputs - first : kRows;
        const float* weights = filter.weights + size_t(first) * filter.depth;
        float* const out = output + first * out_plane;
        multiply_for(rows, vectors)(weights, slab + position, filter.offsets, filter.depth, filter.bias + first, c.slope,
                                    run ? out + at : sums, run ? ptrdiff_t(out_plane) : panel);
        if (run) continue;
        for (int r = 0; r < rows; ++r) {
          target.scatter(sums + r * panel, position, vectors * kLanes, out + r * out_plane);
        }
      }
    }
  }
}

}  // namespace
}  // namespace fast
