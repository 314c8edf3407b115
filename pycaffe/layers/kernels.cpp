#include "kernels.hpp"

#include <cstdlib>
#include <string>

#include "glog/logging.h"

namespace fast {
namespace {

bool runs_avx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return false;
#endif
}

bool runs_avx512() {
#if defined(__x86_64__)
  return runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
  return false;
#endif
}

const Kernels& choose() {
  const char* variable = std::getenv("PYCAFFE_ISA");
  const std::string wanted = variable ? variable : "";
  CHECK(wanted.empty() || wanted == "avx512" || wanted == "avx2" || wanted == "baseline")
      << "PYCAFFE_ISA is '" << wanted << "'; it must be avx512, avx2 or baseline";
  const bool avx512 = runs_avx512() && avx512_kernels();
  const bool avx2 = runs_avx2() && avx2_kernels();
  CHECK(wanted != "avx512" || avx512) << "PYCAFFE_ISA=avx512: this processor, or this build, has no AVX-512";
  CHECK(wanted != "avx2" || avx2) << "PYCAFFE_ISA=avx2: this processor, or this build, has no AVX2";
  if (avx512 && (wanted.empty() || wanted == "avx512")) return *avx512_kernels();
  if (avx2 && wanted != "baseline") return *avx2_kernels();
  return *baseline_kernels();
}

}  // namespace

const Kernels& kernels() {
  static const Kernels& chosen = choose();
  return chosen;
}

}  // namespace fast
