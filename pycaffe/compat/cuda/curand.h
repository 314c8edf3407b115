// As cublas_v2.h: Caffe's generator of random numbers on the GPU is made by its first use. The seed is kept until then.
#pragma once
#include_next <curand.h>

#include "per_device.hpp"

namespace caffe_compat {

inline unsigned long long& curand_seed() {
  static thread_local unsigned long long seed = 0;
  return seed;
}

struct Curand {
  static void create(curandGenerator_st** generator) {
    curandStatus_t status = curandCreateGenerator(generator, CURAND_RNG_PSEUDO_DEFAULT);
    if (status == CURAND_STATUS_SUCCESS) status = curandSetPseudoRandomGeneratorSeed(*generator, curand_seed());
    if (status != CURAND_STATUS_SUCCESS) LOG(FATAL) << "cuRAND cannot be used on this GPU: status " << status;
  }
  static void destroy(curandGenerator_st* generator) { curandDestroyGenerator(generator); }
};

// What Caffe keeps and passes in place of a generator.
class CurandGenerator {
 public:
  CurandGenerator(std::nullptr_t) {}
  operator curandGenerator_st*() const { return generators().get(); }
  explicit operator bool() const { return true; }

  static PerDevice<curandGenerator_st*, Curand>& generators() {
    return PerDevice<curandGenerator_st*, Curand>::of_this_thread();
  }
};

inline curandStatus_t curandCreateGenerator(CurandGenerator*, curandRngType_t) { return CURAND_STATUS_SUCCESS; }
inline curandStatus_t curandDestroyGenerator(CurandGenerator) { return CURAND_STATUS_SUCCESS; }

inline curandStatus_t curandSetPseudoRandomGeneratorSeed(CurandGenerator, unsigned long long seed) {
  curand_seed() = seed;
  curandGenerator_st* made = CurandGenerator::generators().peek();
  return made ? ::curandSetPseudoRandomGeneratorSeed(made, seed) : CURAND_STATUS_SUCCESS;
}

inline curandStatus_t curandSetGeneratorOffset(CurandGenerator, unsigned long long offset) {
  curandGenerator_st* made = CurandGenerator::generators().peek();
  return made ? ::curandSetGeneratorOffset(made, offset) : CURAND_STATUS_SUCCESS;
}

}  // namespace caffe_compat

#define curandGenerator_t caffe_compat::CurandGenerator
