// One tile of a 3x3 correlation by Winograd's minimal filtering, F(2x2, 3x3): Lavin and Gray, "Fast Algorithms for
// Convolutional Neural Networks", 2015.
//
// A position is a square of 2x2 outputs, which sees 4x4 inputs. In each direction
//
//   d0 - d2,  d1 + d2,  d2 - d1,  d1 - d3          of the inputs
//   w0,  (w0 + w1 + w2) / 2,  (w0 - w1 + w2) / 2,  w2    of the weights (correlation.cpp)
//
// are multiplied, and the outputs are p0 + p1 + p2 and p1 - p2 - p3 of the products, summed over the channels: 16
// multiplications in place of 36. Where the inputs are constant along an axis, three of the four are exactly zero and both
// outputs are p1, bit for bit. Other equal patches differ in the last bits if one lies at an even place, one at an odd one.

namespace fast {
namespace {

constexpr int kBlock = kVectors * kLanes;  // positions that are computed together
constexpr int kProducts = 16;
constexpr int kOutputsAtOnce = 96;  // so many outputs' products lie in the second-level cache

// Floats from one product to the next of the transformed inputs: an odd number of cache lines.
size_t product_pitch(const Correlation& c) { return ((size_t(c.channels) * kBlock + 15) / 16 | 1) * 16; }

size_t winograd_scratch(const Correlation& c) {
  return kProducts * (product_pitch(c) + kOutputsAtOnce * kBlock) + size_t(c.slab_channel) * c.channels + kBlock;
}

// The inputs of one block of positions; `to`: [product][channel][position].
void transform_inputs(const Correlation& c, const float* slab, int vectors, float* to) {
  const size_t pitch = product_pitch(c);
  for (int channel = 0; channel < c.channels; ++channel, slab += c.slab_channel, to += kBlock) {
    for (int v = 0; v < vectors; ++v) {
      Vector rows[4][4];  // transformed down the columns
#pragma GCC unroll 4
      for (int x = 0; x < 4; ++x) {
        // The slab holds even and odd rows and columns by themselves.
        const float* from = slab + x % 2 * c.slab_phase + x / 2 + v * kLanes;
        const float* odd = from + 2 * c.slab_phase;
        const Vector d0 = load(from), d1 = load(odd), d2 = load(from + c.pitch), d3 = load(odd + c.pitch);
        rows[0][x] = d0 - d2, rows[1][x] = d1 + d2, rows[2][x] = d2 - d1, rows[3][x] = d1 - d3;
      }
#pragma GCC unroll 4
      for (int y = 0; y < 4; ++y) {
        float* const line = to + 4 * y * pitch + v * kLanes;
        store(rows[y][0] - rows[y][2], line);
        store(rows[y][1] + rows[y][2], line + pitch);
        store(rows[y][2] - rows[y][1], line + 2 * pitch);
        store(rows[y][1] - rows[y][3], line + 3 * pitch);
      }
    }
  }
}

// The outputs of one channel at one block of positions from its products, `pitch` floats apart; `to`:
// [row][column][position], two rows of two columns.
void transform_outputs(const float* products, size_t pitch, int vectors, float bias, const float* slope, float* to) {
  for (int v = 0; v < vectors; ++v) {
    Vector sums[2][4];  // transformed down the columns
#pragma GCC unroll 4
    for (int x = 0; x < 4; ++x) {
      const float* from = products + x * pitch + v * kLanes;
      const Vector p0 = load(from), p1 = load(from + 4 * pitch), p2 = load(from + 8 * pitch),
                   p3 = load(from + 12 * pitch);
      sums[0][x] = p0 + p1 + p2, sums[1][x] = p1 - p2 - p3;
    }
#pragma GCC unroll 2
    for (int y = 0; y < 2; ++y) {
      float* const line = to + y * 2 * kBlock + v * kLanes;
      const Vector even = sums[y][0] + sums[y][1] + sums[y][2] + bias, odd = sums[y][1] - sums[y][2] - sums[y][3] + bias;
      store(slope ? rectify(even, *slope) : even, line);
      store(slope ? rectify(odd, *slope) : odd, line + kBlock);
    }
  }
}

// Products of one block of positions: [product][output][position], outputs first, first + 1, ...
void multiply_block(const Correlation& c, const float* inputs, int first, int outputs, int vectors, float* products) {
  static constexpr float kNoBias[kRows] = {};
  for (int product = 0; product < kProducts; ++product) {
    const CorrelationFilter& filter = c.filters[product];
    for (int o = 0; o < outputs; o += kRows) {
      const int rows = outputs - o < kRows ? outputs - o : kRows;
      multiply_for(rows, vectors)(filter.weights + size_t(first + o) * c.channels, inputs + product * product_pitch(c),
                                  filter.offsets, c.channels, kNoBias, nullptr, products + o * vectors * kLanes,
                                  vectors * kLanes);
    }
    products += kOutputsAtOnce * kBlock;
  }
}

// Outputs of one block that lie side by side: 2x2 for each of its positions from `first` on, as far as they exist.
struct Run {
  int first;
  int y, x, rows, cols;
};

// The block's runs; returns their number.
int find_runs(const Correlation& c, int row, int col, int position, int count, Run* runs) {
  int found = 0;
  for (int first = 0; first < count; ++found) {
    const int r = (position + first) / c.pitch, j = (position + first) % c.pitch;
    const int length = c.pitch - j < count - first ? c.pitch - j : count - first;
    const int end = j + length < c.tile_cols ? j + length : c.tile_cols;  // beyond it, positions belong to no output
    const int y = 2 * (row + r), x = 2 * (col + j), x_end = 2 * (col + end);
    runs[found] = {first, y, x, y + 2 < c.out_height ? 2 : c.out_height - y,
                   (x_end < c.out_width ? x_end : c.out_width) - x};
    first += length;
  }
  return found;
}

// `count` outputs of a row from the even ones and, kBlock floats behind them, the odd ones.
inline void interleave(const float* even, int count, float* to) {
  const float* const odd = even + kBlock;
#pragma omp simd
  for (int i = 0; i < count / 2; ++i) to[2 * i] = even[i], to[2 * i + 1] = odd[i];
  if (count % 2) to[count - 1] = even[count / 2];
}

void winograd(const Correlation& c, const float* input, const Rectified& rectified, float* output, int row, int col,
              float* scratch) {
  float* const inputs = scratch;
  float* const products = inputs + kProducts * product_pitch(c);
  float* const slab = products + kProducts * kOutputsAtOnce * kBlock;
  fill_slab(c, input, rectified, row, col, slab);
  const int rows = c.rows - row < c.tile_rows ? c.rows - row : c.tile_rows;
  const int cols = c.cols - col < c.tile_cols ? c.cols - col : c.tile_cols;
  const int positions = (rows - 1) * c.pitch + cols;
  const size_t out_plane = size_t(c.out_height) * c.out_width;
  Run runs[kBlock];
  alignas(64) float values[4 * kBlock];
  for (int position = 0, vectors; position < positions; position += vectors * kLanes) {
    vectors = vectors_at_once(positions - position, kVectors);
    const int left = positions - position;
    const int run_count = find_runs(c, row, col, position, left < vectors * kLanes ? left : vectors * kLanes, runs);
    transform_inputs(c, slab + position, vectors, inputs);
    for (int first = 0; first < c.outputs; first += kOutputsAtOnce) {
      const int outputs = c.outputs - first < kOutputsAtOnce ? c.outputs - first : kOutputsAtOnce;
      multiply_block(c, inputs, first, outputs, vectors, products);
      for (int o = 0; o < outputs; ++o) {
        transform_outputs(products + o * vectors * kLanes, size_t(kOutputsAtOnce) * kBlock, vectors,
                          c.filters->bias[first + o], c.slope, values);
        for (const Run* run = runs; run < runs + run_count; ++run) {
          for (int y = 0; y < run->rows; ++y) {
            interleave(values + y * 2 * kBlock + run->first, run->cols,
                       output + (first + o) * out_plane + size_t(run->y + y) * c.out_width + run->x);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace fast
