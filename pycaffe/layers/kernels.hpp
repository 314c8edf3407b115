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

struct Kernels {
  const char* name;

  // Floats of scratch that the pooling kernels need.
  size_t (*pool_scratch)(const PoolShape&);
  // `winner` receives, for each output, which element of its window it is (row by row from 0), if any is above
  // -FLT_MAX.
  void (*max_pool)(const PoolShape&, const float* bottom, float* top, uint8_t* winner, float* scratch);
  void (*max_pool_backward)(const PoolShape&, const float* top_diff, const uint8_t* winner, float* bottom_diff,
                            float* scratch);

  // Normalise `count` neighbouring pixels in all channels. Scratch: count floats; backward: (channels + 2) * count.
  void (*lrn)(const LrnShape&, const float* bottom, float* top, int count, float* scratch);
  void (*lrn_backward)(const LrnShape&, const float* bottom, const float* top_diff, float* bottom_diff, int count,
                       float* scratch);
};

// The best that this processor runs; PYCAFFE_ISA=avx512|avx2|baseline asks for another. Throws if it cannot be had.
const Kernels& kernels();

// Null where the compiler does not target that instruction set.
const Kernels* baseline_kernels();
const Kernels* avx2_kernels();
const Kernels* avx512_kernels();

}  // namespace fast

#endif  // PYCAFFE_LAYERS_KERNELS_HPP_
