#include "convolution.hpp"

#include <algorithm>
#include <map>
#include <mutex>

#include "caffe/common.hpp"
#include "caffe/util/device_alternate.hpp"
#include "caffe/util/math_functions.hpp"

namespace gpu {

thread_local int Columns::branch = 0;

Columns::~Columns() {
  for (float* memory : memory_) cudaFree(memory);
}

void Columns::reserve(int branch, size_t count) {
  if (count <= count_[branch]) return;
  cudaFree(memory_[branch]);
  memory_[branch] = nullptr;
  count_[branch] = 0;
  CUDA_CHECK(cudaMalloc(&memory_[branch], count * sizeof(float)));
  count_[branch] = count;
}

float* Columns::of_size(size_t count) {
  reserve(branch, count);
  return memory_[branch];
}

size_t Columns::missing() const {
  size_t bytes = 0;
  for (size_t count : count_) bytes += count < count_[0] ? count_[0] * sizeof(float) : 0;
  return bytes;
}

void Columns::reserve_all() {
  for (int branch = 1; branch < BRANCHES; ++branch) reserve(branch, count_[0]);
}

std::vector<const void*> Columns::addresses() const { return std::vector<const void*>(memory_, memory_ + BRANCHES); }

std::shared_ptr<Columns> shared_columns() {
  static std::mutex mutex;
  static std::map<int, std::weak_ptr<Columns>>* of_devices = new std::map<int, std::weak_ptr<Columns>>;
  int device = 0;
  CUDA_CHECK(cudaGetDevice(&device));
  std::lock_guard<std::mutex> lock(mutex);
  std::shared_ptr<Columns> columns = (*of_devices)[device].lock();
  if (!columns) (*of_devices)[device] = columns = std::make_shared<Columns>();
  return columns;
}

namespace {

#ifdef PYCAFFE_EMULATED
const size_t MOST = size_t(1) << 14;  // so that the small pictures of the tests go through in several bands
#else
const size_t MOST = size_t(32) << 20;  // values in the matrix: 128 MiB
#endif

// Rows of the output, `count` of them; the matrix has a column for each of their places.
struct Band {
  int first, count;
};

template <class Use>
void each_band(const Convolution& shape, Columns* columns, Use use) {
  const size_t row = size_t(shape.channels) * shape.kernel_h * shape.kernel_w * shape.out_width;
  const int rows = static_cast<int>(std::min<size_t>(std::max<size_t>(MOST / row, 1), shape.out_height));
  std::lock_guard<std::recursive_mutex> lock(columns->mutex);
  float* matrix = columns->of_size(row * rows);
  for (int first = 0; first < shape.out_height; first += rows) {
    use(Band{first, std::min(rows, shape.out_height - first)}, matrix);
  }
}

// Each thread writes the patch of one channel at one place of the output.
__global__ void patches_kernel(const int count, const float* picture, const Convolution s, const Band band,
                               float* matrix) {
  const int places = band.count * s.out_width;
  CUDA_KERNEL_LOOP(i, count) {
    const int place = i % places, channel = i / places;
    const int top = (band.first + place / s.out_width) * s.stride_h - s.pad_h;
    const int left = place % s.out_width * s.stride_w - s.pad_w;
    const float* plane = picture + static_cast<size_t>(channel) * s.height * s.width;
    float* to = matrix + static_cast<size_t>(channel) * s.kernel_h * s.kernel_w * places + place;
    for (int r = 0; r < s.kernel_h; ++r) {
      const int y = top + r * s.dilation_h;
      for (int c = 0; c < s.kernel_w; ++c, to += places) {
        const int x = left + c * s.dilation_w;
        *to = y >= 0 && y < s.height && x >= 0 && x < s.width ? plane[y * s.width + x] : 0.f;
      }
    }
  }
}

// The first output along an axis whose patch reaches a place in the padded picture.
__device__ int first_output(int place, int kernel, int stride, int dilation) {
  const int before = place - (kernel - 1) * dilation - 1;
  return before < 0 ? 0 : before / stride + 1;
}

// Each thread collects for one value of the picture what the patches that contain it have for it.
__global__ void collect_kernel(const int count, const float* matrix, const Convolution s, const Band band, const int first_y,
                               const int rows, const bool add, float* picture) {
  const int places = band.count * s.out_width;
  CUDA_KERNEL_LOOP(i, count) {
    const int x = i % s.width, y = first_y + i / s.width % rows, channel = i / s.width / rows;
    const int down = y + s.pad_h, along = x + s.pad_w;
    // The outputs whose patches contain it.
    const int first_row = max(first_output(down, s.kernel_h, s.stride_h, s.dilation_h) - band.first, 0);
    const int last_row = min(down / s.stride_h - band.first, band.count - 1);
    const int first_column = first_output(along, s.kernel_w, s.stride_w, s.dilation_w);
    const int last_column = min(along / s.stride_w, s.out_width - 1);
    float sum = 0;
    for (int row = last_row; row >= first_row; --row) {
      const int below = down - (row + band.first) * s.stride_h;
      if (s.dilation_h > 1 && below % s.dilation_h) continue;
      const int r = s.dilation_h > 1 ? below / s.dilation_h : below;
      for (int column = last_column; column >= first_column; --column) {
        const int right = along - column * s.stride_w;
        if (s.dilation_w > 1 && right % s.dilation_w) continue;
        const int c = s.dilation_w > 1 ? right / s.dilation_w : right;
        const size_t patch = (static_cast<size_t>(channel) * s.kernel_h + r) * s.kernel_w + c;
        sum += matrix[patch * places + row * s.out_width + column];
      }
    }
    float* to = picture + (static_cast<size_t>(channel) * s.height + y) * s.width + x;
    *to = add ? *to + sum : sum;
  }
}

__global__ void bias_kernel(const int count, const float* bias, const int plane, float* output) {
  CUDA_KERNEL_LOOP(i, count) { output[i] += bias[i / plane]; }
}

// Each thread adds up one column of one channel.
__global__ void columns_kernel(const int count, const float* output, const int height, const int width, float* sums) {
  CUDA_KERNEL_LOOP(i, count) {
    const float* place = output + static_cast<size_t>(i / width) * height * width + i % width;
    float sum = 0;
    for (int y = 0; y < height; ++y, place += width) sum += *place;
    sums[i] = sum;
  }
}

__global__ void add_rows_kernel(const int count, const float* sums, const int width, float* total) {
  CUDA_KERNEL_LOOP(i, count) {
    float sum = 0;
    for (int x = 0; x < width; ++x) sum += sums[i * width + x];
    total[i] += sum;
  }
}

// C = A B, or with the transpose of A; all in rows. C and B may be parts of longer rows.
void multiply(bool transpose, int rows, int columns, int inner, const float* a, const float* b, int b_row, float* c,
              int c_row) {
  const float one = 1, zero = 0;
  // cuBLAS has everything in columns: there, it is the product of the transposes.
  CUBLAS_CHECK(cublasSgemm(caffe::Caffe::cublas_handle(), CUBLAS_OP_N, transpose ? CUBLAS_OP_T : CUBLAS_OP_N, columns, rows,
                           inner, &one, b, b_row, a, transpose ? rows : inner, &zero, c, c_row));
}

}  // namespace

void convolve(const Convolution& shape, Columns* columns, const float* weights, const float* bias, const float* from,
              float* to) {
  const int plane = shape.out_height * shape.out_width;
  const int inner = shape.channels * shape.kernel_h * shape.kernel_w;
  for (int group = 0; group < shape.groups; ++group) {
    const float* of_group = weights + static_cast<size_t>(group) * shape.outputs * inner;
    const float* picture = from + static_cast<size_t>(group) * shape.channels * shape.height * shape.width;
    float* output = to + static_cast<size_t>(group) * shape.outputs * plane;
    if (shape.is_pointwise()) {
      multiply(false, shape.outputs, plane, inner, of_group, picture, plane, output, plane);
      continue;
    }
    each_band(shape, columns, [&](const Band& band, float* matrix) {
      const int places = band.count * shape.out_width, count = shape.channels * places;
      patches_kernel<<<caffe::CAFFE_GET_BLOCKS(count), caffe::CAFFE_CUDA_NUM_THREADS>>>(count, picture, shape, band, matrix);
      CUDA_POST_KERNEL_CHECK;
      multiply(false, shape.outputs, places, inner, of_group, matrix, places, output + band.first * shape.out_width, plane);
    });
  }
  if (bias) {
    const int count = shape.groups * shape.outputs * plane;
    bias_kernel<<<caffe::CAFFE_GET_BLOCKS(count), caffe::CAFFE_CUDA_NUM_THREADS>>>(count, bias, plane, to);
    CUDA_POST_KERNEL_CHECK;
  }
}

void add_bias_gradient(const Convolution& shape, Columns* columns, const float* from, float* bias_diff) {
  const int channels = shape.groups * shape.outputs, count = channels * shape.out_width;
  std::lock_guard<std::recursive_mutex> lock(columns->mutex);
  float* sums = columns->of_size(count);
  columns_kernel<<<caffe::CAFFE_GET_BLOCKS(count), caffe::CAFFE_CUDA_NUM_THREADS>>>(count, from, shape.out_height,
                                                                            shape.out_width, sums);
  CUDA_POST_KERNEL_CHECK;
  add_rows_kernel<<<caffe::CAFFE_GET_BLOCKS(channels), caffe::CAFFE_CUDA_NUM_THREADS>>>(channels, sums, shape.out_width,
                                                                                bias_diff);
  CUDA_POST_KERNEL_CHECK;
}

void convolve_back(const Convolution& shape, Columns* columns, const float* weights, const float* from, float* to) {
  const int plane = shape.out_height * shape.out_width;
  const int inner = shape.channels * shape.kernel_h * shape.kernel_w;
  for (int group = 0; group < shape.groups; ++group) {
    const float* of_group = weights + static_cast<size_t>(group) * shape.outputs * inner;
    const float* output = from + static_cast<size_t>(group) * shape.outputs * plane;
    float* picture = to + static_cast<size_t>(group) * shape.channels * shape.height * shape.width;
    if (shape.is_pointwise()) {
      multiply(true, inner, plane, shape.outputs, of_group, output, plane, picture, plane);
      continue;
    }
    each_band(shape, columns, [&](const Band& band, float* matrix) {
      const bool whole = band.count == shape.out_height;
      if (!whole && !band.first) {
        caffe::caffe_gpu_memset(sizeof(float) * shape.channels * shape.height * shape.width, 0, picture);
      }
      const int places = band.count * shape.out_width;
      multiply(true, inner, places, shape.outputs, of_group, output + band.first * shape.out_width, plane, matrix, places);
      // The rows of the picture that these patches touch.
      const int first_y = whole ? 0 : std::max(0, band.first * shape.stride_h - shape.pad_h);
      const int reach = (band.first + band.count - 1) * shape.stride_h - shape.pad_h;
      const int last_y = whole ? shape.height - 1
                               : std::min(shape.height - 1, reach + (shape.kernel_h - 1) * shape.dilation_h);
      const int rows = last_y - first_y + 1, count = shape.channels * rows * shape.width;
      if (rows < 1) return;
      collect_kernel<<<caffe::CAFFE_GET_BLOCKS(count), caffe::CAFFE_CUDA_NUM_THREADS>>>(
          count, matrix, shape, band, first_y, rows, !whole, picture);
      CUDA_POST_KERNEL_CHECK;
    });
  }
}

}  // namespace gpu
