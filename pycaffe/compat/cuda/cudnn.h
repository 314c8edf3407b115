// What cuDNN 9 took away from Caffe: the queries for a convolution's algorithm, answered by the _v7 ones, which list what
// there is, the fastest first. And convolutions in full float32: by default cuDNN rounds their inputs to TF32's ten bits
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

// The workspace that may be had now: Caffe's limit, and no more than an eighth of what the GPU has free, because each
// layer takes it up to three times.
inline size_t workspace_limit(size_t limit) {
  size_t free = 0, total = 0;
  if (cudaMemGetInfo(&free, &total) != cudaSuccess) {
    cudaGetLastError();
    return limit;
  }
  return std::min(limit, free / 8);
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
