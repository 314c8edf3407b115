#include "correlation.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

#include "threads.hpp"

namespace fast {
namespace {

int divide_up(int a, int b) { return (a + b - 1) / b; }

// A number that changes with any one weight for certain, and with several but for a chance of 2^-64. Weights can be
// written at any time through Python's view of them, so this is asked in every pass; it costs a tenth of packing them.
uint64_t fingerprint(const float* weights, size_t count) {
  constexpr uint64_t kOdd = 0x9E3779B97F4A7C15;
  constexpr int kChains = 8;  // side by side, as a multiplication takes several cycles
  uint64_t lanes[kChains] = {1, 2, 3, 4, 5, 6, 7, 8};
  size_t i = 0;
  for (; i + 2 * kChains <= count; i += 2 * kChains) {
    uint64_t words[kChains];
    std::memcpy(words, weights + i, sizeof words);
    for (int lane = 0; lane < kChains; ++lane) {
      lanes[lane] = (lanes[lane] ^ words[lane]) * kOdd;
      lanes[lane] ^= lanes[lane] >> 32;
    }
  }
  for (; i < count; ++i) {
    uint32_t word;
    std::memcpy(&word, weights + i, sizeof word);
    lanes[0] = (lanes[0] ^ word) * kOdd;
  }
  uint64_t print = 0;
  for (uint64_t lane : lanes) print = (print ^ lane) * kOdd;
  return print ? print : 1;
}

// Floats of a slab for tiles of this size; fills in the slab's distances.
size_t lay_out_slab(Correlation* c, int tile_rows, int tile_cols) {
  c->tile_rows = tile_rows;
  c->tile_cols = tile_cols;
  c->pitch = tile_cols + c->taps_w - 1;
  c->slab_phase = ptrdiff_t(tile_rows + c->taps_h - 1) * c->pitch;
  // An odd number of cache lines: at a power of two, all channels would compete for the same places in the cache.
  ptrdiff_t lines = (c->slab_phase * c->step_h * c->step_w + 15) / 16;
  c->slab_channel = (lines | 1) * 16;
  return size_t(c->slab_channel) * c->channels;
}

// Chooses the tile for which the slowest thread should be done first. `depth` is that of all filters together.
void choose_tiles(Correlation* c, double depth, int images, int threads, int lanes) {
  constexpr size_t kSlab = 96 * 1024;  // floats; with the weights that stream by, it stays in a second-level cache
  Correlation best = *c;
  double best_cost = 0;
  size_t best_excess = SIZE_MAX;
  const int most_parts = divide_up(c->cols, 3 * lanes);
  for (int parts = 1; parts <= most_parts; parts += 1 + parts / 16) {
    int cols = divide_up(c->cols, parts);
    if (c->rows == 1) cols = std::min(c->cols, divide_up(cols, lanes) * lanes);
    for (int rows = 1; rows <= c->rows; ++rows) {
      const size_t slab = lay_out_slab(c, rows, cols);
      const size_t excess = slab > kSlab ? slab - kSlab : 0;
      if (excess && rows > 1) break;
      const int tiles = divide_up(c->cols, cols) * divide_up(c->rows, rows) * images;
      // In cycles, roughly: two vector multiply-adds each, and half a cycle for a float of the slab. Each block of vectors
      // fetches the weights anew, which counts as one more.
      double vectors = divide_up((rows - 1) * c->pitch + cols, lanes);
      vectors += std::ceil(vectors / 3);
      const double cost = divide_up(tiles, threads) * (vectors * c->outputs * depth / 2 + slab * 0.5 + 1000);
      if (excess < best_excess || (excess == best_excess && cost < best_cost)) {
        best = *c;
        best_cost = cost;
        best_excess = excess;
      }
    }
  }
  *c = best;
}

bool is_pointwise(const ConvolutionShape& s) {
  return s.kernel_h == 1 && s.kernel_w == 1 && s.stride_h == 1 && s.stride_w == 1 && s.pad_h == 0 && s.pad_w == 0;
}

// Kernels of 3x3 weights, backward turned by half a turn, as the 4x4 that Winograd's transformed inputs are multiplied
// with.
std::vector<float> winograd_weights(const float* weights, size_t kernels, bool turned) {
  static const double kTransform[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
  std::vector<float> transformed(16 * kernels);
  for (size_t kernel = 0; kernel < kernels; ++kernel, weights += 9) {
    for (int product = 0; product < 16; ++product) {
      double sum = 0;
      for (int tap = 0; tap < 9; ++tap) {
        sum += kTransform[product / 4][tap / 3] * kTransform[product % 4][tap % 3] * weights[turned ? 8 - tap : tap];
      }
      transformed[16 * kernel + product] = float(sum);
    }
  }
  return transformed;
}

}  // namespace

bool Pass::is_winograd(const ConvolutionShape& s) const {
  const int least_channels = kind_ == kForward ? 128 : 32;
  return s.kernel_h == 3 && s.kernel_w == 3 && s.stride_h == 1 && s.stride_w == 1 && s.channels >= least_channels &&
         s.outputs >= 32;
}

Correlation Pass::correlation(const ConvolutionShape& s) const {
  Correlation c = {};
  c.taps_h = divide_up(s.kernel_h, s.stride_h);
  c.taps_w = divide_up(s.kernel_w, s.stride_w);
  if (kind_ == kForward) {
    c.channels = s.channels, c.height = s.height, c.width = s.width;
    c.outputs = s.outputs, c.out_height = s.out_height, c.out_width = s.out_width;
    c.rows = s.out_height, c.cols = s.out_width;
    c.step_h = s.stride_h, c.step_w = s.stride_w;
    c.origin_h = -s.pad_h, c.origin_w = -s.pad_w;
    c.out_step_h = c.out_step_w = 1;
  } else {
    c.channels = s.outputs, c.height = s.out_height, c.width = s.out_width;
    c.outputs = s.channels, c.out_height = s.height, c.out_width = s.width;
    const int first_h = s.pad_h / s.stride_h, first_w = s.pad_w / s.stride_w;
    c.rows = (s.height - 1 + s.pad_h) / s.stride_h - first_h + 1;
    c.cols = (s.width - 1 + s.pad_w) / s.stride_w - first_w + 1;
    c.step_h = c.step_w = 1;
    c.origin_h = first_h - (c.taps_h - 1), c.origin_w = first_w - (c.taps_w - 1);
    c.out_step_h = s.stride_h, c.out_step_w = s.stride_w;
  }
  if (is_winograd(s)) {  // then a position is a square of 2x2 outputs, which sees 4x4 inputs
    c.rows = divide_up(c.rows, 2), c.cols = divide_up(c.cols, 2);
    c.taps_h = c.taps_w = c.step_h = c.step_w = c.out_step_h = c.out_step_w = 2;
  }
  if (is_pointwise(s)) {  // then a picture is one long row
    c.width *= c.height, c.out_width *= c.out_height, c.cols *= c.rows;
    c.height = c.out_height = c.rows = 1;
  }
  return c;
}

std::vector<Pass::Filter> Pass::filters(const ConvolutionShape& s) const {
  std::vector<Filter> filters;
  if (is_winograd(s)) {
    filters.resize(16);
    for (int product = 0; product < 16; ++product) filters[product].taps.push_back({product, 0, 0, 0});
    return filters;
  }
  if (kind_ == kForward) {
    Filter filter = {};
    for (int kh = 0; kh < s.kernel_h; ++kh) {
      for (int kw = 0; kw < s.kernel_w; ++kw) {
        filter.taps.push_back({kh * s.kernel_w + kw, kh % s.stride_h * s.stride_w + kw % s.stride_w, kh / s.stride_h,
                               kw / s.stride_w});
      }
    }
    filters.push_back(filter);
    return filters;
  }
  const int taps_h = divide_up(s.kernel_h, s.stride_h), taps_w = divide_up(s.kernel_w, s.stride_w);
  for (int phase_h = 0; phase_h < s.stride_h; ++phase_h) {
    for (int phase_w = 0; phase_w < s.stride_w; ++phase_w) {
      Filter filter = {};
      filter.out_h = phase_h - s.pad_h % s.stride_h;
      filter.out_w = phase_w - s.pad_w % s.stride_w;
      for (int row = 0; row < taps_h; ++row) {
        for (int col = 0; col < taps_w; ++col) {
          const int kh = phase_h + s.stride_h * (taps_h - 1 - row), kw = phase_w + s.stride_w * (taps_w - 1 - col);
          if (kh < s.kernel_h && kw < s.kernel_w) filter.taps.push_back({kh * s.kernel_w + kw, 0, row, col});
        }
      }
      filters.push_back(filter);
    }
  }
  return filters;
}

void Pass::pack(const ConvolutionShape& s, const float* weights) {
  size_t kernel = size_t(s.kernel_h) * s.kernel_w;
  const uint64_t print = fingerprint(weights, kernel * s.channels * s.outputs);
  if (print == packed_) return;
  packed_ = 0;  // until it is done: memory may run out on the way
  filters_ = filters(s);
  const bool forward = kind_ == kForward;
  std::vector<float> transformed;
  if (is_winograd(s)) {
    transformed = winograd_weights(weights, size_t(s.channels) * s.outputs, !forward);
    weights = transformed.data();
    kernel = 16;
  }
  const int channels = forward ? s.channels : s.outputs, outputs = forward ? s.outputs : s.channels;
  const size_t of_output = forward ? kernel * s.channels : kernel, of_channel = forward ? kernel : kernel * s.channels;
  const int panel = kernels().panel_rows;
  for (Filter& filter : filters_) {
    filter.weights.resize(filter.taps.size() * channels * outputs);
    float* to = filter.weights.data();
    for (int first = 0; first < outputs; first += panel) {
      const int rows = std::min(panel, outputs - first);
      for (int channel = 0; channel < channels; ++channel) {
        const float* from = weights + first * of_output + channel * of_channel;
        for (const Tap& tap : filter.taps) {
          for (int row = 0; row < rows; ++row) *to++ = from[row * of_output + tap.weight];
        }
      }
    }
  }
  packed_ = print;
}

void Pass::run(const ConvolutionShape& shape, const float* weights, const float* bias, const float* slope, int images,
               const float* input, const Rectified& rectified, size_t input_step, float* output, size_t output_step) {
  const Kernels& kernels = fast::kernels();
  pack(shape, weights);
  Correlation c = correlation(shape);
  size_t depth = 0;
  for (const Filter& filter : filters_) depth += filter.taps.size() * c.channels;
  choose_tiles(&c, double(depth), images, omp_get_max_threads(), kernels.lanes);
  const bool winograd = is_winograd(shape);
  const ptrdiff_t channel_pitch = winograd ? kernels.winograd_block : c.slab_channel;

  const std::vector<float> no_bias(bias ? 0 : c.outputs);
  std::vector<std::vector<int32_t>> offsets;
  std::vector<CorrelationFilter> filters;
  for (const Filter& filter : filters_) {
    std::vector<int32_t> of_filter;
    const size_t filter_depth = filter.taps.size() * c.channels;
    of_filter.reserve(filter_depth + kPrefetchTaps);
    for (int channel = 0; channel < c.channels; ++channel) {
      for (const Tap& tap : filter.taps) {
        of_filter.push_back(channel * channel_pitch + tap.phase * c.slab_phase + tap.row * c.pitch + tap.col);
      }
    }
    of_filter.resize(filter_depth + kPrefetchTaps);  // the panel after this one begins at 0 again
    offsets.push_back(std::move(of_filter));
    filters.push_back({filter.weights.data(), bias ? bias : no_bias.data(), offsets.back().data(),
                       int(filter_depth), filter.out_h, filter.out_w});
  }
  c.filters = filters.data();
  c.filter_count = int(filters.size());
  c.slope = slope;

  const int across = divide_up(c.cols, c.tile_cols), tiles = across * divide_up(c.rows, c.tile_rows);
  const auto correlate = winograd ? kernels.winograd : kernels.correlate;
  const size_t floats = (winograd ? kernels.winograd_scratch : kernels.correlate_scratch)(c);
  parallel_for(images * tiles, floats, [&](int item, float* scratch) {
    const int image = item / tiles, tile = item % tiles;
    const Rectified own = {rectified.outputs ? rectified.outputs + image * input_step : nullptr, rectified.slope};
    correlate(c, input + image * input_step, own, output + image * output_step, tile / across * c.tile_rows,
              tile % across * c.tile_cols, scratch);
  });
}

}  // namespace fast
