// Goes before upstream's syncedmem.cpp: host memory from calloc, at the beginning of a cache line.
//
// Upstream writes zeros into what malloc gives it, in one thread, and so takes a page fault for every 4 KiB. Fresh memory is
// zero as it is, and is first touched by the layers, whose threads share the page faults.
#pragma once

#include <cstdint>
#include <cstdlib>

#include "caffe/common.hpp"
#include "caffe/util/math_functions.hpp"

namespace fast {

constexpr std::size_t kLine = 64;

// The beginning of what calloc gave stands before the memory.
inline void* zeroed(std::size_t size) {
  if (size > SIZE_MAX - kLine) return nullptr;
  void* const whole = std::calloc(1, size + kLine);
  if (!whole) return nullptr;
  void* const memory = reinterpret_cast<void*>((reinterpret_cast<std::uintptr_t>(whole) + kLine) / kLine * kLine);
  static_cast<void**>(memory)[-1] = whole;
  return memory;
}

inline void release(void* memory) {
  if (memory) std::free(static_cast<void**>(memory)[-1]);
}

}  // namespace fast

// Under other names, because other files compile these functions too.
#define CaffeMallocHost ZeroedMallocHost
#define CaffeFreeHost ZeroedFreeHost
#define malloc(size) ::fast::zeroed(size)
#define free(memory) ::fast::release(memory)
#include "caffe/syncedmem.hpp"
#undef free
#undef malloc

// What CUDA pins is not zero.
#define caffe_memset(size, value, memory) \
  if (cpu_malloc_use_cuda_) caffe_memset(size, value, memory)
