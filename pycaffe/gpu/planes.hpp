// An image on a GPU: what one step of gradient ascent does to it, without a way through the host's memory.
#ifndef PYCAFFE_GPU_PLANES_HPP_
#define PYCAFFE_GPU_PLANES_HPP_

#include <vector>

#include "caffe/blob.hpp"

namespace gpu {

using Blob = caffe::Blob<float>;

// Everything here is of the shape (planes, height, width), and is computed on the GPU that the thread has chosen.

// Copy a window of an image, which wraps around at the borders, into a blob's data, (1, planes, height, width).
void read_window(const Blob& image, int top, int left, Blob* window);

// The inverse, from the blob's diff.
void write_window(const Blob& window, int top, int left, Blob* image);

// The mean magnitude of the values.
float mean_magnitude(const Blob& image);

// Add the gradient times a factor, rounded as the same step on the host: the product first, then the sum.
void add_scaled(const Blob& gradient, float factor, Blob* image);

// The same, and keep each plane within its limits.
void ascend(const Blob& gradient, float factor, const std::vector<float>& lower, const std::vector<float>& upper,
            Blob* image);

// Resize by linear interpolation, corner to corner, as scipy.ndimage.zoom does with order 1.
void zoom(const Blob& image, Blob* resized);

// The sum of three or four arrays in their order; `d` may be null.
void add_up(int count, const float* a, const float* b, const float* c, const float* d, float* sum);

// Half the sum of the squares of a blob's data.
float half_sum_of_squares(const Blob& blob);

// Copy a blob's data, which is the gradient of that, to its diff.
void take_data_as_gradient(Blob* blob);

}  // namespace gpu

#endif  // PYCAFFE_GPU_PLANES_HPP_
