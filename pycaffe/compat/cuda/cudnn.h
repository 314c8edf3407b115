// What cuDNN 9 took away from Caffe: the queries for a convolution's algorithm, answered by the _v7 ones, which list what
// there is, the fastest first. What Caffe asks before every pass is asked once for each shape: on an H100 the questions
// took 20 ms of a forward pass of 23. And convolutions in full float32: by default cuDNN rounds their inputs to TF32's ten bits
// where the GPU has it, and a dream would differ from the CPU's from its first step on.
#pragma once
#include_next <cudnn.h>

#include "algorithms.hpp"

namespace caffe_compat {

inline cudnnStatus_t set_convolution(cudnnConvolutionDescriptor_t convolution, int pad_h, int pad_w, int stride_h,
                                     int stride_w, int dilation_h, int dilation_w, cudnnConvolutionMode_t mode,
                                     cudnnDataType_t type) {
  const cudnnStatus_t status = cudnnSetConvolution2dDescriptor(convolution, pad_h, pad_w, stride_h, stride_w,
                                                               dilation_h, dilation_w, mode, type);
  return status == CUDNN_STATUS_SUCCESS ? cudnnSetConvolutionMathType(convolution, CUDNN_FMA_MATH) : status;
}

// Everything that an algorithm's choice depends on: the shapes, the windows, the GPU.
inline std::vector<int> convolution_key(cudnnTensorDescriptor_t x, cudnnFilterDescriptor_t w,
                                        cudnnConvolutionDescriptor_t convolution, cudnnTensorDescriptor_t y) {
  std::vector<int> key(33);
  int* k = key.data();
  cudnnDataType_t type[4] = {};
  cudnnTensorFormat_t format = CUDNN_TENSOR_NCHW;
  cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  cudaGetDevice(k);
  cudnnGetTensor4dDescriptor(x, type, k + 1, k + 2, k + 3, k + 4, k + 5, k + 6, k + 7, k + 8);
  cudnnGetTensor4dDescriptor(y, type + 1, k + 9, k + 10, k + 11, k + 12, k + 13, k + 14, k + 15, k + 16);
  cudnnGetFilter4dDescriptor(w, type + 2, &format, k + 17, k + 18, k + 19, k + 20);
  cudnnGetConvolution2dDescriptor(convolution, k + 21, k + 22, k + 23, k + 24, k + 25, k + 26, &mode, type + 3);
  for (int i = 0; i < 4; ++i) k[27 + i] = type[i];
  k[31] = format;
  k[32] = mode;
  return key;
}

// The workspace that may be had now. Each layer takes it up to three times, so that it is no more than an eighth of what
// the GPU has free; on a GPU with much memory it is more than Caffe's limit of 8 MiB, with which the gradient of
// bvlc_googlenet's first convolution took 32 ms on an H100, and 1 ms with 64.
inline size_t workspace_limit(size_t limit) {
  size_t free = 0, total = 0;
  if (cudaMemGetInfo(&free, &total) != cudaSuccess) {
    cudaGetLastError();
    return limit;
  }
  return std::max(std::min(limit, free / 8), std::min<size_t>(64 << 20, free / 256));
}

// A workspace's size; cuDNN is asked once for each key in a thread.
template <class Query>
cudnnStatus_t workspace_size(std::vector<int> key, int algorithm, Query query, size_t* size) {
  static thread_local std::map<std::vector<int>, size_t> known;
  key.push_back(algorithm);
  const auto found = known.find(key);
  if (found != known.end()) {
    *size = found->second;
    return CUDNN_STATUS_SUCCESS;
  }
  const cudnnStatus_t status = query(size);
  if (status == CUDNN_STATUS_SUCCESS) known[key] = *size;
  return status;
}

inline cudnnStatus_t forward_workspace_size(cudnnHandle_t handle, cudnnTensorDescriptor_t x, cudnnFilterDescriptor_t w,
                                            cudnnConvolutionDescriptor_t convolution, cudnnTensorDescriptor_t y,
                                            cudnnConvolutionFwdAlgo_t algorithm, size_t* size) {
  return workspace_size(
      convolution_key(x, w, convolution, y), algorithm,
      [&](size_t* asked) { return cudnnGetConvolutionForwardWorkspaceSize(handle, x, w, convolution, y, algorithm, asked); },
      size);
}

inline cudnnStatus_t backward_filter_workspace_size(cudnnHandle_t handle, cudnnTensorDescriptor_t x,
                                                    cudnnTensorDescriptor_t dy, cudnnConvolutionDescriptor_t convolution,
                                                    cudnnFilterDescriptor_t dw, cudnnConvolutionBwdFilterAlgo_t algorithm,
                                                    size_t* size) {
  return workspace_size(
      convolution_key(x, dw, convolution, dy), algorithm,
      [&](size_t* asked) {
        return cudnnGetConvolutionBackwardFilterWorkspaceSize(handle, x, dy, convolution, dw, algorithm, asked);
      },
      size);
}

inline cudnnStatus_t backward_data_workspace_size(cudnnHandle_t handle, cudnnFilterDescriptor_t w,
                                                  cudnnTensorDescriptor_t dy, cudnnConvolutionDescriptor_t convolution,
                                                  cudnnTensorDescriptor_t dx, cudnnConvolutionBwdDataAlgo_t algorithm,
                                                  size_t* size) {
  return workspace_size(
      convolution_key(dx, w, convolution, dy), algorithm,
      [&](size_t* asked) {
        return cudnnGetConvolutionBackwardDataWorkspaceSize(handle, w, dy, convolution, dx, algorithm, asked);
      },
      size);
}

}  // namespace caffe_compat

enum {
  CUDNN_CONVOLUTION_FWD_SPECIFY_WORKSPACE_LIMIT,
  CUDNN_CONVOLUTION_BWD_FILTER_SPECIFY_WORKSPACE_LIMIT,
  CUDNN_CONVOLUTION_BWD_DATA_SPECIFY_WORKSPACE_LIMIT
};

inline cudnnStatus_t cudnnGetConvolutionForwardAlgorithm(
    cudnnHandle_t handle, cudnnTensorDescriptor_t x, cudnnFilterDescriptor_t w, cudnnConvolutionDescriptor_t convolution,
    cudnnTensorDescriptor_t y, int, size_t limit, cudnnConvolutionFwdAlgo_t* algorithm) {
  return caffe_compat::choose<cudnnConvolutionFwdAlgoPerf_t>(
      caffe_compat::convolution_key(x, w, convolution, y), caffe_compat::workspace_limit(limit),
      [&](int most, int* count, cudnnConvolutionFwdAlgoPerf_t* found) {
        return cudnnGetConvolutionForwardAlgorithm_v7(handle, x, w, convolution, y, most, count, found);
      },
      algorithm);
}

inline cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm(
    cudnnHandle_t handle, cudnnTensorDescriptor_t x, cudnnTensorDescriptor_t dy, cudnnConvolutionDescriptor_t convolution,
    cudnnFilterDescriptor_t dw, int, size_t limit, cudnnConvolutionBwdFilterAlgo_t* algorithm) {
  return caffe_compat::choose<cudnnConvolutionBwdFilterAlgoPerf_t>(
      caffe_compat::convolution_key(x, dw, convolution, dy), caffe_compat::workspace_limit(limit),
      [&](int most, int* count, cudnnConvolutionBwdFilterAlgoPerf_t* found) {
        return cudnnGetConvolutionBackwardFilterAlgorithm_v7(handle, x, dy, convolution, dw, most, count, found);
      },
      algorithm);
}

inline cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm(
    cudnnHandle_t handle, cudnnFilterDescriptor_t w, cudnnTensorDescriptor_t dy, cudnnConvolutionDescriptor_t convolution,
    cudnnTensorDescriptor_t dx, int, size_t limit, cudnnConvolutionBwdDataAlgo_t* algorithm) {
  return caffe_compat::choose<cudnnConvolutionBwdDataAlgoPerf_t>(
      caffe_compat::convolution_key(dx, w, convolution, dy), caffe_compat::workspace_limit(limit),
      [&](int most, int* count, cudnnConvolutionBwdDataAlgoPerf_t* found) {
        return cudnnGetConvolutionBackwardDataAlgorithm_v7(handle, w, dy, convolution, dx, most, count, found);
      },
      algorithm);
}

#define cudnnSetConvolution2dDescriptor caffe_compat::set_convolution
#define cudnnGetConvolutionForwardWorkspaceSize caffe_compat::forward_workspace_size
#define cudnnGetConvolutionBackwardFilterWorkspaceSize caffe_compat::backward_filter_workspace_size
#define cudnnGetConvolutionBackwardDataWorkspaceSize caffe_compat::backward_data_workspace_size
