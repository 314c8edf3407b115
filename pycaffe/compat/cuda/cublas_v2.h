// Caffe makes a cuBLAS handle in every thread that asks it for anything: without a GPU it complains, with one a dream on
// the CPU takes hundreds of megabytes of the GPU's memory. Here the handle is made by its first use.
#pragma once
#include_next <cublas_v2.h>

#include "per_device.hpp"

namespace caffe_compat {

struct Cublas {
  static void create(cublasContext** handle) {
    const cublasStatus_t status = cublasCreate(handle);
    if (status != CUBLAS_STATUS_SUCCESS) {
      LOG(FATAL) << "cuBLAS cannot be used on this GPU: " << cublasGetStatusString(status);
    }
  }
  static void destroy(cublasContext* handle) { cublasDestroy(handle); }
};

// What Caffe keeps and passes in place of a handle.
class CublasHandle {
 public:
  CublasHandle(std::nullptr_t) {}
  operator cublasContext*() const { return PerDevice<cublasContext*, Cublas>::of_this_thread().get(); }
  explicit operator bool() const { return false; }  // there is nothing that Caffe must destroy
};

inline cublasStatus_t cublasCreate(CublasHandle*) { return CUBLAS_STATUS_SUCCESS; }

}  // namespace caffe_compat

#define cublasHandle_t caffe_compat::CublasHandle
