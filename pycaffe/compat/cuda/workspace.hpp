// For the cuDNN layers that go on with slower algorithms when their workspace cannot be had: they look at cudaMalloc's
// result themselves, but leave the error behind, and the check after the next kernel would take it for its own.
#pragma once
#include <cuda_runtime.h>

namespace caffe_compat {
inline cudaError_t allocate(void** pointer, size_t size) {
  const cudaError_t error = cudaMalloc(pointer, size);
  if (error != cudaSuccess) cudaGetLastError();
  return error;
}
}  // namespace caffe_compat

#define cudaMalloc caffe_compat::allocate
