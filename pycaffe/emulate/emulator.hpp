// What a test may ask of the emulated GPUs.
#ifndef PYCAFFE_EMULATE_EMULATOR_HPP_
#define PYCAFFE_EMULATE_EMULATOR_HPP_

#include <cuda_runtime.h>

#include <map>
#include <string>

namespace emulate {

// The address that kernels and libraries use, for memory that a caller passes as an array.
template <class T>
T* device_array(T* pointer) {
  return static_cast<T*>(translate(pointer));
}

// How often each function of CUDA was called since the process began; "host to device" and so on count copies.
std::map<std::string, long> calls();

// Count one more of them.
void count_call(const char* name);

// Let the call of a function fail that comes after `after` more of them.
void fail_call(const std::string& name, int after, cudaError_t error);

// As begin_call, for a function of cuBLAS, cuRAND or cuDNN: they return their error, and leave none for cudaGetLastError.
cudaError_t begin_library_call(const char* name);

// Forget what was to fail.
void fail_no_call();

int current_device();

}  // namespace emulate

#endif  // PYCAFFE_EMULATE_EMULATOR_HPP_
