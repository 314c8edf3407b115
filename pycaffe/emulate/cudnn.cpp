#include "include/cudnn.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "emulator.hpp"

using emulate::begin_library_call;

namespace {

// The current GPU's memory of an array; null if it is no such memory.
template <class T>
T* array(const void* pointer) {
  return static_cast<T*>(emulate::translate(pointer));
}

cudnnStatus_t check_call(const char* name, cudnnHandle_t handle, std::initializer_list<const void*> arrays = {}) {
  if (begin_library_call(name) != cudaSuccess) return CUDNN_STATUS_EXECUTION_FAILED;
  if (!handle || handle->device != emulate::current_device()) return CUDNN_STATUS_NOT_INITIALIZED;
  for (const void* each : arrays) {
    if (!emulate::translate(each)) return CUDNN_STATUS_BAD_PARAM;
  }
  return CUDNN_STATUS_SUCCESS;
}

#define BEGIN(name, ...) \
  const cudnnStatus_t begun = check_call(name, handle, {__VA_ARGS__}); \
  if (begun != CUDNN_STATUS_SUCCESS) return begun

size_t index_of(const cudnnTensorStruct& tensor, int n, int c, int h, int w) {
  return size_t(n) * tensor.stride[0] + size_t(c) * tensor.stride[1] + size_t(h) * tensor.stride[2] +
         size_t(w) * tensor.stride[3];
}

// How many values lie from a tensor's first to its last.
size_t extent(const cudnnTensorStruct& tensor) {
  const int* size = tensor.size;
  return index_of(tensor, size[0] - 1, size[1] - 1, size[2] - 1, size[3] - 1) + 1;
}

template <class Visit>
void each_value(const cudnnTensorStruct& tensor, Visit visit) {
  for (int n = 0; n < tensor.size[0]; ++n) {
    for (int c = 0; c < tensor.size[1]; ++c) {
      for (int h = 0; h < tensor.size[2]; ++h) {
        for (int w = 0; w < tensor.size[3]; ++w) visit(n, c, h, w);
      }
    }
  }
}

// What is written: alpha times the result plus beta times what was there. A beta of zero reads nothing: NaN stays behind.
template <class T>
class Blend {
 public:
  Blend(const void* alpha, const void* beta)
      : alpha_(*static_cast<const T*>(alpha)), beta_(*static_cast<const T*>(beta)) {}
  void operator()(T* place, T result) const { *place = alpha_ * result + (beta_ == 0 ? 0 : beta_ * *place); }

 private:
  T alpha_, beta_;
};

// Call a function of a float or of a double, by the type of a descriptor.
template <class Function>
cudnnStatus_t by_type(cudnnDataType_t type, Function function) {
  return type == CUDNN_DATA_FLOAT ? function(float()) : function(double());
}

bool same_shape(const cudnnTensorStruct& a, const cudnnTensorStruct& b) {
  return a.type == b.type && std::equal(a.size, a.size + 4, b.size);
}

// Whether a convolution's shapes fit together, which is a bad parameter otherwise.
bool fits(const cudnnTensorStruct& x, const cudnnFilterStruct& w, const cudnnConvolutionStruct& convolution,
          const cudnnTensorStruct& y) {
  if (x.type != w.type || x.type != y.type || x.size[0] != y.size[0] || x.size[1] != w.size[1] ||
      y.size[1] != w.size[0] || convolution.mode != CUDNN_CROSS_CORRELATION) {
    return false;
  }
  for (int i = 0; i < 2; ++i) {
    const int reach = convolution.dilation[i] * (w.size[2 + i] - 1) + 1;
    if (y.size[2 + i] != (x.size[2 + i] + 2 * convolution.pad[i] - reach) / convolution.stride[i] + 1) return false;
  }
  return true;
}

// visit(index in x, index in w, index in y, how many positions of y in a row, how far x goes on for each of them): every
// product of a convolution.
template <class Visit>
void each_product(const cudnnTensorStruct& x, const cudnnFilterStruct& w, const cudnnConvolutionStruct& convolution,
                  const cudnnTensorStruct& y, Visit visit) {
  for (int n = 0; n < y.size[0]; ++n) {
    for (int k = 0; k < y.size[1]; ++k) {
      for (int c = 0; c < x.size[1]; ++c) {
        for (int r = 0; r < w.size[2]; ++r) {
          for (int s = 0; s < w.size[3]; ++s) {
            const size_t weight = ((size_t(k) * w.size[1] + c) * w.size[2] + r) * w.size[3] + s;
            const int shift = s * convolution.dilation[1] - convolution.pad[1], step = convolution.stride[1];
            // The columns of y that see a column of x.
            const int first = shift < 0 ? (-shift + step - 1) / step : 0;
            const int last = std::min(y.size[3] - 1, (x.size[3] - 1 - shift) / step);
            if (x.size[3] - 1 - shift < 0 || last < first) continue;
            for (int h = 0; h < y.size[2]; ++h) {
              const int row = h * convolution.stride[0] - convolution.pad[0] + r * convolution.dilation[0];
              if (row < 0 || row >= x.size[2]) continue;
              visit(index_of(x, n, c, row, first * step + shift), weight, index_of(y, n, k, h, first), last - first + 1,
                    step * x.stride[3]);
            }
          }
        }
      }
    }
  }
}

// The workspace that each algorithm is said to need: so much that Caffe's limit of 8 MiB forbids some of them.
size_t workspace_bytes(const cudnnTensorStruct& y, int algorithm) {
  return algorithm == 0 ? 0 : size_t(y.size[2]) * y.size[3] * 64 * algorithm;
}

template <class Found>
cudnnStatus_t list_algorithms(std::initializer_list<int> algorithms, const cudnnTensorStruct& y, int most, int* count,
                              Found* found) {
  *count = 0;
  for (int algorithm : algorithms) {
    if (*count == most) break;
    Found& each = found[(*count)++];
    each.algo = static_cast<decltype(each.algo)>(algorithm);
    each.status = algorithm == 6 ? CUDNN_STATUS_NOT_SUPPORTED : CUDNN_STATUS_SUCCESS;
    each.time = 1 + *count;
    each.memory = workspace_bytes(y, algorithm);
    each.determinism = algorithm == 5 ? CUDNN_NON_DETERMINISTIC : CUDNN_DETERMINISTIC;
    each.mathType = CUDNN_FMA_MATH;
  }
  return CUDNN_STATUS_SUCCESS;
}

bool enough(void* workspace, size_t size, size_t needed) {
  return size >= needed && (!needed || emulate::translate(workspace));
}

}  // namespace

cudnnStatus_t cudnnCreate(cudnnHandle_t* handle) {
  if (begin_library_call("cudnnCreate") != cudaSuccess) return CUDNN_STATUS_ALLOC_FAILED;
  *handle = new cudnnContext{emulate::current_device(), nullptr};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
  begin_library_call("cudnnDestroy");
  delete handle;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}
const char* cudnnGetErrorString(cudnnStatus_t status) {
  switch (status) {
    case CUDNN_STATUS_SUCCESS: return "CUDNN_STATUS_SUCCESS";
    case CUDNN_STATUS_ALLOC_FAILED: return "CUDNN_STATUS_ALLOC_FAILED";
    case CUDNN_STATUS_BAD_PARAM: return "CUDNN_STATUS_BAD_PARAM";
    case CUDNN_STATUS_NOT_INITIALIZED: return "CUDNN_STATUS_NOT_INITIALIZED";
    case CUDNN_STATUS_NOT_SUPPORTED: return "CUDNN_STATUS_NOT_SUPPORTED";
    default: return "CUDNN_STATUS_EXECUTION_FAILED";
  }
}

// Descriptors

#define DESCRIPTOR(Name, Type) \
  cudnnStatus_t cudnnCreate##Name##Descriptor(Type** made) { \
    *made = new Type(); \
    return CUDNN_STATUS_SUCCESS; \
  } \
  cudnnStatus_t cudnnDestroy##Name##Descriptor(Type* made) { \
    delete made; \
    return CUDNN_STATUS_SUCCESS; \
  }
DESCRIPTOR(Tensor, cudnnTensorStruct)
DESCRIPTOR(Filter, cudnnFilterStruct)
DESCRIPTOR(Convolution, cudnnConvolutionStruct)
DESCRIPTOR(Pooling, cudnnPoolingStruct)
DESCRIPTOR(Activation, cudnnActivationStruct)
DESCRIPTOR(LRN, cudnnLRNStruct)

cudnnStatus_t cudnnSetTensor4dDescriptorEx(cudnnTensorDescriptor_t tensor, cudnnDataType_t type, int n, int c, int h,
                                           int w, int n_stride, int c_stride, int h_stride, int w_stride) {
  if (std::min({n, c, h, w}) < 1) return CUDNN_STATUS_BAD_PARAM;
  *tensor = {type, {n, c, h, w}, {n_stride, c_stride, h_stride, w_stride}};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetTensor4dDescriptor(cudnnTensorDescriptor_t tensor, cudnnDataType_t* type, int* n, int* c, int* h,
                                         int* w, int* n_stride, int* c_stride, int* h_stride, int* w_stride) {
  int* const sizes[] = {n, c, h, w};
  int* const strides[] = {n_stride, c_stride, h_stride, w_stride};
  for (int i = 0; i < 4; ++i) *sizes[i] = tensor->size[i], *strides[i] = tensor->stride[i];
  *type = tensor->type;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t filter, cudnnDataType_t type, cudnnTensorFormat_t format,
                                         int k, int c, int h, int w) {
  if (std::min({k, c, h, w}) < 1) return CUDNN_STATUS_BAD_PARAM;
  *filter = {type, format, {k, c, h, w}};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetFilter4dDescriptor(cudnnFilterDescriptor_t filter, cudnnDataType_t* type,
                                         cudnnTensorFormat_t* format, int* k, int* c, int* h, int* w) {
  int* const sizes[] = {k, c, h, w};
  for (int i = 0; i < 4; ++i) *sizes[i] = filter->size[i];
  *type = filter->type;
  *format = filter->format;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t convolution, int pad_h, int pad_w,
                                              int stride_h, int stride_w, int dilation_h, int dilation_w,
                                              cudnnConvolutionMode_t mode, cudnnDataType_t type) {
  *convolution = {{pad_h, pad_w}, {stride_h, stride_w}, {dilation_h, dilation_w}, mode, type, CUDNN_DEFAULT_MATH};
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetConvolution2dDescriptor(cudnnConvolutionDescriptor_t convolution, int* pad_h, int* pad_w,
                                              int* stride_h, int* stride_w, int* dilation_h, int* dilation_w,
                                              cudnnConvolutionMode_t* mode, cudnnDataType_t* type) {
  *pad_h = convolution->pad[0], *pad_w = convolution->pad[1];
  *stride_h = convolution->stride[0], *stride_w = convolution->stride[1];
  *dilation_h = convolution->dilation[0], *dilation_w = convolution->dilation[1];
  *mode = convolution->mode;
  *type = convolution->type;
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t convolution, cudnnMathType_t math) {
  convolution->math = math;
  return CUDNN_STATUS_SUCCESS;
}

// Convolutions

cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(cudnnHandle_t handle, cudnnTensorDescriptor_t x,
                                                     cudnnFilterDescriptor_t w, cudnnConvolutionDescriptor_t convolution,
                                                     cudnnTensorDescriptor_t y, int most, int* count,
                                                     cudnnConvolutionFwdAlgoPerf_t* found) {
  BEGIN("cudnnGetConvolutionForwardAlgorithm_v7");
  if (!fits(*x, *w, *convolution, *y)) return CUDNN_STATUS_BAD_PARAM;
  return list_algorithms({6, 5, 1, 0}, *y, most, count, found);
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(
    cudnnHandle_t handle, cudnnTensorDescriptor_t x, cudnnTensorDescriptor_t dy, cudnnConvolutionDescriptor_t convolution,
    cudnnFilterDescriptor_t dw, int most, int* count, cudnnConvolutionBwdFilterAlgoPerf_t* found) {
  BEGIN("cudnnGetConvolutionBackwardFilterAlgorithm_v7");
  if (!fits(*x, *dw, *convolution, *dy)) return CUDNN_STATUS_BAD_PARAM;
  return list_algorithms({1, 0}, *dy, most, count, found);
}
cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(
    cudnnHandle_t handle, cudnnFilterDescriptor_t w, cudnnTensorDescriptor_t dy, cudnnConvolutionDescriptor_t convolution,
    cudnnTensorDescriptor_t dx, int most, int* count, cudnnConvolutionBwdDataAlgoPerf_t* found) {
  BEGIN("cudnnGetConvolutionBackwardDataAlgorithm_v7");
  if (!fits(*dx, *w, *convolution, *dy)) return CUDNN_STATUS_BAD_PARAM;
  return list_algorithms({1, 0}, *dy, most, count, found);
}
cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(cudnnHandle_t handle, cudnnTensorDescriptor_t,
                                                      cudnnFilterDescriptor_t, cudnnConvolutionDescriptor_t,
                                                      cudnnTensorDescriptor_t y, cudnnConvolutionFwdAlgo_t algorithm,
                                                      size_t* size) {
  BEGIN("cudnnGetConvolutionForwardWorkspaceSize");
  *size = workspace_bytes(*y, algorithm);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetConvolutionBackwardFilterWorkspaceSize(cudnnHandle_t handle, cudnnTensorDescriptor_t,
                                                             cudnnTensorDescriptor_t dy, cudnnConvolutionDescriptor_t,
                                                             cudnnFilterDescriptor_t,
                                                             cudnnConvolutionBwdFilterAlgo_t algorithm, size_t* size) {
  BEGIN("cudnnGetConvolutionBackwardFilterWorkspaceSize");
  *size = workspace_bytes(*dy, algorithm);
  return CUDNN_STATUS_SUCCESS;
}
cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(cudnnHandle_t handle, cudnnFilterDescriptor_t,
                                                           cudnnTensorDescriptor_t dy, cudnnConvolutionDescriptor_t,
                                                           cudnnTensorDescriptor_t,
                                                           cudnnConvolutionBwdDataAlgo_t algorithm, size_t* size) {
  BEGIN("cudnnGetConvolutionBackwardDataWorkspaceSize");
  *size = workspace_bytes(*dy, algorithm);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void* alpha, cudnnTensorDescriptor_t x_shape,
                                      const void* x, cudnnFilterDescriptor_t w_shape, const void* w,
                                      cudnnConvolutionDescriptor_t convolution, cudnnConvolutionFwdAlgo_t algorithm,
                                      void* workspace, size_t size, const void* beta, cudnnTensorDescriptor_t y_shape,
                                      void* y) {
  BEGIN("cudnnConvolutionForward", x, w, y);
  if (!fits(*x_shape, *w_shape, *convolution, *y_shape)) return CUDNN_STATUS_BAD_PARAM;
  if (!enough(workspace, size, workspace_bytes(*y_shape, algorithm))) return CUDNN_STATUS_BAD_PARAM;
  return by_type(x_shape->type, [&](auto zero) {
    using T = decltype(zero);
    const Blend<T> blend(alpha, beta);
    const T *from = array<T>(x), *weights = array<T>(w);
    T* to = array<T>(y);
    std::vector<T> sums(extent(*y_shape));
    each_product(*x_shape, *w_shape, *convolution, *y_shape, [&](size_t i, size_t k, size_t o, int count, int step) {
      for (int j = 0; j < count; ++j) sums[o + size_t(j) * y_shape->stride[3]] += weights[k] * from[i + size_t(j) * step];
    });
    each_value(*y_shape, [&](int n, int c, int h, int v) {
      const size_t i = index_of(*y_shape, n, c, h, v);
      blend(to + i, sums[i]);
    });
    return CUDNN_STATUS_SUCCESS;
  });
}

cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void* alpha, cudnnFilterDescriptor_t w_shape,
                                           const void* w, cudnnTensorDescriptor_t dy_shape, const void* dy,
                                           cudnnConvolutionDescriptor_t convolution,
                                           cudnnConvolutionBwdDataAlgo_t algorithm, void* workspace, size_t size,
                                           const void* beta, cudnnTensorDescriptor_t dx_shape, void* dx) {
  BEGIN("cudnnConvolutionBackwardData", w, dy, dx);
  if (!fits(*dx_shape, *w_shape, *convolution, *dy_shape)) return CUDNN_STATUS_BAD_PARAM;
  if (!enough(workspace, size, workspace_bytes(*dy_shape, algorithm))) return CUDNN_STATUS_BAD_PARAM;
  return by_type(dx_shape->type, [&](auto zero) {
    using T = decltype(zero);
    const Blend<T> blend(alpha, beta);
    const T *weights = array<T>(w), *from = array<T>(dy);
    T* to = array<T>(dx);
    std::vector<T> sums(extent(*dx_shape));
    each_product(*dx_shape, *w_shape, *convolution, *dy_shape, [&](size_t i, size_t k, size_t o, int count, int step) {
      for (int j = 0; j < count; ++j) sums[i + size_t(j) * step] += weights[k] * from[o + size_t(j) * dy_shape->stride[3]];
    });
    each_value(*dx_shape, [&](int n, int c, int h, int v) {
      const size_t i = index_of(*dx_shape, n, c, h, v);
      blend(to + i, sums[i]);
    });
    return CUDNN_STATUS_SUCCESS;
  });
}

cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t handle, const void* alpha, cudnnTensorDescriptor_t x_shape,
                                             const void* x, cudnnTensorDescriptor_t dy_shape, const void* dy,
                                             cudnnConvolutionDescriptor_t convolution,
                                             cudnnConvolutionBwdFilterAlgo_t algorithm, void* workspace, size_t size,
                                             const void* beta, cudnnFilterDescriptor_t dw_shape, void* dw) {
  BEGIN("cudnnConvolutionBackwardFilter", x, dy, dw);
  if (!fits(*x_shape, *dw_shape, *convolution, *dy_shape)) return CUDNN_STATUS_BAD_PARAM;
  if (!enough(workspace, size, workspace_bytes(*dy_shape, algorithm))) return CUDNN_STATUS_BAD_PARAM;
  return by_type(x_shape->type, [&](auto zero) {
    using T = decltype(zero);
    const Blend<T> blend(alpha, beta);
    const T *from = array<T>(x), *diffs = array<T>(dy);
    T* to = array<T>(dw);
    const int* s = dw_shape->size;
    std::vector<T> sums(size_t(s[0]) * s[1] * s[2] * s[3]);
    each_product(*x_shape, *dw_shape, *convolution, *dy_shape, [&](size_t i, size_t k, size_t o, int count, int step) {
      for (int j = 0; j < count; ++j) sums[k] += from[i + size_t(j) * step] * diffs[o + size_t(j) * dy_shape->stride[3]];
    });
    for (size_t i = 0; i < sums.size(); ++i) blend(to + i, sums[i]);
    return CUDNN_STATUS_SUCCESS;
  });
}

cudnnStatus_t cudnnConvolutionBackwardBias(cudnnHandle_t handle, const void* alpha, cudnnTensorDescriptor_t dy_shape,
                                           const void* dy, const void* beta, cudnnTensorDescriptor_t db_shape, void* db) {
  BEGIN("cudnnConvolutionBackwardBias", dy, db);
  if (db_shape->size[1] != dy_shape->size[1]) return CUDNN_STATUS_BAD_PARAM;
  return by_type(dy_shape->type, [&](auto zero) {
    using T = decltype(zero);
    const Blend<T> blend(alpha, beta);
    const T* diffs = array<T>(dy);
    std::vector<T> sums(dy_shape->size[1]);
    each_value(*dy_shape, [&](int n, int c, int h, int w) { sums[c] += diffs[index_of(*dy_shape, n, c, h, w)]; });
    for (int c = 0; c < dy_shape->size[1]; ++c) blend(array<T>(db) + index_of(*db_shape, 0, c, 0, 0), sums[c]);
    return CUDNN_STATUS_SUCCESS;
  });
}

cudnnStatus_t cudnnAddTensor(cudnnHandle_t handle, const void* alpha, cudnnTensorDescriptor_t a_shape, const void* a,
                             const void* beta, cudnnTensorDescriptor_t c_shape, void* c) {
  BEGIN("cudnnAddTensor", a, c);
  for (int i = 0; i < 4; ++i) {
    if (a_shape->size[i] != 1 && a_shape->size[i] != c_shape->size[i]) return CUDNN_STATUS_BAD_PARAM;
  }
  return by_type(c_shape->type, [&](auto zero) {
    using T = decltype(zero);
    const Blend<T> blend(alpha, beta);
    const T* from = array<T>(a);
    T* to = array<T>(c);
    const int* s = a_shape->size;
    each_value(*c_shape, [&](int n, int k, int h, int w) {
      const size_t i = index_of(*a_shape, s[0] == 1 ? 0 : n, s[1] == 1 ? 0 : k, s[2] == 1 ? 0 : h, s[3] == 1 ? 0 : w);
      blend(to + index_of(*c_shape, n, k, h, w), from[i]);
    });
    return CUDNN_STATUS_SUCCESS;
  });
}

// Pooling

cudnnStatus_t cudnnSetPooling2dDescriptor(cudnnPoolingDescriptor_t pooling, cudnnPoolingMode_t mode,
                                          cudnnNanPropagation_t, int h, int w, int pad_h, int pad_w, int stride_h,
                                          int stride_w) {
  *pooling = {mode, {h, w}, {pad_h, pad_w}, {stride_h, stride_w}};
  return CUDNN_STATUS_SUCCESS;
}

namespace {

// visit(index in x) for each position of a window that lies in the image.
template <class Visit>
void each_in_window(const cudnnPoolingStruct& pooling, const cudnnTensorStruct& x, int n, int c, int h, int w,
                    Visit visit) {
  for (int r = 0; r < pooling.window[0]; ++r) {
    for (int s = 0; s < pooling.window[1]; ++s) {
      const int row = h * pooling.stride[0] - pooling.pad[0] + r, column = w * pooling.stride[1] - pooling.pad[1] + s;
      if (row >= 0 && row < x.size[2] && column >= 0 && column < x.size[3]) visit(index_of(x, n, c, row, column));
    }
  }
}

int divisor(const cudnnPoolingStruct& pooling, int inside) {
  return pooling.mode == CUDNN_POOLING_AVERAGE_COUNT_INCLUDE_PADDING ? pooling.window[0] * pooling.window[1] : inside;
}

}  // namespace

cudnnStatus_t cudnnPoolingForward(cudnnHandle_t handle, cudnnPoolingDescriptor_t pooling, const void* alpha,
                                  cudnnTensorDescriptor_t x_shape, const void* x, const void* beta,
                                  cudnnTensorDescriptor_t y_shape, void* y) {
  BEGIN("cudnnPoolingForward", x, y);
  return by_type(x_shape->type, [&](auto zero) {
    using T = decltype(zero);
    const Blend<T> blend(alpha, beta);
    const T* from = array<T>(x);
    T* to = array<T>(y);
    each_value(*y_shape, [&](int n, int c, int h, int w) {
      T most = -std::numeric_limits<T>::infinity(), sum = 0;
      int inside = 0;
      each_in_window(*pooling, *x_shape, n, c, h, w, [&](size_t i) {
        most = std::max(most, from[i]);
        sum += from[i];
        ++inside;
      });
      blend(to + index_of(*y_shape, n, c, h, w), pooling->mode == CUDNN_POOLING_MAX ? most : sum / divisor(*pooling, inside));
    });
    return CUDNN_STATUS_SUCCESS;
  });
}

cudnnStatus_t cudnnPoolingBackward(cudnnHandle_t handle, cudnnPoolingDescriptor_t pooling, const void* alpha,
                                   cudnnTensorDescriptor_t y_shape, const void* y, cudnnTensorDescriptor_t dy_shape,
                                   const void* dy, cudnnTensorDescriptor_t x_shape, const void* x, const void* beta,
                                   cudnnTensorDescriptor_t dx_shape, void* dx) {
  BEGIN("cudnnPoolingBackward", y, dy, x, dx);
  if (!same_shape(*y_shape, *dy_shape) || !same_shape(*x_shape, *dx_shape)) return CUDNN_STATUS_BAD_PARAM;
  return by_type(x_shape->type, [&](auto zero) {
    using T = decltype(zero);
    const Blend<T> blend(alpha, beta);
    const T *seen = array<T>(x), *tops = array<T>(y), *diffs = array<T>(dy);
    std::vector<T> sums(extent(*dx_shape));
    each_value(*y_shape, [&](int n, int c, int h, int w) {
      const T diff = diffs[index_of(*dy_shape, n, c, h, w)], top = tops[index_of(*y_shape, n, c, h, w)];
      int inside = 0;
      each_in_window(*pooling, *x_shape, n, c, h, w, [&](size_t) { ++inside; });
      bool given = false;
      each_in_window(*pooling, *x_shape, n, c, h, w, [&](size_t i) {
        if (pooling->mode != CUDNN_POOLING_MAX) {
          sums[i] += diff / divisor(*pooling, inside);
        } else if (!given && seen[i] == top) {
          sums[i] += diff;
          given = true;
        }
      });
    });
    each_value(*dx_shape, [&](int n, int c, int h, int w) {
      const size_t i = index_of(*dx_shape, n, c, h, w);
      blend(array<T>(dx) + i, sums[i]);
    });
    return CUDNN_STATUS_SUCCESS;
  });
}

// Activations

cudnnStatus_t cudnnSetActivationDescriptor(cudnnActivationDescriptor_t activation, cudnnActivationMode_t mode,
                                           cudnnNanPropagation_t, double) {
  activation->mode = mode;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnActivationForward(cudnnHandle_t handle, cudnnActivationDescriptor_t activation, const void* alpha,
                                     cudnnTensorDescriptor_t x_shape, const void* x, const void* beta,
                                     cudnnTensorDescriptor_t y_shape, void* y) {
  BEGIN("cudnnActivationForward", x, y);
  if (!same_shape(*x_shape, *y_shape)) return CUDNN_STATUS_BAD_PARAM;
  return by_type(x_shape->type, [&](auto zero) {
    using T = decltype(zero);
    const Blend<T> blend(alpha, beta);
    each_value(*y_shape, [&](int n, int c, int h, int w) {
      const T value = array<T>(x)[index_of(*x_shape, n, c, h, w)];
      const T result = activation->mode == CUDNN_ACTIVATION_RELU   ? (value < 0 ? 0 : value)
                       : activation->mode == CUDNN_ACTIVATION_TANH ? std::tanh(value)
                                                                   : 1 / (1 + std::exp(-value));
      blend(array<T>(y) + index_of(*y_shape, n, c, h, w), result);
    });
    return CUDNN_STATUS_SUCCESS;
  });
}

cudnnStatus_t cudnnActivationBackward(cudnnHandle_t handle, cudnnActivationDescriptor_t activation, const void* alpha,
                                      cudnnTensorDescriptor_t y_shape, const void* y, cudnnTensorDescriptor_t dy_shape,
                                      const void* dy, cudnnTensorDescriptor_t x_shape, const void* x, const void* beta,
                                      cudnnTensorDescriptor_t dx_shape, void* dx) {
  BEGIN("cudnnActivationBackward", y, dy, x, dx);
  if (!same_shape(*y_shape, *dy_shape) || !same_shape(*x_shape, *dx_shape)) return CUDNN_STATUS_BAD_PARAM;
  return by_type(x_shape->type, [&](auto zero) {
    using T = decltype(zero);
    const Blend<T> blend(alpha, beta);
    each_value(*dx_shape, [&](int n, int c, int h, int w) {
      const T top = array<T>(y)[index_of(*y_shape, n, c, h, w)];
      const T slope = activation->mode == CUDNN_ACTIVATION_RELU   ? T(array<T>(x)[index_of(*x_shape, n, c, h, w)] > 0)
                      : activation->mode == CUDNN_ACTIVATION_TANH ? 1 - top * top
                                                                  : top * (1 - top);
      blend(array<T>(dx) + index_of(*dx_shape, n, c, h, w), slope * array<T>(dy)[index_of(*dy_shape, n, c, h, w)]);
    });
    return CUDNN_STATUS_SUCCESS;
  });
}

// Softmax over the channels

cudnnStatus_t cudnnSoftmaxForward(cudnnHandle_t handle, cudnnSoftmaxAlgorithm_t, cudnnSoftmaxMode_t mode,
                                  const void* alpha, cudnnTensorDescriptor_t x_shape, const void* x, const void* beta,
                                  cudnnTensorDescriptor_t y_shape, void* y) {
  BEGIN("cudnnSoftmaxForward", x, y);
  if (!same_shape(*x_shape, *y_shape) || mode != CUDNN_SOFTMAX_MODE_CHANNEL) return CUDNN_STATUS_BAD_PARAM;
  return by_type(x_shape->type, [&](auto zero) {
    using T = decltype(zero);
    const Blend<T> blend(alpha, beta);
    cudnnTensorStruct places = *x_shape;
    places.size[1] = 1;
    each_value(places, [&](int n, int, int h, int w) {
      T most = -std::numeric_limits<T>::infinity(), sum = 0;
      for (int c = 0; c < x_shape->size[1]; ++c) most = std::max(most, array<T>(x)[index_of(*x_shape, n, c, h, w)]);
      for (int c = 0; c < x_shape->size[1]; ++c) sum += std::exp(array<T>(x)[index_of(*x_shape, n, c, h, w)] - most);
      for (int c = 0; c < x_shape->size[1]; ++c) {
        blend(array<T>(y) + index_of(*y_shape, n, c, h, w), std::exp(array<T>(x)[index_of(*x_shape, n, c, h, w)] - most) / sum);
      }
    });
    return CUDNN_STATUS_SUCCESS;
  });
}

cudnnStatus_t cudnnSoftmaxBackward(cudnnHandle_t handle, cudnnSoftmaxAlgorithm_t, cudnnSoftmaxMode_t mode,
                                   const void* alpha, cudnnTensorDescriptor_t y_shape, const void* y,
                                   cudnnTensorDescriptor_t dy_shape, const void* dy, const void* beta,
                                   cudnnTensorDescriptor_t dx_shape, void* dx) {
  BEGIN("cudnnSoftmaxBackward", y, dy, dx);
  if (!same_shape(*y_shape, *dy_shape) || mode != CUDNN_SOFTMAX_MODE_CHANNEL) return CUDNN_STATUS_BAD_PARAM;
  return by_type(y_shape->type, [&](auto zero) {
    using T = decltype(zero);
    const Blend<T> blend(alpha, beta);
    cudnnTensorStruct places = *y_shape;
    places.size[1] = 1;
    each_value(places, [&](int n, int, int h, int w) {
      T sum = 0;
      for (int c = 0; c < y_shape->size[1]; ++c) {
        sum += array<T>(y)[index_of(*y_shape, n, c, h, w)] * array<T>(dy)[index_of(*dy_shape, n, c, h, w)];
      }
      for (int c = 0; c < y_shape->size[1]; ++c) {
        const T top = array<T>(y)[index_of(*y_shape, n, c, h, w)];
        blend(array<T>(dx) + index_of(*dx_shape, n, c, h, w), top * (array<T>(dy)[index_of(*dy_shape, n, c, h, w)] - sum));
      }
    });
    return CUDNN_STATUS_SUCCESS;
  });
}

// Local response normalisation

cudnnStatus_t cudnnSetLRNDescriptor(cudnnLRNDescriptor_t norm, unsigned size, double alpha, double beta, double k) {
  if (size < 1 || size > CUDNN_LRN_MAX_N) return CUDNN_STATUS_BAD_PARAM;
  *norm = {size, alpha, beta, k};
  return CUDNN_STATUS_SUCCESS;
}

namespace {

// k + alpha / size times the sum of the squares of the channels around `c`.
template <class T>
T across_channels(const cudnnLRNStruct& norm, const cudnnTensorStruct& x_shape, const T* x, int n, int c, int h, int w) {
  const int before = (norm.size - 1) / 2, after = norm.size - 1 - before;
  T sum = 0;
  for (int i = std::max(0, c - before); i <= std::min(x_shape.size[1] - 1, c + after); ++i) {
    const T value = x[index_of(x_shape, n, i, h, w)];
    sum += value * value;
  }
  return norm.k + norm.alpha / norm.size * sum;
}

// The same over a square in one channel.
template <class T>
T within_channel(const cudnnLRNStruct& norm, const cudnnTensorStruct& x_shape, const T* x, int n, int c, int h, int w) {
  const int before = (norm.size - 1) / 2, after = norm.size - 1 - before;
  T sum = 0;
  for (int i = std::max(0, h - before); i <= std::min(x_shape.size[2] - 1, h + after); ++i) {
    for (int j = std::max(0, w - before); j <= std::min(x_shape.size[3] - 1, w + after); ++j) {
      const T value = x[index_of(x_shape, n, c, i, j)];
      sum += value * value;
    }
  }
  return norm.k + norm.alpha / (norm.size * norm.size) * sum;
}

}  // namespace

cudnnStatus_t cudnnLRNCrossChannelForward(cudnnHandle_t handle, cudnnLRNDescriptor_t norm, cudnnLRNMode_t,
                                          const void* alpha, cudnnTensorDescriptor_t x_shape, const void* x,
                                          const void* beta, cudnnTensorDescriptor_t y_shape, void* y) {
  BEGIN("cudnnLRNCrossChannelForward", x, y);
  if (!same_shape(*x_shape, *y_shape)) return CUDNN_STATUS_BAD_PARAM;
  return by_type(x_shape->type, [&](auto zero) {
    using T = decltype(zero);
    const Blend<T> blend(alpha, beta);
    const T* from = array<T>(x);
    each_value(*y_shape, [&](int n, int c, int h, int w) {
      const T scale = across_channels(*norm, *x_shape, from, n, c, h, w);
      blend(array<T>(y) + index_of(*y_shape, n, c, h, w), from[index_of(*x_shape, n, c, h, w)] * std::pow(scale, T(-norm->beta)));
    });
    return CUDNN_STATUS_SUCCESS;
  });
}

cudnnStatus_t cudnnLRNCrossChannelBackward(cudnnHandle_t handle, cudnnLRNDescriptor_t norm, cudnnLRNMode_t,
                                           const void* alpha, cudnnTensorDescriptor_t y_shape, const void* y,
                                           cudnnTensorDescriptor_t dy_shape, const void* dy,
                                           cudnnTensorDescriptor_t x_shape, const void* x, const void* beta,
                                           cudnnTensorDescriptor_t dx_shape, void* dx) {
  BEGIN("cudnnLRNCrossChannelBackward", y, dy, x, dx);
  if (!same_shape(*x_shape, *dx_shape) || !same_shape(*y_shape, *dy_shape)) return CUDNN_STATUS_BAD_PARAM;
  return by_type(x_shape->type, [&](auto zero) {
    using T = decltype(zero);
    const Blend<T> blend(alpha, beta);
    const T *from = array<T>(x), *tops = array<T>(y), *diffs = array<T>(dy);
    const int before = (norm->size - 1) / 2, after = norm->size - 1 - before;
    each_value(*dx_shape, [&](int n, int c, int h, int w) {
      T sum = 0;  // over the channels whose window has this one
      for (int i = std::max(0, c - after); i <= std::min(x_shape->size[1] - 1, c + before); ++i) {
        sum += diffs[index_of(*dy_shape, n, i, h, w)] * tops[index_of(*y_shape, n, i, h, w)] /
               across_channels(*norm, *x_shape, from, n, i, h, w);
      }
      const T own = diffs[index_of(*dy_shape, n, c, h, w)] *
                    std::pow(across_channels(*norm, *x_shape, from, n, c, h, w), T(-norm->beta));
      const T factor = 2 * norm->alpha * norm->beta / norm->size;
      blend(array<T>(dx) + index_of(*dx_shape, n, c, h, w), own - factor * from[index_of(*x_shape, n, c, h, w)] * sum);
    });
    return CUDNN_STATUS_SUCCESS;
  });
}

cudnnStatus_t cudnnDivisiveNormalizationForward(cudnnHandle_t handle, cudnnLRNDescriptor_t norm, cudnnDivNormMode_t,
                                                const void* alpha, cudnnTensorDescriptor_t x_shape, const void* x,
                                                const void* means, void* temporary, void* temporary2, const void* beta,
                                                cudnnTensorDescriptor_t y_shape, void* y) {
  BEGIN("cudnnDivisiveNormalizationForward", x, temporary, temporary2, y);
  if (means || !same_shape(*x_shape, *y_shape)) return CUDNN_STATUS_NOT_SUPPORTED;
  return by_type(x_shape->type, [&](auto zero) {
    using T = decltype(zero);
    const Blend<T> blend(alpha, beta);
    const T* from = array<T>(x);
    each_value(*y_shape, [&](int n, int c, int h, int w) {
      const T scale = within_channel(*norm, *x_shape, from, n, c, h, w);
      blend(array<T>(y) + index_of(*y_shape, n, c, h, w), from[index_of(*x_shape, n, c, h, w)] * std::pow(scale, T(-norm->beta)));
    });
    return CUDNN_STATUS_SUCCESS;
  });
}

cudnnStatus_t cudnnDivisiveNormalizationBackward(cudnnHandle_t handle, cudnnLRNDescriptor_t norm, cudnnDivNormMode_t,
                                                 const void* alpha, cudnnTensorDescriptor_t x_shape, const void* x,
                                                 const void* means, const void* dy, void* temporary, void* temporary2,
                                                 const void* beta, cudnnTensorDescriptor_t dx_shape, void* dx,
                                                 void* dmeans) {
  BEGIN("cudnnDivisiveNormalizationBackward", x, dy, temporary, temporary2, dx);
  if (means || dmeans || !same_shape(*x_shape, *dx_shape)) return CUDNN_STATUS_NOT_SUPPORTED;
  return by_type(x_shape->type, [&](auto zero) {
    using T = decltype(zero);
    const Blend<T> blend(alpha, beta);
    const T *from = array<T>(x), *diffs = array<T>(dy);
    const int before = (norm->size - 1) / 2, after = norm->size - 1 - before;
    each_value(*dx_shape, [&](int n, int c, int h, int w) {
      T sum = 0;
      for (int i = std::max(0, h - after); i <= std::min(x_shape->size[2] - 1, h + before); ++i) {
        for (int j = std::max(0, w - after); j <= std::min(x_shape->size[3] - 1, w + before); ++j) {
          const T scale = within_channel(*norm, *x_shape, from, n, c, i, j);
          sum += diffs[index_of(*x_shape, n, c, i, j)] * from[index_of(*x_shape, n, c, i, j)] * std::pow(scale, T(-norm->beta - 1));
        }
      }
      const T scale = within_channel(*norm, *x_shape, from, n, c, h, w);
      const T factor = 2 * norm->alpha * norm->beta / (norm->size * norm->size);
      const size_t i = index_of(*x_shape, n, c, h, w);
      blend(array<T>(dx) + i, diffs[i] * std::pow(scale, T(-norm->beta)) - factor * from[i] * sum);
    });
    return CUDNN_STATUS_SUCCESS;
  });
}
