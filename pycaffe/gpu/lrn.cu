#include "lrn.hpp"

#include "caffe/common.hpp"
#include "caffe/util/device_alternate.hpp"

namespace gpu {
namespace {

__global__ void lrn_kernel(const Lrn s, const float* x, float* scale, float* y) {
  CUDA_KERNEL_LOOP(i, s.count) {
    const int channel = i / s.plane % s.channels;
    const int first = max(channel - s.half, 0), last = min(channel + s.half, s.channels - 1);
    float sum = 0;
    for (int c = first; c <= last; ++c) {
      const float value = x[i + (c - channel) * s.plane];
      sum += value * value;
    }
    const float found = s.k + s.alpha_over_size * sum;
    scale[i] = found;
    y[i] = x[i] * powf(found, -s.beta);
  }
}

__global__ void lrn_backward_kernel(const Lrn s, const float* x, const float* scale, const float* y, const float* y_diff,
                                    float* x_diff) {
  const float ratio = 2 * s.alpha_over_size * s.beta;
  CUDA_KERNEL_LOOP(i, s.count) {
    const int channel = i / s.plane % s.channels;
    const int first = max(channel - s.half, 0), last = min(channel + s.half, s.channels - 1);
    float sum = 0;
    for (int c = first; c <= last; ++c) {
      const int other = i + (c - channel) * s.plane;
      sum += y_diff[other] * y[other] / scale[other];
    }
    x_diff[i] = y_diff[i] * powf(scale[i], -s.beta) - ratio * x[i] * sum;
  }
}

}  // namespace

void lrn(const Lrn& shape, const float* x, float* scale, float* y) {
  lrn_kernel<<<caffe::CAFFE_GET_BLOCKS(shape.count), caffe::CAFFE_CUDA_NUM_THREADS>>>(shape, x, scale, y);
  CUDA_POST_KERNEL_CHECK;
}

void lrn_backward(const Lrn& shape, const float* x, const float* scale, const float* y, const float* y_diff, float* x_diff) {
  lrn_backward_kernel<<<caffe::CAFFE_GET_BLOCKS(shape.count), caffe::CAFFE_CUDA_NUM_THREADS>>>(shape, x, scale, y, y_diff,
                                                                                        x_diff);
  CUDA_POST_KERNEL_CHECK;
}

}  // namespace gpu
