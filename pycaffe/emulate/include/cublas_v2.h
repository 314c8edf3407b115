// The part of cuBLAS that Caffe calls, by the host's BLAS.
#pragma once
#include <cuda_runtime.h>

enum cublasStatus_t {
  CUBLAS_STATUS_SUCCESS = 0,
  CUBLAS_STATUS_NOT_INITIALIZED = 1,
  CUBLAS_STATUS_ALLOC_FAILED = 3,
  CUBLAS_STATUS_INVALID_VALUE = 7,
  CUBLAS_STATUS_ARCH_MISMATCH = 8,
  CUBLAS_STATUS_MAPPING_ERROR = 11,
  CUBLAS_STATUS_EXECUTION_FAILED = 13,
  CUBLAS_STATUS_INTERNAL_ERROR = 14,
  CUBLAS_STATUS_NOT_SUPPORTED = 15,
  CUBLAS_STATUS_LICENSE_ERROR = 16,
};
enum cublasOperation_t { CUBLAS_OP_N = 0, CUBLAS_OP_T = 1 };

struct cublasContext {
  int device;
  cudaStream_t stream;
};
typedef cublasContext* cublasHandle_t;

cublasStatus_t cublasCreate(cublasContext** handle);
cublasStatus_t cublasDestroy(cublasContext* handle);
const char* cublasGetStatusString(cublasStatus_t status);
cublasStatus_t cublasSetStream(cublasContext* handle, cudaStream_t stream);
cublasStatus_t cublasSetWorkspace(cublasContext* handle, void* workspace, size_t size);
cublasStatus_t cublasGetStream(cublasContext* handle, cudaStream_t* stream);

#define EMULATE_CUBLAS(T, S) \
  cublasStatus_t cublas##S##gemm(cublasContext*, cublasOperation_t a_op, cublasOperation_t b_op, int m, int n, int k, \
                                 const T* alpha, const T* a, int lda, const T* b, int ldb, const T* beta, T* c, int ldc); \
  cublasStatus_t cublas##S##gemv(cublasContext*, cublasOperation_t op, int m, int n, const T* alpha, const T* a, int lda, \
                                 const T* x, int x_step, const T* beta, T* y, int y_step); \
  cublasStatus_t cublas##S##axpy(cublasContext*, int n, const T* alpha, const T* x, int x_step, T* y, int y_step); \
  cublasStatus_t cublas##S##scal(cublasContext*, int n, const T* alpha, T* x, int step); \
  cublasStatus_t cublas##S##copy(cublasContext*, int n, const T* x, int x_step, T* y, int y_step); \
  cublasStatus_t cublas##S##dot(cublasContext*, int n, const T* x, int x_step, const T* y, int y_step, T* result); \
  cublasStatus_t cublas##S##asum(cublasContext*, int n, const T* x, int step, T* result);
EMULATE_CUBLAS(float, S)
EMULATE_CUBLAS(double, D)
#undef EMULATE_CUBLAS
