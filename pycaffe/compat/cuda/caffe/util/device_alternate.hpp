// Upstream's header, with another CUDA_CHECK.
//
// A failed call must leave nothing behind: CUDA keeps the last error, and Caffe's check after the next kernel would find
// it there, long after the memory that was short has been given back. And what destructors call must not throw.
#pragma once
#include_next "caffe/util/device_alternate.hpp"

#ifndef CPU_ONLY
#include <cstring>

#include <glog/logging.h>

namespace caffe_compat {

inline void check_cuda(cudaError_t error, const char* call, const char* file, int line) {
  if (error == cudaSuccess) return;
  cudaGetLastError();
  // Nothing can be done about memory that cannot be freed; if the GPU is in trouble, the next call says so.
  if (std::strncmp(call, "cudaFree", 8) == 0) return;
  Message(file, line, FATAL).stream() << call << ": " << cudaGetErrorString(error);
}

}  // namespace caffe_compat

#undef CUDA_CHECK
#define CUDA_CHECK(call) caffe_compat::check_cuda((call), #call, __FILE__, __LINE__)
#endif  // CPU_ONLY
