#include "emulator.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <vector>

namespace emulate {
namespace {

const size_t PAGE = 4096;

size_t number_from_environment(const char* name, size_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

[[noreturn]] void give_up(const char* what) {
  std::perror(what);
  std::abort();
}

// One GPU's memory, mapped twice: where the host knows it, and may not touch it; and where kernels do.
class Memory {
 public:
  explicit Memory(size_t size) : limit_(size) {
    const int file = memfd_create("emulated-gpu", MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, ADDRESSES)) give_up("the emulated GPU's memory");
    host_ = map(file, PROT_NONE);
    kernels_ = map(file, PROT_READ | PROT_WRITE);
    close(file);
  }

  size_t limit() const { return limit_; }
  size_t used() const { return used_; }

  void* allocate(size_t size) {
    if (size > limit_ - used_) return nullptr;
    // Each block ends where its last page ends, and the page behind it is never used: what writes behind it crashes.
    const size_t pages = (size + PAGE - 1) / PAGE + 1;
    size_t begin = 0;
    for (const auto& block : blocks_) {
      if (block.second.first_page - begin >= pages) break;
      begin = block.second.first_page + block.second.pages;
    }
    if ((begin + pages) * PAGE > ADDRESSES) return nullptr;
    const size_t rounded = (size + 15) / 16 * 16;
    const size_t offset = (begin + pages - 1) * PAGE - rounded;
    blocks_[offset] = {begin, pages, size};
    used_ += size;
    mprotect(kernels_ + (begin + pages - 1) * PAGE, PAGE, PROT_NONE);
    std::memset(kernels_ + offset, 0xff, rounded);
    return host_ + offset;
  }

  bool free(void* pointer) {
    const auto found = blocks_.find(static_cast<char*>(pointer) - host_);
    if (!contains(pointer) || found == blocks_.end()) return false;
    const Block block = found->second;
    mprotect(kernels_ + (block.first_page + block.pages - 1) * PAGE, PAGE, PROT_READ | PROT_WRITE);
    madvise(kernels_ + block.first_page * PAGE, block.pages * PAGE, MADV_REMOVE);
    used_ -= block.size;
    blocks_.erase(found);
    return true;
  }

  bool contains(const void* pointer) const {
    return pointer >= host_ && pointer < host_ + ADDRESSES;
  }

  // Where kernels find `size` bytes; nullptr if they are not inside one block.
  void* translate(const void* pointer, size_t size) const {
    if (!contains(pointer)) return nullptr;
    const size_t offset = static_cast<const char*>(pointer) - host_;
    auto block = blocks_.upper_bound(offset);
    if (block == blocks_.begin()) return nullptr;
    --block;
    return offset + size <= block->first + block->second.size ? kernels_ + offset : nullptr;
  }

 private:
  static constexpr size_t ADDRESSES = size_t(1) << 37;

  struct Block {
    size_t first_page, pages, size;
  };

  static char* map(int file, int protection) {
    void* found = mmap(nullptr, ADDRESSES, protection, MAP_SHARED | MAP_NORESERVE, file, 0);
    if (found == MAP_FAILED) give_up("the emulated GPU's addresses");
    return static_cast<char*>(found);
  }

  size_t limit_, used_ = 0;
  char *host_, *kernels_;
  std::map<size_t, Block> blocks_;  // by the offset of their first byte
};

struct State {
  std::recursive_mutex mutex;
  std::vector<std::unique_ptr<Memory>> devices;

  State() {
    const size_t count = number_from_environment("PYCAFFE_EMULATED_GPUS", 1);
    const size_t size = number_from_environment("PYCAFFE_EMULATED_MEMORY", size_t(2) << 30);
    for (size_t i = 0; i < count; ++i) devices.emplace_back(new Memory(size));
  }
};

// Never destroyed: Caffe frees memory when the process ends.
State& state() {
  static State* instance = new State;
  return *instance;
}

using Lock = std::lock_guard<std::recursive_mutex>;

thread_local int device = 0;

// For a barrier: the first time, every thread of a block runs until it; the second time, through it.
struct AtBarrier {};
thread_local bool stop_at_barrier = false;

Memory* owner(const void* pointer) {
  for (const auto& each : state().devices) {
    if (each->contains(pointer)) return each.get();
  }
  return nullptr;
}

// An address that the host's own functions can use, for either kind of memory.
bool usable(const void* pointer, size_t size, char** address) {
  Memory* memory = owner(pointer);
  *address = static_cast<char*>(memory ? memory->translate(pointer, size) : const_cast<void*>(pointer));
  return *address;
}

template <class Visit>
void each_thread(const dim3& block, Visit visit) {
  for (threadIdx.z = 0; threadIdx.z < block.z; ++threadIdx.z) {
    for (threadIdx.y = 0; threadIdx.y < block.y; ++threadIdx.y) {
      for (threadIdx.x = 0; threadIdx.x < block.x; ++threadIdx.x) visit();
    }
  }
}

}  // namespace

int current_device() { return device; }

void* translate(const void* pointer) {
  Lock lock(state().mutex);
  return state().devices.at(device)->translate(pointer, 1);
}

void run_blocks(const dim3& grid, const dim3& block, const Threads& threads) {
  const auto reaches_barrier = [&] {
    stop_at_barrier = true;
    bool reached = false;
    try {
      threads.run(threads.thread);
    } catch (const AtBarrier&) {
      reached = true;
    }
    stop_at_barrier = false;
    return reached;
  };
  gridDim = grid;
  blockDim = block;
  blockIdx = threadIdx = dim3(0, 0, 0);
  const bool barriers = reaches_barrier();  // by the very first thread, which has run to its end if there are none
  bool first = true;
  for (blockIdx.z = 0; blockIdx.z < grid.z; ++blockIdx.z) {
    for (blockIdx.y = 0; blockIdx.y < grid.y; ++blockIdx.y) {
      for (blockIdx.x = 0; blockIdx.x < grid.x; ++blockIdx.x) {
        if (barriers) each_thread(block, reaches_barrier);
        each_thread(block, [&] {
          if (barriers || !first) threads.run(threads.thread);
          first = false;
        });
      }
    }
  }
}

}  // namespace emulate

void __syncthreads() {
  if (emulate::stop_at_barrier) throw emulate::AtBarrier();
}

using emulate::begin_call;
using emulate::fail;
using emulate::Lock;
using emulate::state;

#define BEGIN(name) \
  Lock lock(state().mutex); \
  const cudaError_t asked = begin_call(name); \
  if (asked != cudaSuccess) return asked

// For what may not be called while the thread records a graph.
#define BEGIN_OUTSIDE_OF_RECORDINGS(name) \
  BEGIN(name); \
  if (emulate::forbid_in_recording() != cudaSuccess) return fail(cudaErrorStreamCaptureUnsupported)

cudaError_t cudaGetDeviceCount(int* count) {
  BEGIN("cudaGetDeviceCount");
  *count = static_cast<int>(state().devices.size());
  return *count ? cudaSuccess : fail(cudaErrorNoDevice);
}

cudaError_t cudaGetDevice(int* device) {
  BEGIN("cudaGetDevice");
  *device = emulate::device;
  return state().devices.empty() ? fail(cudaErrorNoDevice) : cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  BEGIN("cudaSetDevice");
  if (device < 0 || device >= static_cast<int>(state().devices.size())) return fail(cudaErrorInvalidDevice);
  emulate::device = device;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  BEGIN("cudaGetDeviceProperties");
  if (device < 0 || device >= static_cast<int>(state().devices.size())) return fail(cudaErrorInvalidDevice);
  std::memset(properties, 0, sizeof(*properties));
  std::snprintf(properties->name, sizeof(properties->name), "emulated GPU %d", device);
  properties->totalGlobalMem = state().devices[device]->limit();
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = 1024;
  properties->multiProcessorCount = 1;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
  BEGIN("cudaDeviceGetAttribute");
  *value = 7;
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  BEGIN_OUTSIDE_OF_RECORDINGS("cudaDeviceSynchronize");
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** pointer, size_t size) {
  BEGIN_OUTSIDE_OF_RECORDINGS("cudaMalloc");
  if (state().devices.empty()) return fail(cudaErrorNoDevice);
  *pointer = size ? state().devices[emulate::device]->allocate(size) : nullptr;
  return *pointer || !size ? cudaSuccess : fail(cudaErrorMemoryAllocation);
}

cudaError_t cudaFree(void* pointer) {
  BEGIN_OUTSIDE_OF_RECORDINGS("cudaFree");
  if (!pointer) return cudaSuccess;
  emulate::Memory* memory = emulate::owner(pointer);
  return memory && memory->free(pointer) ? cudaSuccess : fail(cudaErrorInvalidValue);
}

cudaError_t cudaMallocHost(void** pointer, size_t size) {
  BEGIN_OUTSIDE_OF_RECORDINGS("cudaMallocHost");
  *pointer = std::malloc(size ? size : 1);
  return *pointer ? cudaSuccess : fail(cudaErrorMemoryAllocation);
}

cudaError_t cudaFreeHost(void* pointer) {
  BEGIN_OUTSIDE_OF_RECORDINGS("cudaFreeHost");
  std::free(pointer);
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  BEGIN("cudaMemGetInfo");
  if (state().devices.empty()) return fail(cudaErrorNoDevice);
  const emulate::Memory& memory = *state().devices[emulate::device];
  *total = memory.limit();
  *free = memory.limit() - memory.used();
  return cudaSuccess;
}

namespace {

cudaError_t copy(void* to, const void* from, size_t size, cudaMemcpyKind kind) {
  Lock lock(state().mutex);
  if (!size) return cudaSuccess;
  const bool to_device = emulate::owner(to), from_device = emulate::owner(from);
  const int found = 2 * from_device + to_device;
  if (kind != cudaMemcpyDefault && kind != found) return cudaErrorInvalidValue;
  static const char* const names[] = {"host to host", "host to device", "device to host", "device to device"};
  emulate::count_call(names[found]);
  char *target, *source;
  if (!emulate::usable(to, size, &target) || !emulate::usable(from, size, &source)) return cudaErrorInvalidValue;
  std::memmove(target, source, size);
  return cudaSuccess;
}

cudaError_t fill(void* pointer, int value, size_t size) {
  Lock lock(state().mutex);
  char* address;
  if (!size) return cudaSuccess;
  if (!emulate::owner(pointer) || !emulate::usable(pointer, size, &address)) return cudaErrorInvalidValue;
  std::memset(address, value, size);
  return cudaSuccess;
}

cudaError_t failed_if(cudaError_t error) { return error == cudaSuccess ? error : fail(error); }

}  // namespace

cudaError_t cudaMemcpy(void* to, const void* from, size_t size, cudaMemcpyKind kind) {
  BEGIN_OUTSIDE_OF_RECORDINGS("cudaMemcpy");
  return failed_if(copy(to, from, size, kind));
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind kind, cudaStream_t stream) {
  if (!stream) return cudaMemcpy(to, from, size, kind);
  BEGIN("cudaMemcpyAsync");
  if (emulate::record(stream, [=] { return copy(to, from, size, kind); })) return cudaSuccess;
  return failed_if(copy(to, from, size, kind));
}

cudaError_t cudaMemset(void* pointer, int value, size_t size) {
  BEGIN_OUTSIDE_OF_RECORDINGS("cudaMemset");
  return failed_if(fill(pointer, value, size));
}

cudaError_t cudaMemsetAsync(void* pointer, int value, size_t size, cudaStream_t stream) {
  if (!stream) return cudaMemset(pointer, value, size);
  BEGIN("cudaMemsetAsync");
  if (emulate::record(stream, [=] { return fill(pointer, value, size); })) return cudaSuccess;
  return failed_if(fill(pointer, value, size));
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  BEGIN("cudaPointerGetAttributes");
  for (size_t i = 0; i < state().devices.size(); ++i) {
    if (!state().devices[i]->contains(pointer)) continue;
    *attributes = {cudaMemoryTypeDevice, static_cast<int>(i)};
    return cudaSuccess;
  }
  *attributes = {cudaMemoryTypeUnregistered, -1};
  return cudaSuccess;
}
