// The part of cuRAND that Caffe calls.
#pragma once
#include <cuda_runtime.h>

#include <random>

enum curandStatus_t {
  CURAND_STATUS_SUCCESS = 0,
  CURAND_STATUS_VERSION_MISMATCH = 100,
  CURAND_STATUS_NOT_INITIALIZED = 101,
  CURAND_STATUS_ALLOCATION_FAILED = 102,
  CURAND_STATUS_TYPE_ERROR = 103,
  CURAND_STATUS_OUT_OF_RANGE = 104,
  CURAND_STATUS_LENGTH_NOT_MULTIPLE = 105,
  CURAND_STATUS_DOUBLE_PRECISION_REQUIRED = 106,
  CURAND_STATUS_LAUNCH_FAILURE = 201,
  CURAND_STATUS_PREEXISTING_FAILURE = 202,
  CURAND_STATUS_INITIALIZATION_FAILED = 203,
  CURAND_STATUS_ARCH_MISMATCH = 204,
  CURAND_STATUS_INTERNAL_ERROR = 999,
};
enum curandRngType_t { CURAND_RNG_PSEUDO_DEFAULT = 100 };

struct curandGenerator_st {
  int device;
  std::mt19937 engine;
};
typedef curandGenerator_st* curandGenerator_t;

curandStatus_t curandCreateGenerator(curandGenerator_st** generator, curandRngType_t type);
curandStatus_t curandDestroyGenerator(curandGenerator_st* generator);
curandStatus_t curandSetPseudoRandomGeneratorSeed(curandGenerator_st* generator, unsigned long long seed);
curandStatus_t curandSetGeneratorOffset(curandGenerator_st* generator, unsigned long long offset);
curandStatus_t curandGenerate(curandGenerator_st* generator, unsigned* values, size_t count);
curandStatus_t curandGenerateUniform(curandGenerator_st* generator, float* values, size_t count);
curandStatus_t curandGenerateUniformDouble(curandGenerator_st* generator, double* values, size_t count);
curandStatus_t curandGenerateNormal(curandGenerator_st* generator, float* values, size_t count, float mean, float sigma);
curandStatus_t curandGenerateNormalDouble(curandGenerator_st* generator, double* values, size_t count, double mean,
                                          double sigma);
