// How much a blob's memory holds, which Caffe keeps to itself.
#ifndef PYCAFFE_LAYERS_CAPACITY_HPP_
#define PYCAFFE_LAYERS_CAPACITY_HPP_

#include "caffe/blob.hpp"

namespace fast {

struct OpenBlob : caffe::Blob<float> {
  // In values. A Reshape to more of them takes new memory.
  static int& capacity(caffe::Blob<float>& blob) { return blob.*&OpenBlob::capacity_; }

  // Take new memory for the gradient when it is next used.
  static void renew_diff(caffe::Blob<float>& blob) {
    (blob.*&OpenBlob::diff_).reset(new caffe::SyncedMemory(blob.count() * sizeof(float)));
  }

  // Let go of the memory; the next Reshape takes what is needed then.
  static void release(caffe::Blob<float>& blob) {
    (blob.*&OpenBlob::data_).reset();
    (blob.*&OpenBlob::diff_).reset();
    capacity(blob) = 0;
  }
};

}  // namespace fast

#endif  // PYCAFFE_LAYERS_CAPACITY_HPP_
