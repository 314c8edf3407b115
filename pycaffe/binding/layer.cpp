// caffe.Layer, and layers that are written in Python (type "Python").

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "caffe/layer_factory.hpp"
#include "holders.hpp"

namespace binding {

boost::shared_ptr<Layer> LayerHolder::layer() const {
  boost::shared_ptr<Layer> layer = owned ? owned : borrowed.lock();
  if (!layer) throw std::runtime_error("this layer belongs to no net, or to one that is gone");
  return layer;
}

namespace {

// A layer of Caffe that calls the methods of a Python object.
class PythonLayer : public Layer {
 public:
  PythonLayer(nb::object self, const caffe::LayerParameter& parameter) : Layer(parameter), self_(std::move(self)) {}
  // A net may be taken apart while Python's lock is released.
  ~PythonLayer() override {
    nb::gil_scoped_acquire lock;
    self_.reset();
  }

  const char* type() const override { return "Python"; }

  void LayerSetUp(const std::vector<Blob*>& bottom, const std::vector<Blob*>& top) override {
    CHECK(phase_ != caffe::TRAIN || caffe::Caffe::solver_count() == 1 || caffe::Caffe::multiprocess())
        << "a layer in Python cannot be trained by several solvers in one process";
    nb::gil_scoped_acquire lock;
    const std::string& text = layer_param_.python_param().param_str();
    self_.attr("param_str") = nb::str(text.data(), text.size());
    self_.attr("phase") = static_cast<int>(phase_);
    self_.attr("setup")(list_of_blobs(bottom), list_of_blobs(top));
  }

  void Reshape(const std::vector<Blob*>& bottom, const std::vector<Blob*>& top) override {
    nb::gil_scoped_acquire lock;
    self_.attr("reshape")(list_of_blobs(bottom), list_of_blobs(top));
  }

  nb::handle self() const { return self_; }

 protected:
  void Forward_cpu(const std::vector<Blob*>& bottom, const std::vector<Blob*>& top) override {
    nb::gil_scoped_acquire lock;
    self_.attr("forward")(list_of_blobs(bottom), list_of_blobs(top));
  }

  void Backward_cpu(const std::vector<Blob*>& top, const std::vector<bool>& propagate_down,
                    const std::vector<Blob*>& bottom) override {
    nb::gil_scoped_acquire lock;
    nb::list propagate = list_of(propagate_down, [](bool each) { return each; });
    self_.attr("backward")(list_of_blobs(top), propagate, list_of_blobs(bottom));
  }

 private:
  nb::object self_;
};

boost::shared_ptr<Layer> create_python_layer(const caffe::LayerParameter& parameter) {
  nb::gil_scoped_acquire lock;
  const caffe::PythonParameter& python = parameter.python_param();
  nb::object type = nb::module_::import_(python.module().c_str()).attr(python.layer().c_str());
  nb::object self = type(nb::cast(parameter, nb::rv_policy::copy));
  boost::shared_ptr<Layer> layer(new PythonLayer(self, parameter));
  nb::cast<LayerHolder&>(self).borrowed = layer;
  return layer;
}

caffe::LayerRegisterer<Number> g_creator_f_Python("Python", create_python_layer);

std::vector<Blob*> pointers(const std::vector<BlobHolder*>& holders) {
  std::vector<Blob*> blobs;
  for (const BlobHolder* holder : holders) blobs.push_back(holder->blob.get());
  return blobs;
}

// The layer behind a method that a class in Python should have defined; its own object has no other.
boost::shared_ptr<Layer> with_method(const LayerHolder& self, const char* method) {
  boost::shared_ptr<Layer> layer = self.layer();
  CHECK(!dynamic_cast<PythonLayer*>(layer.get())) << "a layer in Python must define the method " << method;
  return layer;
}

}  // namespace

nb::object object_of(const boost::shared_ptr<Layer>& layer) {
  if (auto* python = dynamic_cast<PythonLayer*>(layer.get())) return nb::borrow(python->self());
  return nb::cast(LayerHolder{layer, {}});
}

void bind_layer(nb::module_& module) {
  nb::class_<caffe::LayerParameter>(module, "LayerParameter");
  nb::class_<LayerHolder>(module, "Layer", nb::dynamic_attr(), nb::is_weak_referenceable())
      .def("__init__", [](LayerHolder* self, const caffe::LayerParameter&) { new (self) LayerHolder{}; })
      .def_prop_ro("blobs", [](const LayerHolder& self) { return BlobList{self.layer()}; })
      .def_prop_ro("type", [](const LayerHolder& self) { return std::string(self.layer()->type()); })
      .def("setup",
           [](const LayerHolder& self, const std::vector<BlobHolder*>& bottom, const std::vector<BlobHolder*>& top) {
             with_method(self, "setup")->LayerSetUp(pointers(bottom), pointers(top));
           })
      .def("reshape",
           [](const LayerHolder& self, const std::vector<BlobHolder*>& bottom, const std::vector<BlobHolder*>& top) {
             with_method(self, "reshape")->Reshape(pointers(bottom), pointers(top));
           });
}

}  // namespace binding
