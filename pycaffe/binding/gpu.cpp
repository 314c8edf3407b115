// What Python must know of the GPUs, as functions of the extension module; only in a Caffe with CUDA.

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "caffe/common.hpp"
#include "caffe/layer_factory.hpp"
#include "caffe/util/math_functions.hpp"
#include "holders.hpp"
#include "../gpu/passes.hpp"
#include "../gpu/planes.hpp"

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

// Caffe's functions compute on this GPU as long as this lives.
class On {
 public:
  explicit On(int device) {
    CUDA_CHECK(cudaSetDevice(device));
    caffe::Caffe::set_mode(caffe::Caffe::GPU);
  }

 private:
  Restore restore_;
};

// Give back what is in a GPU's memory; a GPU that cannot be used any more has nothing to free.
template <class Owned>
void free_on(int device, std::unique_ptr<Owned>& owned) {
  if (!owned) return;
  try {
    On on(device);
    owned.reset();
  } catch (const caffe_compat::Error&) {
  }
}

// An image that stays on a GPU from one step of a dream to the next.
class Planes {
 public:
  using Array = nb::ndarray<const float, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

  Planes(const Array& values, int device)
      : Planes(std::vector<int>{static_cast<int>(values.shape(0)), static_cast<int>(values.shape(1)),
                                static_cast<int>(values.shape(2))},
               device) {
    On on(device);
    caffe::caffe_gpu_memcpy(values.size() * sizeof(float), values.data(), blob_->mutable_gpu_data());
  }
  Planes(Planes&&) = default;
  ~Planes() { free_on(device_, blob_); }

  const std::vector<int>& shape() const { return blob_->shape(); }

  nb::ndarray<nb::numpy, float> numpy() const {
    On on(device_);
    float* copy = new float[blob_->count()];
    nb::capsule owner(copy, [](void* memory) noexcept { delete[] static_cast<float*>(memory); });
    caffe::caffe_gpu_memcpy(blob_->count() * sizeof(float), blob_->gpu_data(), copy);
    return nb::ndarray<nb::numpy, float>(
        copy, {static_cast<size_t>(blob_->shape(0)), static_cast<size_t>(blob_->shape(1)),
               static_cast<size_t>(blob_->shape(2))}, owner);
  }

  Planes empty_like() const { return Planes(blob_->shape(), device_); }

  Planes plus(const Planes& other, float factor) const {
    check_shape(other);
    On on(device_);
    Planes sum = empty_like();
    caffe::caffe_copy(blob_->count(), blob_->gpu_data(), sum.blob_->mutable_gpu_data());
    gpu::add_scaled(*other.blob_, factor, sum.blob_.get());
    return sum;
  }

  Planes zoom(int height, int width) const {
    CHECK(height > 0 && width > 0) << "a size of " << height << "×" << width;
    On on(device_);
    Planes resized({blob_->shape(0), height, width}, device_);
    gpu::zoom(*blob_, resized.blob_.get());
    return resized;
  }

  void read_window(int top, int left, const BlobHolder& window) const {
    check_window(*window.blob);
    On on(device_);
    gpu::read_window(*blob_, top, left, window.blob.get());
  }

  void write_window(int top, int left, const BlobHolder& window) {
    check_window(*window.blob);
    On on(device_);
    gpu::write_window(*window.blob, top, left, blob_.get());
  }

  float mean_magnitude() const {
    On on(device_);
    return gpu::mean_magnitude(*blob_);
  }

  void add_scaled(const Planes& gradient, float factor) {
    check_shape(gradient);
    On on(device_);
    gpu::add_scaled(*gradient.blob_, factor, blob_.get());
  }

  void ascend(const Planes& gradient, float factor, const std::vector<float>& lower, const std::vector<float>& upper) {
    check_shape(gradient);
    CHECK_EQ(lower.size(), blob_->shape(0)) << "one limit for each plane";
    CHECK_EQ(upper.size(), blob_->shape(0)) << "one limit for each plane";
    On on(device_);
    gpu::ascend(*gradient.blob_, factor, lower, upper, blob_.get());
  }

 private:
  Planes(const std::vector<int>& shape, int device) : blob_(new Blob(shape)), device_(device) {}

  void check_shape(const Planes& other) const {
    CHECK(other.device_ == device_ && other.shape() == shape()) << "planes of another shape, or on another GPU";
  }

  void check_window(const Blob& window) const {
    CHECK(window.num_axes() == 4 && window.shape(0) == 1 && window.shape(1) == blob_->shape(0) &&
          window.shape(2) <= blob_->shape(1) && window.shape(3) <= blob_->shape(2))
        << "a window of " << window.shape_string() << " in " << blob_->shape_string();
  }

  std::unique_ptr<Blob> blob_;
  int device_;
};

// What objective_L2 does, on the GPU: half the sum of the squares, whose gradient becomes the diff.
float half_sum_of_squares(BlobHolder& holder, int device) {
  On on(device);
  gpu::take_data_as_gradient(holder.blob.get());
  return gpu::half_sum_of_squares(*holder.blob);
}

// A dream's gradient at one layer, with half the sum of the squares as the objective.
class Passes {
 public:
  Passes(NetHolder& holder, int last, int blob, int device) : net_(holder.net), device_(device) {
    CHECK(last >= 0 && last < static_cast<int>(net_->layers().size())) << "layer number " << last;
    CHECK(blob >= 0 && blob < static_cast<int>(net_->blobs().size())) << "blob number " << blob;
    passes_.reset(new gpu::Passes(net_, last, blob));
  }
  Passes(Passes&&) = default;
  ~Passes() { free_on(device_, passes_); }

  float run() {
    On on(device_);
    give_back_memory(*net_);
    return passes_->run();
  }

  long launches() const { return passes_->launches(); }

 private:
  std::unique_ptr<gpu::Passes> passes_;
  boost::shared_ptr<Net> net_;
  int device_;
};

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
  using namespace nb::literals;
  module.def("gpu_count", &gpu_count);
  module.def("gpu_name", &gpu_name);
  module.def("gpu_try", &gpu_try);
  module.def("gpu_memory", &gpu_memory);
#ifdef PYCAFFE_EMULATED
  bind_emulator(module);
#endif
  module.def("gpu_half_sum_of_squares", &half_sum_of_squares, "blob"_a, "gpu"_a);
  nb::class_<Planes>(module, "GpuPlanes")
      .def(nb::init<const Planes::Array&, int>(), "values"_a, "gpu"_a)
      .def_prop_ro("shape", [](const Planes& self) { return nb::tuple(list_of(self.shape())); })
      .def("numpy", &Planes::numpy)
      .def("empty_like", &Planes::empty_like)
      .def("__add__", [](const Planes& self, const Planes& other) { return self.plus(other, 1); })
      .def("__sub__", [](const Planes& self, const Planes& other) { return self.plus(other, -1); })
      .def("zoom", &Planes::zoom, "height"_a, "width"_a)
      .def("read_window", &Planes::read_window, "top"_a, "left"_a, "window"_a)
      .def("write_window", &Planes::write_window, "top"_a, "left"_a, "window"_a)
      .def("mean_magnitude", &Planes::mean_magnitude)
      .def("add_scaled", &Planes::add_scaled, "gradient"_a, "factor"_a)
      .def("ascend", &Planes::ascend, "gradient"_a, "factor"_a, "lower"_a, "upper"_a);
  nb::class_<Passes>(module, "GpuPasses")
      .def(nb::init<NetHolder&, int, int, int>(), "net"_a, "last"_a, "blob"_a, "gpu"_a)
      .def("run", &Passes::run, Unlocked())
      .def_prop_ro("launches", &Passes::launches);
#ifdef USE_CUDNN
  Engines<float>::choose_by_mode();
  Engines<double>::choose_by_mode();
  module.attr("has_cudnn") = true;
#else
  module.attr("has_cudnn") = false;
#endif
}

}  // namespace binding
