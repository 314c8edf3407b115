// A CUDA of the tests' own: it keeps the last error as the real one does, and counts.
#pragma once
#include <cstddef>

enum cudaError_t { cudaSuccess = 0, cudaErrorMemoryAllocation = 2, cudaErrorNoDevice = 100 };

namespace fake {
inline cudaError_t last = cudaSuccess, next = cudaSuccess;
inline thread_local int device = 0;
inline cudaError_t result() {
  const cudaError_t now = next;
  if (now != cudaSuccess) last = now;
  return now;
}
}  // namespace fake

inline cudaError_t cudaGetLastError() {
  const cudaError_t error = fake::last;
  fake::last = cudaSuccess;
  return error;
}
inline const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "out of memory" : "no CUDA-capable device is detected";
}
inline cudaError_t cudaGetDevice(int* device) {
  *device = fake::device;
  return fake::result();
}
inline cudaError_t cudaMalloc(void**, size_t) { return fake::result(); }
inline cudaError_t cudaFree(void*) { return fake::result(); }
