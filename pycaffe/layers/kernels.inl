// Included once by each kernels_*.cpp. Everything is in an unnamed namespace: the three copies must not be merged.
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "kernels.hpp"

namespace fast {
namespace {

// a * b + c, rounded once where the processor can, whatever the compiler thinks of it (CMakeLists.txt turns its own
// contractions off).
inline float multiply_add(float a, float b, float c) {
#if defined(__FMA__) || defined(__aarch64__)
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}

}  // namespace
}  // namespace fast

#include "vectors.inl"

#include "correlation.inl"
#include "elementwise.inl"
#include "lrn.inl"
#include "pooling.inl"
#include "winograd.inl"

namespace fast {
namespace {

Kernels make_kernels(const char* name) {
  Kernels table = {};
  table.name = name;
  table.panel_rows = kRows;
  table.lanes = kLanes;
  table.correlate = correlate;
  table.correlate_scratch = correlate_scratch;
  table.winograd = winograd;
  table.winograd_scratch = winograd_scratch;
  table.winograd_block = kBlock;
  table.pool_scratch = pool_scratch;
  table.max_pool = max_pool;
  table.max_pool_backward = max_pool_backward;
  table.lrn = lrn;
  table.lrn_backward = lrn_backward;
  table.relu = relu;
  table.relu_backward = relu_backward;
  table.add = add;
  table.add_scaled = add_scaled;
  table.total = total;
  table.dot = dot;
  return table;
}

}  // namespace
}  // namespace fast
