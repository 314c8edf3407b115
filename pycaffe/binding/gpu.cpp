// What Python must know of the GPUs, as functions of the extension module; only in a Caffe with CUDA.

#include <nanobind/stl/string.h>

#include <map>
#include <string>

#include "caffe/common.hpp"
#include "caffe/layer_factory.hpp"
#include "caffe/util/math_functions.hpp"
#include "holders.hpp"

namespace binding {
namespace {

// Back to the thread's own GPU and mode, whatever happens.
class Restore {
 public:
  Restore() : mode_(caffe::Caffe::mode()) {
    if (cudaGetDevice(&device_) != cudaSuccess) {
      cudaGetLastError();
      device_ = -1;
    }
  }
  ~Restore() {
    if (device_ >= 0 && cudaSetDevice(device_) != cudaSuccess) cudaGetLastError();
    caffe::Caffe::set_mode(mode_);
  }

 private:
  const caffe::Caffe::Brew mode_;
  int device_ = -1;
};

// How many GPUs the driver shows; an error that says why, if it cannot be asked.
int gpu_count() {
  int count = 0;
  CUDA_CHECK(cudaGetDeviceCount(&count));
  return count;
}

std::string gpu_name(int device) {
  cudaDeviceProp properties;
  CUDA_CHECK(cudaGetDeviceProperties(&properties, device));
  return properties.name;
}

// Compute something on the GPU: raises what is wrong with it, be it in use by another process alone, or too old for
// what this Caffe was compiled for.
void gpu_try(int device) {
  Restore restore;
  float* value = nullptr;
  float seen = 0;
  CUDA_CHECK(cudaSetDevice(device));
  CUDA_CHECK(cudaMalloc(&value, sizeof(*value)));
  try {
    caffe::caffe_gpu_set(1, 7.f, value);
    CUDA_CHECK(cudaMemcpy(&seen, value, sizeof(seen), cudaMemcpyDeviceToHost));
    CHECK_EQ(seen, 7.f) << "the GPU computes wrongly";
  } catch (...) {
    cudaFree(value);
    throw;
  }
  cudaFree(value);
}

// (free, total) bytes of memory of a GPU.
nb::tuple gpu_memory(int device) {
  Restore restore;
  size_t free = 0, total = 0;
  CUDA_CHECK(cudaSetDevice(device));
  CUDA_CHECK(cudaMemGetInfo(&free, &total));
  return nb::make_tuple(free, total);
}

#ifdef USE_CUDNN
// Upstream makes cuDNN's layers whatever the mode, and those cannot be made without a driver. Here a net that is made
// in CPU mode gets Caffe's own, also where its definition asks for cuDNN's: on the CPU both compute the same.
template <typename Dtype>
class Engines {
 public:
  static void choose_by_mode() {
    for (const char* type : {"Convolution", "Deconvolution", "LRN", "Pooling", "ReLU", "Sigmoid", "Softmax", "TanH"}) {
      upstream()[type] = caffe::LayerRegistry<Dtype>::Registry().at(type);
      caffe::LayerRegistry<Dtype>::Registry()[type] = &create;
    }
  }

 private:
  using Creators = std::map<std::string, typename caffe::LayerRegistry<Dtype>::Creator>;

  static Creators& upstream() {
    static Creators* creators = new Creators;
    return *creators;
  }

  static boost::shared_ptr<caffe::Layer<Dtype>> create(const caffe::LayerParameter& asked) {
    const std::string& type = asked.type();
    if (caffe::Caffe::mode() == caffe::Caffe::GPU) return upstream().at(type)(asked);
    caffe::LayerParameter layer(asked);
    if (type == "Convolution" || type == "Deconvolution") {
      layer.mutable_convolution_param()->set_engine(caffe::ConvolutionParameter::CAFFE);
    } else if (type == "LRN") {
      layer.mutable_lrn_param()->set_engine(caffe::LRNParameter::CAFFE);
    } else if (type == "Pooling") {
      layer.mutable_pooling_param()->set_engine(caffe::PoolingParameter::CAFFE);
    } else if (type == "ReLU") {
      layer.mutable_relu_param()->set_engine(caffe::ReLUParameter::CAFFE);
    } else if (type == "Sigmoid") {
      layer.mutable_sigmoid_param()->set_engine(caffe::SigmoidParameter::CAFFE);
    } else if (type == "Softmax") {
      layer.mutable_softmax_param()->set_engine(caffe::SoftmaxParameter::CAFFE);
    } else {
      layer.mutable_tanh_param()->set_engine(caffe::TanHParameter::CAFFE);
    }
    return upstream().at(type)(layer);
  }
};
#endif

}  // namespace

void bind_gpu(nb::module_& module) {
  module.def("gpu_count", &gpu_count);
  module.def("gpu_name", &gpu_name);
  module.def("gpu_try", &gpu_try);
  module.def("gpu_memory", &gpu_memory);
#ifdef USE_CUDNN
  Engines<float>::choose_by_mode();
  Engines<double>::choose_by_mode();
  module.attr("has_cudnn") = true;
#else
  module.attr("has_cudnn") = false;
#endif
}

}  // namespace binding
