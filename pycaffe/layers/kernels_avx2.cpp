// For x86-64 with AVX2 and FMA. Includes no header of the standard library that holds code: an inline function
// compiled here could become the one that the whole program uses.
#include "kernels.hpp"

#if defined(__AVX2__) && defined(__FMA__)
#include "kernels.inl"
#endif

namespace fast {

const Kernels* avx2_kernels() {
#if defined(__AVX2__) && defined(__FMA__)
  static const Kernels table = make_kernels("avx2");
  return &table;
#else
  return nullptr;
#endif
}

}  // namespace fast
