// A CUDA without a GPU, for tests: kernels are ordinary functions, called once for each thread, one after the other.
//
// The memory of an emulated GPU has addresses that the host cannot read or write: to use one is a segmentation fault, as
// bad as on a GPU. A kernel gets its pointers translated, and a pointer to the host's memory, to another GPU's or to memory
// that has been freed is an error, cudaErrorIllegalAddress. Fresh memory is filled with NaN.
//
//   PYCAFFE_EMULATED_GPUS=2                how many there are [1]
//   PYCAFFE_EMULATED_MEMORY=4294967296     bytes of memory that each has [2 GiB]
#ifndef PYCAFFE_EMULATE_CUDA_RUNTIME_H_
#define PYCAFFE_EMULATE_CUDA_RUNTIME_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <functional>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
// The threads of a block run in one thread of the host.
#define __shared__ static thread_local

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

inline thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorIllegalAddress = 700,
  cudaErrorStreamCaptureUnsupported = 900,
  cudaErrorStreamCaptureInvalidated = 901,
  cudaErrorStreamCaptureUnmatched = 903,
  cudaErrorStreamCaptureUnjoined = 904,
  cudaErrorStreamCaptureIsolation = 905,
  cudaErrorStreamCaptureImplicit = 906,
};
enum cudaMemcpyKind {
  cudaMemcpyHostToHost = 0,
  cudaMemcpyHostToDevice = 1,
  cudaMemcpyDeviceToHost = 2,
  cudaMemcpyDeviceToDevice = 3,
  cudaMemcpyDefault = 4,
};
enum { cudaStreamDefault = 0, cudaStreamNonBlocking = 1 };
enum { cudaEventDefault = 0, cudaEventDisableTiming = 2 };
enum cudaStreamCaptureMode { cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal, cudaStreamCaptureModeRelaxed };
enum cudaMemoryType { cudaMemoryTypeUnregistered = 0, cudaMemoryTypeHost = 1, cudaMemoryTypeDevice = 2 };
enum cudaDeviceAttr { cudaDevAttrComputeCapabilityMajor = 75 };

typedef struct emulated_stream* cudaStream_t;
typedef struct emulated_event* cudaEvent_t;
typedef struct emulated_graph* cudaGraph_t;
typedef struct emulated_graph* cudaGraphExec_t;

struct cudaDeviceProp {
  char name[256];
  int major, minor, regsPerBlock, warpSize, maxThreadsPerBlock, maxThreadsDim[3], maxGridSize[3], multiProcessorCount;
  size_t totalGlobalMem, sharedMemPerBlock, memPitch, totalConstMem, textureAlignment;
};
struct cudaPointerAttributes {
  cudaMemoryType type;
  int device;
};

cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device);
cudaError_t cudaDeviceSynchronize();
cudaError_t cudaMalloc(void** pointer, size_t size);
cudaError_t cudaFree(void* pointer);
cudaError_t cudaMallocHost(void** pointer, size_t size);
cudaError_t cudaFreeHost(void* pointer);
cudaError_t cudaMemGetInfo(size_t* free, size_t* total);
cudaError_t cudaMemcpy(void* to, const void* from, size_t size, cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind kind, cudaStream_t stream = nullptr);
cudaError_t cudaMemset(void* pointer, int value, size_t size);
cudaError_t cudaMemsetAsync(void* pointer, int value, size_t size, cudaStream_t stream = nullptr);
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer);
cudaError_t cudaStreamCreate(cudaStream_t* stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaEventCreate(cudaEvent_t* event);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream = nullptr);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long flags = 0);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable);
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream);
cudaError_t cudaGetLastError();
cudaError_t cudaPeekAtLastError();
const char* cudaGetErrorString(cudaError_t error);

template <class T>
cudaError_t cudaMalloc(T** pointer, size_t size) {
  return cudaMalloc(reinterpret_cast<void**>(pointer), size);
}

namespace emulate {

// Where a kernel finds the memory of the current GPU that the host knows by this address; nullptr if that is no such memory.
void* translate(const void* pointer);

// If a graph is recorded in this stream, the step becomes part of it.
using Step = std::function<cudaError_t()>;
bool record(cudaStream_t stream, const Step& step);

// The error of a call that may not be made while this thread records a graph, which ends the recording; or cudaSuccess.
cudaError_t forbid_in_recording(cudaError_t error = cudaErrorStreamCaptureUnsupported);

// The error that a test has asked for at this call, or cudaSuccess; counts the call.
cudaError_t begin_call(const char* name);

// Remember an error for cudaGetLastError; returns it.
cudaError_t fail(cudaError_t error);

// Run a block of threads. `thread` calls the kernel once.
struct Threads {
  void (*run)(void* thread);
  void* thread;
};
void run_blocks(const dim3& grid, const dim3& block, const Threads& threads);

template <class Value>
bool translate_argument(Value&) {
  return true;
}
template <class Value>
bool translate_argument(Value*& pointer) {
  if (!pointer) return true;
  pointer = static_cast<Value*>(translate(pointer));
  return pointer;
}

template <class Kernel>
class Launch {
 public:
  Launch(Kernel kernel, const dim3& grid, const dim3& block, cudaStream_t stream)
      : kernel_(kernel), grid_(grid), block_(block), stream_(stream) {}

  template <class... Arguments>
  void operator()(Arguments... arguments) const {
    if (begin_call("launch") != cudaSuccess) return;
    if (!grid_.x || !grid_.y || !grid_.z || !block_.x || block_.x * block_.y * block_.z > 1024) {
      fail(cudaErrorInvalidConfiguration);
      return;
    }
    const Launch launch = *this;
    if (record(stream_, [launch, arguments...] { return launch.run(arguments...); })) return;
    const cudaError_t forbidden = forbid_in_recording(cudaErrorStreamCaptureImplicit);
    const cudaError_t error = forbidden == cudaSuccess ? run(arguments...) : forbidden;
    if (error != cudaSuccess) fail(error);
  }

 private:
  template <class... Arguments>
  cudaError_t run(Arguments... arguments) const {
    if (!(translate_argument(arguments) && ...)) return cudaErrorIllegalAddress;
    auto thread = [&] { kernel_(arguments...); };
    run_blocks(grid_, block_, {[](void* each) { (*static_cast<decltype(thread)*>(each))(); }, &thread});
    return cudaSuccess;
  }

  Kernel kernel_;
  dim3 grid_, block_;
  cudaStream_t stream_;
};

// What translate.py makes of kernel<<<grid, block>>>.
template <class Kernel>
Launch<Kernel> launch(Kernel kernel, const dim3& grid, const dim3& block, size_t = 0, cudaStream_t stream = nullptr) {
  return Launch<Kernel>(kernel, grid, block, stream);
}

}  // namespace emulate

// All threads of the block must come here before one goes on.
void __syncthreads();

inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline long long __double_as_longlong(double value) {
  long long bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}
inline double __longlong_as_double(long long bits) {
  double value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}
template <class T>
T atomicAdd(T* address, T value) {
  const T old = *address;
  *address += value;
  return old;
}
template <class T>
T atomicCAS(T* address, T expected, T value) {
  const T old = *address;
  if (old == expected) *address = value;
  return old;
}
inline unsigned long long atomicCAS(unsigned long long* address, unsigned long long expected, long long value) {
  return atomicCAS<unsigned long long>(address, expected, static_cast<unsigned long long>(value));
}

// CUDA has these for all types, in no namespace.
using std::isnan;
using std::max;
using std::min;

#endif  // PYCAFFE_EMULATE_CUDA_RUNTIME_H_
