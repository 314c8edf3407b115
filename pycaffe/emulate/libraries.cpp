// cuBLAS by the host's BLAS, and cuRAND by the standard library's generators.

#include <cblas.h>
#include "include/cublas_v2.h"
#include "include/curand.h"

#include "emulator.hpp"

using emulate::begin_library_call;
using emulate::device_array;

cublasStatus_t cublasCreate(cublasContext** handle) {
  if (begin_library_call("cublasCreate") != cudaSuccess) return CUBLAS_STATUS_ALLOC_FAILED;
  *handle = new cublasContext{emulate::current_device(), nullptr};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy(cublasContext* handle) {
  begin_library_call("cublasDestroy");
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}
const char* cublasGetStatusString(cublasStatus_t status) {
  return status == CUBLAS_STATUS_ALLOC_FAILED ? "CUBLAS_STATUS_ALLOC_FAILED" : "CUBLAS_STATUS";
}
cublasStatus_t cublasSetStream(cublasContext* handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetWorkspace(cublasContext*, void* workspace, size_t size) {
  return !size || emulate::translate(workspace) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t cublasGetStream(cublasContext* handle, cudaStream_t* stream) {
  *stream = handle->stream;
  return CUBLAS_STATUS_SUCCESS;
}

namespace {

// A handle belongs to the GPU that it was made on, and arrays to the GPU that computes.
cublasStatus_t checked(const char* name, const cublasContext* handle, std::initializer_list<const void*> arrays) {
  if (begin_library_call(name) != cudaSuccess) return CUBLAS_STATUS_EXECUTION_FAILED;
  if (!handle || handle->device != emulate::current_device()) return CUBLAS_STATUS_NOT_INITIALIZED;
  for (const void* array : arrays) {
    if (!emulate::translate(array)) return CUBLAS_STATUS_INVALID_VALUE;
  }
  return CUBLAS_STATUS_SUCCESS;
}

CBLAS_TRANSPOSE transposed(cublasOperation_t operation) {
  return operation == CUBLAS_OP_N ? CblasNoTrans : CblasTrans;
}

// In the handle's stream, now or as part of a graph.
template <class Compute>
cublasStatus_t computed(const cublasContext* handle, Compute compute) {
  const auto step = [compute] {
    compute();
    return cudaSuccess;
  };
  if (emulate::record(handle->stream, step)) return CUBLAS_STATUS_SUCCESS;
  if (emulate::forbid_in_recording() != cudaSuccess) return CUBLAS_STATUS_EXECUTION_FAILED;
  compute();
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace

#define CHECKED(name, ...) \
  const cublasStatus_t status = checked(name, handle, {__VA_ARGS__}); \
  if (status != CUBLAS_STATUS_SUCCESS) return status

#define EMULATE_CUBLAS(T, S, s) \
  cublasStatus_t cublas##S##gemm(cublasContext* handle, cublasOperation_t a_op, cublasOperation_t b_op, int m, int n, \
                                 int k, const T* alpha, const T* a, int lda, const T* b, int ldb, const T* beta, T* c, \
                                 int ldc) { \
    CHECKED("gemm", a, b, c); \
    return computed(handle, [=, alpha = *alpha, beta = *beta] { \
      cblas_##s##gemm(CblasColMajor, transposed(a_op), transposed(b_op), m, n, k, alpha, device_array(a), lda, \
                      device_array(b), ldb, beta, device_array(c), ldc); \
    }); \
  } \
  cublasStatus_t cublas##S##gemv(cublasContext* handle, cublasOperation_t op, int m, int n, const T* alpha, const T* a, \
                                 int lda, const T* x, int x_step, const T* beta, T* y, int y_step) { \
    CHECKED("gemv", a, x, y); \
    return computed(handle, [=, alpha = *alpha, beta = *beta] { \
      cblas_##s##gemv(CblasColMajor, transposed(op), m, n, alpha, device_array(a), lda, device_array(x), x_step, beta, \
                      device_array(y), y_step); \
    }); \
  } \
  cublasStatus_t cublas##S##axpy(cublasContext* handle, int n, const T* alpha, const T* x, int x_step, T* y, \
                                 int y_step) { \
    CHECKED("axpy", x, y); \
    return computed(handle, [=, alpha = *alpha] { \
      cblas_##s##axpy(n, alpha, device_array(x), x_step, device_array(y), y_step); \
    }); \
  } \
  cublasStatus_t cublas##S##scal(cublasContext* handle, int n, const T* alpha, T* x, int step) { \
    CHECKED("scal", x); \
    return computed(handle, [=, alpha = *alpha] { cblas_##s##scal(n, alpha, device_array(x), step); }); \
  } \
  cublasStatus_t cublas##S##copy(cublasContext* handle, int n, const T* x, int x_step, T* y, int y_step) { \
    CHECKED("copy", x, y); \
    return computed(handle, [=] { cblas_##s##copy(n, device_array(x), x_step, device_array(y), y_step); }); \
  } \
  cublasStatus_t cublas##S##dot(cublasContext* handle, int n, const T* x, int x_step, const T* y, int y_step, \
                                T* result) { \
    CHECKED("dot", x, y); \
    if (emulate::forbid_in_recording() != cudaSuccess) return CUBLAS_STATUS_EXECUTION_FAILED; \
    *result = cblas_##s##dot(n, device_array(x), x_step, device_array(y), y_step); \
    return CUBLAS_STATUS_SUCCESS; \
  } \
  cublasStatus_t cublas##S##asum(cublasContext* handle, int n, const T* x, int step, T* result) { \
    CHECKED("asum", x); \
    if (emulate::forbid_in_recording() != cudaSuccess) return CUBLAS_STATUS_EXECUTION_FAILED; \
    *result = cblas_##s##asum(n, device_array(x), step); \
    return CUBLAS_STATUS_SUCCESS; \
  }
EMULATE_CUBLAS(float, S, s)
EMULATE_CUBLAS(double, D, d)

curandStatus_t curandCreateGenerator(curandGenerator_st** generator, curandRngType_t) {
  if (begin_library_call("curandCreateGenerator") != cudaSuccess) return CURAND_STATUS_ALLOCATION_FAILED;
  *generator = new curandGenerator_st{emulate::current_device(), std::mt19937()};
  return CURAND_STATUS_SUCCESS;
}
curandStatus_t curandDestroyGenerator(curandGenerator_st* generator) {
  delete generator;
  return CURAND_STATUS_SUCCESS;
}
curandStatus_t curandSetPseudoRandomGeneratorSeed(curandGenerator_st* generator, unsigned long long seed) {
  generator->engine.seed(static_cast<unsigned>(seed));
  return CURAND_STATUS_SUCCESS;
}
curandStatus_t curandSetGeneratorOffset(curandGenerator_st* generator, unsigned long long offset) {
  generator->engine.discard(offset);
  return CURAND_STATUS_SUCCESS;
}

namespace {

template <class T, class Distribution>
curandStatus_t generate(curandGenerator_st* generator, T* values, size_t count, Distribution distribution) {
  T* array = device_array(values);
  if (begin_library_call("curandGenerate") != cudaSuccess || !array) return CURAND_STATUS_LAUNCH_FAILURE;
  for (size_t i = 0; i < count; ++i) array[i] = distribution(generator->engine);
  return CURAND_STATUS_SUCCESS;
}

// cuRAND's uniform numbers exclude zero and include one.
template <class T>
struct Uniform {
  std::uniform_real_distribution<T> below_one;
  T operator()(std::mt19937& engine) { return 1 - below_one(engine); }
};

}  // namespace

curandStatus_t curandGenerate(curandGenerator_st* generator, unsigned* values, size_t count) {
  return generate(generator, values, count, [](std::mt19937& engine) { return static_cast<unsigned>(engine()); });
}
curandStatus_t curandGenerateUniform(curandGenerator_st* generator, float* values, size_t count) {
  return generate(generator, values, count, Uniform<float>());
}
curandStatus_t curandGenerateUniformDouble(curandGenerator_st* generator, double* values, size_t count) {
  return generate(generator, values, count, Uniform<double>());
}
curandStatus_t curandGenerateNormal(curandGenerator_st* generator, float* values, size_t count, float mean,
                                    float sigma) {
  // By pairs, as cuRAND does.
  if (count % 2) return CURAND_STATUS_LENGTH_NOT_MULTIPLE;
  return generate(generator, values, count, std::normal_distribution<float>(mean, sigma));
}
curandStatus_t curandGenerateNormalDouble(curandGenerator_st* generator, double* values, size_t count, double mean,
                                          double sigma) {
  if (count % 2) return CURAND_STATUS_LENGTH_NOT_MULTIPLE;
  return generate(generator, values, count, std::normal_distribution<double>(mean, sigma));
}
