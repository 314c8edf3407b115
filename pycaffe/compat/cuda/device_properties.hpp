// For common.cpp: CUDA 13 dropped three fields of cudaDeviceProp that Caffe prints.
#pragma once
#include <cuda_runtime.h>

namespace caffe_compat {
struct DeviceProperties : cudaDeviceProp {
  int clockRate = 0, deviceOverlap = 0, kernelExecTimeoutEnabled = 0;
};
}  // namespace caffe_compat

#define cudaDeviceProp caffe_compat::DeviceProperties
