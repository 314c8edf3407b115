// Correlations planned and run: packed weights, tiles, threads. kernels.hpp says what a correlation is.
#ifndef PYCAFFE_LAYERS_CORRELATION_HPP_
#define PYCAFFE_LAYERS_CORRELATION_HPP_

#include <cstdint>
#include <vector>

#include "kernels.hpp"

namespace fast {

// A convolution layer's sizes, one group of it.
struct ConvolutionShape {
  int channels, outputs;  // of the group
  int height, width, out_height, out_width;
  int kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
};

// One of the two passes over pictures that a convolution needs, for one group.
//
// The forward pass is one correlation with one filter. The gradient of the layer's input is a correlation of the
// gradient of its output with the turned filter: at stride s there are s x s such filters, each made of the weights
// that a pixel at (y % s, x % s) meets, and each fills every s-th pixel of every s-th row.
class Pass {
 public:
  enum Kind { kForward, kBackward };

  explicit Pass(Kind kind) : kind_(kind) {}

  // For `images` pictures, `input_step` and `output_step` floats apart. `bias` is one number for each output, or null. With a
  // `slope`, the outputs are rectified; with `rectified`, the input is a gradient behind a rectification (kernels.hpp).
  void run(const ConvolutionShape& shape, const float* weights, const float* bias, const float* slope, int images,
           const float* input, const Rectified& rectified, size_t input_step, float* output, size_t output_step);

 private:
  // A weight's place in the layer's kernel, and the place in the slab of what it multiplies.
  struct Tap {
    int weight;
    int phase, row, col;
  };

  struct Filter {
    std::vector<Tap> taps;
    int out_h, out_w;
    std::vector<float> weights;  // as CorrelationFilter has them
  };

  // Whether Winograd's way (winograd.inl) is taken: where it is the faster one. Forward, ties of max-pooling depend on equal
  // patches giving equal outputs wherever they lie, so there only in deep layers, which see so much of a picture that
  // patches are hardly equal unless they are flat. The picture's size must not decide: the bits of a tile would depend on it.
  bool is_winograd(const ConvolutionShape& shape) const;

  // How a layer's sizes become a correlation; the tiles are still to be chosen.
  Correlation correlation(const ConvolutionShape& shape) const;
  std::vector<Filter> filters(const ConvolutionShape& shape) const;
  void pack(const ConvolutionShape& shape, const float* weights);

  Kind kind_;
  uint64_t packed_ = 0;  // fingerprint of the weights that filters_ hold; 0: none
  std::vector<Filter> filters_;
};

}  // namespace fast

#endif  // PYCAFFE_LAYERS_CORRELATION_HPP_
