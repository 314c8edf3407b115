// A convolution on a GPU: the patches of the picture as a matrix, times the weights, as upstream does it. Upstream's
// layers keep one such matrix each, as large as the picture wants; here all layers share one of a limited size, and a
// large picture goes through it in bands of rows.
#ifndef PYCAFFE_GPU_CONVOLUTION_HPP_
#define PYCAFFE_GPU_CONVOLUTION_HPP_

#include <cstddef>
#include <memory>

namespace gpu {

// A convolution layer's sizes.
struct Convolution {
  int groups;
  int channels, outputs;  // of a group
  int height, width, out_height, out_width;
  int kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;

  // Whether the matrix would be the picture itself.
  bool is_pointwise() const {
    return kernel_h == 1 && kernel_w == 1 && stride_h == 1 && stride_w == 1 && pad_h == 0 && pad_w == 0;
  }
};

// The matrix of patches: one for each GPU, as long as a layer uses it.
class Columns;
std::shared_ptr<Columns> shared_columns();

// Of one picture: `to` becomes the output, with a bias for each output channel unless it is null.
void convolve(const Convolution& shape, Columns* columns, const float* weights, const float* bias, const float* from,
              float* to);

// Of one picture: `to` becomes the gradient of the input, from the gradient of the output.
void convolve_back(const Convolution& shape, Columns* columns, const float* weights, const float* from, float* to);

}  // namespace gpu

#endif  // PYCAFFE_GPU_CONVOLUTION_HPP_
