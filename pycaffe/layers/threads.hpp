// Work shared out among OpenMP's threads, with scratch memory for each.
#ifndef PYCAFFE_LAYERS_THREADS_HPP_
#define PYCAFFE_LAYERS_THREADS_HPP_

#include <omp.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "glog/logging.h"

namespace fast {

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

// At least `floats` of memory, aligned for any vector, kept for the next call in this thread: fresh memory costs a page
// fault for every 4 KiB, more than many a small layer's arithmetic.
inline float* scratch(size_t floats) {
  thread_local std::unique_ptr<float, Free> memory;
  thread_local size_t size = 0;
  if (floats > size) {
    memory.reset();
    size = 0;
    const size_t bytes = (floats * sizeof(float) + 63) / 64 * 64;
    memory.reset(static_cast<float*>(std::aligned_alloc(64, bytes)));
    CHECK(memory) << "no memory for " << bytes << " bytes of scratch";
    size = floats;
  }
  return memory.get();
}

// Calls work(item, scratch) for every item below `count`, in any order, in parallel. It must not throw: an exception
// cannot leave an OpenMP region.
template <class Work>
void parallel_for(int count, size_t scratch_floats, const Work& work) {
  const int threads = std::max(1, std::min(count, omp_get_max_threads()));
  const size_t each = (scratch_floats + 31) / 16 * 16;  // its own cache lines
  float* const memory = scratch(each * threads);
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (int item = 0; item < count; ++item) work(item, memory + each * omp_get_thread_num());
}

// Calls work(begin, count) for pieces of [0, count), in parallel. A piece fits into the first-level cache.
template <class Work>
void parallel_pieces(int count, const Work& work) {
  constexpr int kPiece = 4096;
  const int pieces = (count + kPiece - 1) / kPiece;
#pragma omp parallel for num_threads(std::max(1, std::min(pieces / 4, omp_get_max_threads()))) schedule(static)
  for (int piece = 0; piece < pieces; ++piece) {
    const int begin = piece * kPiece;
    work(begin, std::min(kPiece, count - begin));
  }
}

}  // namespace fast

#endif  // PYCAFFE_LAYERS_THREADS_HPP_
