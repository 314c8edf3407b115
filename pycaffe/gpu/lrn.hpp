// Normalisation across channels on a GPU, one thread for each value. Upstream has one for each place, which goes through all
// channels: on a small picture that keeps a GPU waiting.
#ifndef PYCAFFE_GPU_LRN_HPP_
#define PYCAFFE_GPU_LRN_HPP_

namespace gpu {

// y = x * s^-beta with s = k + alpha_over_size * (sum of x^2 in the channels around it).
struct Lrn {
  int count;     // values
  int channels;
  int plane;     // values from one channel to the next
  int half;      // channels on either side that count
  float k, alpha_over_size, beta;
};

// `scale` becomes s, which the gradient needs.
void lrn(const Lrn& shape, const float* x, float* scale, float* y);
void lrn_backward(const Lrn& shape, const float* x, const float* scale, const float* y, const float* y_diff, float* x_diff);

}  // namespace gpu

#endif  // PYCAFFE_GPU_LRN_HPP_
