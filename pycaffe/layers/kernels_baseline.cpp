// For any processor that the compiler targets by itself.
#include "kernels.inl"

namespace fast {

const Kernels* baseline_kernels() {
  static const Kernels table = make_kernels("baseline");
  return &table;
}

}  // namespace fast
