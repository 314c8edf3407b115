// What a layer must say for its passes on a GPU to become part of a CUDA graph (gpu/passes.hpp).
#ifndef PYCAFFE_LAYERS_RECORDABLE_HPP_
#define PYCAFFE_LAYERS_RECORDABLE_HPP_

#include <vector>

#include "caffe/syncedmem.hpp"

namespace fast {

// A layer whose passes on a GPU are kernels in the thread's launch stream and calls of cuBLAS, and nothing else.
class Recordable {
 public:
  virtual ~Recordable() = default;

  // Whether this is so with the layer's parameters.
  virtual bool is_recordable() const { return true; }

  // The memory that the layer keeps for itself.
  virtual std::vector<const caffe::SyncedMemory*> own_memory() const { return {}; }
};

}  // namespace fast

#endif  // PYCAFFE_LAYERS_RECORDABLE_HPP_
