// The stream in which this thread launches kernels, copies and fills memory: CUDA's default one, except while a graph is
// recorded (gpu/passes.cu). Upstream knows no streams; gpu/launches.py writes this one into its launches.
#pragma once
#include <cuda_runtime.h>

namespace caffe_compat {

inline thread_local cudaStream_t launch_stream = nullptr;

inline bool is_on_gpu(const void* pointer) {
  cudaPointerAttributes attributes;
  if (cudaPointerGetAttributes(&attributes, pointer) == cudaSuccess) return attributes.type == cudaMemoryTypeDevice;
  cudaGetLastError();
  return false;
}

// What a graph copies must still be there when it runs: memory of the host may not be.
inline cudaError_t copy(void* to, const void* from, size_t size, cudaMemcpyKind kind) {
  if (!launch_stream) return cudaMemcpy(to, from, size, kind);
  if (!is_on_gpu(to) || !is_on_gpu(from)) return cudaErrorStreamCaptureUnsupported;
  return cudaMemcpyAsync(to, from, size, cudaMemcpyDeviceToDevice, launch_stream);
}

inline cudaError_t fill(void* pointer, int value, size_t size) {
  return launch_stream ? cudaMemsetAsync(pointer, value, size, launch_stream) : cudaMemset(pointer, value, size);
}

}  // namespace caffe_compat

#define cudaMemcpy caffe_compat::copy
#define cudaMemset caffe_compat::fill
