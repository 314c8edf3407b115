// A convolution on a GPU: the patches of the picture as a matrix, times the weights, as upstream does it. Upstream's
// layers keep one such matrix each, as large as the picture wants; here all layers share one of a limited size, and a
// large picture goes through it in bands of rows.
#ifndef PYCAFFE_GPU_CONVOLUTION_HPP_
#define PYCAFFE_GPU_CONVOLUTION_HPP_

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

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

// The matrices of patches of a GPU, as long as a layer uses them. Kernels of all threads run one after the other in CUDA's
// default stream, so that one matrix serves all nets; the branches of a graph (passes.hpp), which may run at the same time,
// have one each.
class Columns {
 public:
  static constexpr int BRANCHES = 4;

  Columns() = default;
  Columns(const Columns&) = delete;
  ~Columns();

  // Held while kernels that use a matrix are launched.
  std::recursive_mutex mutex;

  // The matrix of the thread's branch, for `count` values.
  float* of_size(size_t count);

  // Make the other branches' matrices as large as the first one, which takes `missing` bytes more.
  size_t missing() const;
  void reserve_all();

  // Where the matrices are: a graph may be used as long as they stay there.
  std::vector<const void*> addresses() const;

  static thread_local int branch;

 private:
  void reserve(int branch, size_t count);

  float* memory_[BRANCHES] = {};
  size_t count_[BRANCHES] = {};
};
std::shared_ptr<Columns> shared_columns();

// Of one picture: `to` becomes the output, with a bias for each output channel unless it is null.
void convolve(const Convolution& shape, Columns* columns, const float* weights, const float* bias, const float* from,
              float* to);

// Of one picture: add the gradient of the bias, the sum of each output channel, to `bias_diff`.
void add_bias_gradient(const Convolution& shape, Columns* columns, const float* from, float* bias_diff);

// Of one picture: `to` becomes the gradient of the input, from the gradient of the output.
void convolve_back(const Convolution& shape, Columns* columns, const float* weights, const float* from, float* to);

}  // namespace gpu

#endif  // PYCAFFE_GPU_CONVOLUTION_HPP_
