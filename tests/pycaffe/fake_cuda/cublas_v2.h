#pragma once
#include <atomic>

struct cublasContext {};
enum cublasStatus_t { CUBLAS_STATUS_SUCCESS = 0, CUBLAS_STATUS_ALLOC_FAILED = 3 };
typedef cublasContext* cublasHandle_t;

namespace fake {
inline std::atomic<int> cublas_made(0), cublas_destroyed(0);
inline cublasStatus_t cublas_status = CUBLAS_STATUS_SUCCESS;
}  // namespace fake

inline cublasStatus_t cublasCreate_v2(cublasContext** handle) {
  if (fake::cublas_status == CUBLAS_STATUS_SUCCESS) {
    *handle = new cublasContext;
    ++fake::cublas_made;
  }
  return fake::cublas_status;
}
inline cublasStatus_t cublasDestroy_v2(cublasContext* handle) {
  delete handle;
  ++fake::cublas_destroyed;
  return CUBLAS_STATUS_SUCCESS;
}
inline const char* cublasGetStatusString(cublasStatus_t) { return "CUBLAS_STATUS_ALLOC_FAILED"; }
#define cublasCreate cublasCreate_v2
#define cublasDestroy cublasDestroy_v2
