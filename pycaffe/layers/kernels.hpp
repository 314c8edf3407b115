// The inner loops of our layers, compiled once for each instruction set that a wheel may meet, and chosen at run time.
//
// kernels.inl holds the loops; kernels_*.cpp compile it with the flags that CMakeLists.txt gives each of them. A kernel
// runs in one thread and allocates nothing: threads and memory are the layers' business.
#ifndef PYCAFFE_LAYERS_KERNELS_HPP_
#define PYCAFFE_LAYERS_KERNELS_HPP_

#include <cstddef>
#include <cstdint>

namespace fast {

// One plane (a channel of a picture) and the windows that slide over it.
struct PoolShape {
  int height, width;
  int pooled_height, pooled_width;
  int kernel_h, kernel_w;
  int stride_h, stride_w;
  int pad_h, pad_w;
};

// Local response normalisation across channels: y = x * s^-3/4 with s = k + alpha_over_size * (sum of x^2 around it).
struct LrnShape {
  int channels;
  int half;             // channels on either side that count
  ptrdiff_t plane;      // floats from one channel to the next
  float k, alpha_over_size;
  float ratio;          // 2 * alpha * beta / size
};

constexpr int kPrefetchTaps = 9;  // from the tap that is multiplied to the one whose operands are prefetched

// A correlation of an input with one or more filters, each of which fills an output of its own or every step-th pixel of
// a common one:
//
//   output[o][row * out_step_h + out_h][col * out_step_w + out_w] =
//       bias[o] + sum over channel, kh, kw of
//           weight[o][channel][kh][kw] * input[channel][row * step_h + origin_h + kh][col * step_w + origin_w + kw]
//
// for rows x cols positions; the input is zero outside, and outputs outside are dropped. It is computed tile by tile.
struct CorrelationFilter {
  const float* weights;    // [output panel][depth][outputs of the panel], see Kernels::panel_rows
  const float* bias;       // one for each output
  const int32_t* offsets;  // into the slab, [depth + kPrefetchTaps]; depth runs over channels, kh, kw
  int depth;
  int out_h, out_w;
};

struct Correlation {
  int channels, height, width;  // input
  int outputs;                  // channels of the output
  int out_height, out_width;
  int rows, cols;  // positions
  int step_h, step_w, origin_h, origin_w;
  int out_step_h, out_step_w;
  int tile_rows, tile_cols;
  // A slab holds what a tile sees, for each channel and phase (row % step_h, column % step_w) by itself:
  // tile_rows + taps_h - 1 rows of `pitch` = tile_cols + taps_w - 1 floats.
  int taps_h, taps_w, pitch;
  ptrdiff_t slab_phase, slab_channel;  // floats from one phase or channel to the next
  const CorrelationFilter* filters;
  int filter_count;
  const float* slope;  // of a rectification of the outputs, for values below zero; null: none
};

// The gradient behind a rectification: what is read as a correlation's input is multiplied by the rectification's slope at
// `outputs`, where its outputs lie as the input does.
struct Rectified {
  const float* outputs;  // null: there is none
  float slope;
};

struct Kernels {
  const char* name;

  int panel_rows;  // outputs that are computed together; the last panel of a filter may have fewer
  int lanes;       // positions in one vector

  // One tile, the one whose first position is (row, col).
  void (*correlate)(const Correlation&, const float* input, const Rectified&, float* output, int row, int col,
                    float* scratch);
  size_t (*correlate_scratch)(const Correlation&);  // floats
  // The same for a 3x3 correlation whose positions are squares of 2x2 outputs (winograd.inl): each filter has the weights
  // of one of 16 products, as those of a single tap.
  void (*winograd)(const Correlation&, const float* input, const Rectified&, float* output, int row, int col,
                   float* scratch);
  size_t (*winograd_scratch)(const Correlation&);
  int winograd_block;  // floats from the operands of one channel to the next

  // Floats of scratch that the pooling kernels need.
  size_t (*pool_scratch)(const PoolShape&);
  // `winner` receives, for each output, which element of its window it is (row by row from 0), if any is above
  // -FLT_MAX.
  void (*max_pool)(const PoolShape&, const float* bottom, float* top, uint8_t* winner, float* scratch);
  void (*max_pool_backward)(const PoolShape&, const float* top_diff, const uint8_t* winner, float* bottom_diff,
                            float* scratch);

  // Normalise `count` neighbouring pixels in all channels. Scratch: channels * count floats.
  // k must be above zero and alpha not below it.
  void (*lrn)(const LrnShape&, const float* bottom, float* top, int count);
  void (*lrn_backward)(const LrnShape&, const float* bottom, const float* top_diff, float* bottom_diff, int count,
                       float* scratch);

  // A result may be written over an operand.
  void (*relu)(const float* bottom, float* top, int count, float slope);
  void (*relu_backward)(const float* bottom, const float* top_diff, float* bottom_diff, int count, float slope);
  void (*add)(const float* a, const float* b, float* sum, int count);
  void (*add_scaled)(const float* values, float scale, float* sum, int count);
  float (*total)(const float* values, int count);
  float (*dot)(const float* a, const float* b, int count);
};

// The best that this processor runs; PYCAFFE_ISA=avx512|avx2|baseline asks for another. Throws if it cannot be had.
const Kernels& kernels();

// Null where the compiler does not target that instruction set.
const Kernels* baseline_kernels();
const Kernels* avx2_kernels();
const Kernels* avx512_kernels();

}  // namespace fast

#endif  // PYCAFFE_LAYERS_KERNELS_HPP_
