// For x86-64 with AVX-512 (F, BW, DQ, VL). Includes no header of the standard library that holds code: an inline function
// compiled here could become the one that the whole program uses.
#include "kernels.hpp"

#if defined(__AVX512F__)
#include "kernels.inl"
#endif

namespace fast {

const Kernels* avx512_kernels() {
#if defined(__AVX512F__)
  static const Kernels table = make_kernels("avx512");
  return &table;
#else
  return nullptr;
#endif
}

}  // namespace fast
