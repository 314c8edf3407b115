// A library's handle in this thread for each GPU, made when it is first used.
#pragma once
#include <cuda_runtime.h>
#include <map>
#include <utility>

#include <glog/logging.h>

namespace caffe_compat {

// Handle: a pointer type; Library: has create(Handle*), which throws when it cannot, and destroy(Handle).
template <class Handle, class Library>
class PerDevice {
 public:
  ~PerDevice() {
    for (const std::pair<const int, Handle>& made : handles_) {
      if (made.second) Library::destroy(made.second);
    }
  }

  Handle get() {
    Handle& handle = handles_[device()];
    if (!handle) Library::create(&handle);
    return handle;
  }

  // The one that is there already, or none.
  Handle peek() const {
    const auto found = handles_.find(device());
    return found == handles_.end() ? nullptr : found->second;
  }

  static PerDevice& of_this_thread() {
    static thread_local PerDevice instance;
    return instance;
  }

 private:
  static int device() {
    int number = 0;
    if (cudaGetDevice(&number) != cudaSuccess) cudaGetLastError();
    return number;
  }

  std::map<int, Handle> handles_;
};

}  // namespace caffe_compat
