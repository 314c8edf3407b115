#include "planes.hpp"

#include "caffe/util/device_alternate.hpp"
#include "caffe/util/math_functions.hpp"

namespace gpu {
namespace {

// Positions wrap around, in both directions.
__device__ int wrapped(int position, int length) {
  const int rest = position % length;
  return rest < 0 ? rest + length : rest;
}

// The index in an image, (planes, height, width), of the value with the index `i` in a window of it.
__device__ int index_in_image(int i, int window_height, int window_width, int height, int width, int top, int left) {
  const int x = i % window_width, y = i / window_width % window_height, plane = i / window_width / window_height;
  return (plane * height + wrapped(y + top, height)) * width + wrapped(x + left, width);
}

__global__ void read_kernel(const int count, const float* image, const int height, const int width, const int top,
                            const int left, const int window_height, const int window_width, float* window) {
  CUDA_KERNEL_LOOP(i, count) {
    window[i] = image[index_in_image(i, window_height, window_width, height, width, top, left)];
  }
}

__global__ void write_kernel(const int count, const float* window, const int window_height, const int window_width,
                             const int top, const int left, const int height, const int width, float* image) {
  CUDA_KERNEL_LOOP(i, count) {
    image[index_in_image(i, window_height, window_width, height, width, top, left)] = window[i];
  }
}

__global__ void add_kernel(const int count, const float* gradient, const float factor, float* image) {
  CUDA_KERNEL_LOOP(i, count) { image[i] = __fadd_rn(image[i], __fmul_rn(gradient[i], factor)); }
}

const int MOST_PLANES = 4;
struct Limits {
  float lower[MOST_PLANES], upper[MOST_PLANES];
};

__global__ void ascend_kernel(const int count, const float* gradient, const float factor, const int plane,
                              const Limits limits, float* image) {
  CUDA_KERNEL_LOOP(i, count) {
    const float value = __fadd_rn(image[i], __fmul_rn(gradient[i], factor));
    image[i] = fminf(fmaxf(value, limits.lower[i / plane]), limits.upper[i / plane]);
  }
}

// Two neighbours in a row of `length` values, and how near the second is.
struct Between {
  int first, second;
  double part;
};

__device__ Between between(int position, int length, int new_length) {
  const double place = new_length > 1 ? position * (static_cast<double>(length - 1) / (new_length - 1)) : 0.;
  Between found;
  found.first = min(static_cast<int>(place), length - 1);
  found.second = min(found.first + 1, length - 1);
  found.part = place - found.first;
  return found;
}

__global__ void zoom_kernel(const int count, const float* image, const int height, const int width,
                            const int new_height, const int new_width, float* resized) {
  CUDA_KERNEL_LOOP(i, count) {
    const float* plane = image + static_cast<size_t>(i / new_width / new_height) * height * width;
    const Between y = between(i / new_width % new_height, height, new_height);
    const Between x = between(i % new_width, width, new_width);
    const float* above = plane + static_cast<size_t>(y.first) * width;
    const float* below = plane + static_cast<size_t>(y.second) * width;
    resized[i] = static_cast<float>((1 - y.part) * ((1 - x.part) * above[x.first] + x.part * above[x.second]) +
                                    y.part * ((1 - x.part) * below[x.first] + x.part * below[x.second]));
  }
}

__global__ void add_up_kernel(const int count, const float* a, const float* b, const float* c, const float* d,
                              float* sum) {
  CUDA_KERNEL_LOOP(i, count) { sum[i] = d ? a[i] + b[i] + c[i] + d[i] : a[i] + b[i] + c[i]; }
}

}  // namespace

void read_window(const Blob& image, int top, int left, Blob* window) {
  const int count = window->count();
  read_kernel<<<caffe::CAFFE_GET_BLOCKS(count), caffe::CAFFE_CUDA_NUM_THREADS>>>(
      count, image.gpu_data(), image.shape(1), image.shape(2), top, left, window->shape(2), window->shape(3),
      window->mutable_gpu_data());
  CUDA_POST_KERNEL_CHECK;
}

void write_window(const Blob& window, int top, int left, Blob* image) {
  const int count = window.count();
  write_kernel<<<caffe::CAFFE_GET_BLOCKS(count), caffe::CAFFE_CUDA_NUM_THREADS>>>(
      count, window.gpu_diff(), window.shape(2), window.shape(3), top, left, image->shape(1), image->shape(2),
      image->mutable_gpu_data());
  CUDA_POST_KERNEL_CHECK;
}

float mean_magnitude(const Blob& image) {
  float sum = 0;
  caffe::caffe_gpu_asum(image.count(), image.gpu_data(), &sum);
  return sum / image.count();
}

void add_scaled(const Blob& gradient, float factor, Blob* image) {
  const int count = image->count();
  add_kernel<<<caffe::CAFFE_GET_BLOCKS(count), caffe::CAFFE_CUDA_NUM_THREADS>>>(count, gradient.gpu_data(), factor,
                                                                         image->mutable_gpu_data());
  CUDA_POST_KERNEL_CHECK;
}

void ascend(const Blob& gradient, float factor, const std::vector<float>& lower, const std::vector<float>& upper,
            Blob* image) {
  CHECK_LE(image->shape(0), MOST_PLANES) << "more planes than limits";
  Limits limits;
  for (int plane = 0; plane < image->shape(0); ++plane) {
    limits.lower[plane] = lower.at(plane);
    limits.upper[plane] = upper.at(plane);
  }
  const int count = image->count();
  ascend_kernel<<<caffe::CAFFE_GET_BLOCKS(count), caffe::CAFFE_CUDA_NUM_THREADS>>>(
      count, gradient.gpu_data(), factor, image->count(1), limits, image->mutable_gpu_data());
  CUDA_POST_KERNEL_CHECK;
}

void zoom(const Blob& image, Blob* resized) {
  const int count = resized->count();
  zoom_kernel<<<caffe::CAFFE_GET_BLOCKS(count), caffe::CAFFE_CUDA_NUM_THREADS>>>(
      count, image.gpu_data(), image.shape(1), image.shape(2), resized->shape(1), resized->shape(2),
      resized->mutable_gpu_data());
  CUDA_POST_KERNEL_CHECK;
}

void add_up(int count, const float* a, const float* b, const float* c, const float* d, float* sum) {
  add_up_kernel<<<caffe::CAFFE_GET_BLOCKS(count), caffe::CAFFE_CUDA_NUM_THREADS>>>(count, a, b, c, d, sum);
  CUDA_POST_KERNEL_CHECK;
}

float half_sum_of_squares(const Blob& blob) {
  float sum = 0;
  caffe::caffe_gpu_dot(blob.count(), blob.gpu_data(), blob.gpu_data(), &sum);
  return sum / 2;
}

void take_data_as_gradient(Blob* blob) {
  caffe::caffe_copy(blob->count(), blob->gpu_data(), blob->mutable_gpu_diff());
}

}  // namespace gpu
