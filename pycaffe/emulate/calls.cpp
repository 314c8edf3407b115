// The calls of CUDA: how many there were, which of them a test lets fail, and the error that the last one left.

#include <map>
#include <mutex>
#include <string>

#include "emulator.hpp"

namespace emulate {
namespace {

struct Planned {
  int after;
  cudaError_t error;
};

struct State {
  std::mutex mutex;
  std::map<std::string, long> calls;
  std::map<std::string, Planned> planned;
};

// Never destroyed: Caffe calls CUDA when the process ends.
State& state() {
  static State* instance = new State;
  return *instance;
}

using Lock = std::lock_guard<std::mutex>;

thread_local cudaError_t last_error = cudaSuccess;

}  // namespace

std::map<std::string, long> calls() {
  Lock lock(state().mutex);
  return state().calls;
}

void count_call(const char* name) {
  Lock lock(state().mutex);
  ++state().calls[name];
}

void fail_call(const std::string& name, int after, cudaError_t error) {
  Lock lock(state().mutex);
  state().planned[name] = {after, error};
}

void fail_no_call() {
  Lock lock(state().mutex);
  state().planned.clear();
}

cudaError_t begin_call(const char* name) {
  const cudaError_t error = begin_library_call(name);
  return error == cudaSuccess ? error : fail(error);
}

cudaError_t begin_library_call(const char* name) {
  count_call(name);
  Lock lock(state().mutex);
  const auto found = state().planned.find(name);
  if (found == state().planned.end() || found->second.after-- > 0) return cudaSuccess;
  const cudaError_t error = found->second.error;
  state().planned.erase(found);
  return error;
}

cudaError_t fail(cudaError_t error) {
  last_error = error;
  return error;
}

}  // namespace emulate

cudaError_t cudaGetLastError() {
  const cudaError_t error = emulate::last_error;
  emulate::last_error = cudaSuccess;
  return error;
}
cudaError_t cudaPeekAtLastError() { return emulate::last_error; }

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInvalidConfiguration: return "invalid configuration argument";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    case cudaErrorIllegalAddress: return "an illegal memory access was encountered";
    case cudaErrorStreamCaptureUnsupported: return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated: return "operation failed due to a previous error during capture";
    case cudaErrorStreamCaptureUnmatched: return "capture was not initiated in this stream";
    case cudaErrorStreamCaptureUnjoined: return "capture sequence contains a fork that was not joined to the primary stream";
    case cudaErrorStreamCaptureIsolation: return "dependency created on uncaptured work in another stream";
    case cudaErrorStreamCaptureImplicit: return "operation would make the legacy stream depend on a capturing stream";
  }
  return "unknown error";
}
