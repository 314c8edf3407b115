// caffe.Net.

#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <optional>

#include "../layers/capacity.hpp"
#include "../layers/rectification.hpp"
#include "caffe/layers/memory_data_layer.hpp"
#include "holders.hpp"

namespace binding {

namespace {

using fast::OpenBlob;
using Stages = std::optional<std::vector<std::string>>;
using AnyArray = nb::ndarray<nb::numpy>;

boost::shared_ptr<Net> read_net(const std::string& definition, int phase, int level, const std::vector<std::string>& stages,
                                const std::string& weights) {
  nb::gil_scoped_release unlocked;
  boost::shared_ptr<Net> net(new Net(definition, static_cast<caffe::Phase>(phase), level, &stages));
  if (!weights.empty()) net->CopyTrainedLayersFrom(weights);
  return net;
}

void init(NetHolder* self, nb::object definition, int phase, int level, Stages stages, nb::object weights) {
  const std::string definition_path = readable_path(definition);
  const std::string weights_path = weights.is_none() ? "" : readable_path(weights);
  new (self) NetHolder{read_net(definition_path, phase, level, stages.value_or(std::vector<std::string>()), weights_path), {}};
}

// The order of arguments before the keyword `weights` came.
void init_with_weights(NetHolder* self, nb::object definition, nb::object weights, int phase) {
  LOG(WARNING) << "Net(definition, weights, phase) is the old order of arguments: use Net(definition, phase, weights=...)";
  init(self, definition, phase, 0, std::nullopt, weights);
}

// Calls a function of Python with a layer's index. The net keeps it for good: it has no way to give one back.
class NetCallback : public Net::Callback {
 public:
  explicit NetCallback(nb::object function) : function_(std::move(function)) {}

 protected:
  void run(int layer) override {
    nb::gil_scoped_acquire lock;
    function_(layer);
  }

 private:
  nb::object function_;
};

void check_array(const AnyArray& array, const char* name, const std::vector<size_t>& image) {
  const auto demand = [name](bool holds, const char* what) {
    if (!holds) throw std::runtime_error(std::string(name) + what);
  };
  demand(array.ndim() == 4, " must be 4-d");
  int64_t stride = 1;
  bool contiguous = true;
  for (size_t axis = 4; axis-- > 0; stride *= array.shape(axis)) {
    contiguous = contiguous && (array.shape(axis) == 1 || array.stride(axis) == stride);
  }
  demand(contiguous, " must be C contiguous");
  demand(array.dtype() == nb::dtype<float>(), " must be float32");
  demand(array.shape(1) == image[0], " has wrong number of channels");
  demand(array.shape(2) == image[1], " has wrong height");
  demand(array.shape(3) == image[2], " has wrong width");
}

void set_input_arrays(NetHolder& self, nb::object data_object, nb::object labels_object) {
  auto layer = boost::dynamic_pointer_cast<caffe::MemoryDataLayer<Number>>(self.net->layers()[0]);
  if (!layer) throw std::runtime_error("set_input_arrays may only be called if the first layer is a MemoryDataLayer");
  const AnyArray data = nb::cast<AnyArray>(data_object), labels = nb::cast<AnyArray>(labels_object);
  check_array(data, "data array", {size_t(layer->channels()), size_t(layer->height()), size_t(layer->width())});
  check_array(labels, "labels array", {1, 1, 1});
  if (data.shape(0) != labels.shape(0)) throw std::runtime_error("data and labels must have the same first dimension");
  if (data.shape(0) % layer->batch_size()) {
    throw std::runtime_error("first dimensions of input arrays must be a multiple of batch size");
  }
  layer->Reset(static_cast<Number*>(data.data()), static_cast<Number*>(labels.data()), static_cast<int>(data.shape(0)));
  self.arrays = nb::make_tuple(data_object, labels_object);
}

// Put a newly built net in the place of an old one, with its weights. A blob never shrinks, and one whose memory could
// not be had stays as large as was asked for: this is how their memory is given back. The blobs' comes first, because
// there may be none left to build with; what layers keep for themselves goes with the old net.
void rebuild(NetHolder& holder, nb::object definition) {
  const std::string path = path_of(definition);
  for (const boost::shared_ptr<Blob>& blob : holder.net->blobs()) OpenBlob::release(*blob);
  boost::shared_ptr<Net> fresh = read_net(path, holder.net->phase(), 0, {}, "");
  fresh->ShareTrainedLayersWith(holder.net.get());
  holder.net = fresh;
}

Number forward(NetHolder& self, int start, int end) {
  if (start == 0) give_back_memory(*self.net);
  std::optional<fast::Rectifications> rectifications;
  if (self.net->before_forward().empty() && self.net->after_forward().empty()) {
    rectifications.emplace(*self.net, start, end);
  }
  return self.net->ForwardFromTo(start, end);
}

void backward(NetHolder& self, int start, int end) { self.net->BackwardFromTo(start, end); }

// As `backward`, for the gradient of the input alone: what the diffs of rectified blobs and of parameters then hold is not
// defined.
void backward_to_input(NetHolder& self, int start, int end) {
  std::optional<fast::Rectifications> rectifications;
  if (self.net->before_backward().empty() && self.net->after_backward().empty()) {
    rectifications.emplace(*self.net, end, start);
  }
  self.net->BackwardFromTo(start, end);
}

void reshape(NetHolder& self) {
  give_back_memory(*self.net);
  self.net->Reshape();
}

}  // namespace

void give_back_memory(Net& net) {
  constexpr int kMuch = 16;
  const std::vector<int>& inputs = net.input_blob_indices();
  bool much_smaller = false;
  for (int input : inputs) {
    Blob& blob = *net.blobs()[input];
    if (OpenBlob::capacity(blob) / kMuch < blob.count()) continue;
    OpenBlob::capacity(blob) = blob.count();
    OpenBlob::renew_diff(blob);
    much_smaller = true;
  }
  if (!much_smaller) return;
  for (size_t i = 0; i < net.blobs().size(); ++i) {
    if (std::find(inputs.begin(), inputs.end(), int(i)) != inputs.end()) continue;
    Blob& blob = *net.blobs()[i];
    OpenBlob::release(blob);
    blob.Reshape(std::vector<int>(blob.shape()));  // memory of its old size is taken only if it is read before
    OpenBlob::capacity(blob) = 0;                  // its layer will reshape it, which takes memory of the new size
  }
#ifdef __GLIBC__
  malloc_trim(0);  // otherwise the C library keeps most of it for itself
#endif
}

void bind_net(nb::module_& module) {
  using namespace nb::literals;
  nb::class_<NetHolder>(module, "Net", nb::dynamic_attr(), nb::is_weak_referenceable())
      .def("__init__", &init, "network_file"_a, "phase"_a, "level"_a = 0, "stages"_a = nb::none(), "weights"_a = nb::none())
      .def("__init__", &init_with_weights)
      .def("_forward", &forward, Unlocked())
      .def("_backward", &backward, Unlocked())
      .def("_backward_to_input", &backward_to_input, Unlocked())
      .def("reshape", &reshape, Unlocked())
      .def("clear_param_diffs", [](NetHolder& self) { self.net->ClearParamDiffs(); })
      .def("copy_from",
           [](NetHolder& self, nb::object path) {
             const std::string name = path_of(path);
             nb::gil_scoped_release unlocked;
             self.net->CopyTrainedLayersFrom(name);
           })
      .def("share_with", [](NetHolder& self, NetHolder& other) { self.net->ShareTrainedLayersWith(other.net.get()); })
      .def_prop_ro("_blob_loss_weights", [](const NetHolder& self) { return list_of(self.net->blob_loss_weights()); })
      .def("_bottom_ids", [](const NetHolder& self, int layer) { return list_of(self.net->bottom_ids(layer)); })
      .def("_top_ids", [](const NetHolder& self, int layer) { return list_of(self.net->top_ids(layer)); })
      .def_prop_ro("_blobs", [](const NetHolder& self) { return list_of_blobs(self.net->blobs()); })
      .def_prop_ro("layers", [](const NetHolder& self) { return list_of(self.net->layers(), object_of); })
      .def_prop_ro("_blob_names", [](const NetHolder& self) { return list_of(self.net->blob_names()); })
      .def_prop_ro("_layer_names", [](const NetHolder& self) { return list_of(self.net->layer_names()); })
      .def_prop_ro("_inputs", [](const NetHolder& self) { return list_of(self.net->input_blob_indices()); })
      .def_prop_ro("_outputs", [](const NetHolder& self) { return list_of(self.net->output_blob_indices()); })
      .def("_set_input_arrays", &set_input_arrays)
      .def("save",
           [](const NetHolder& self, nb::object path) {
             caffe::NetParameter parameters;
             self.net->ToProto(&parameters, false);
             caffe::WriteProtoToBinaryFile(parameters, path_of(path).c_str());
           })
      .def("save_hdf5", [](const NetHolder& self, nb::object path) { self.net->ToHDF5(path_of(path)); })
      .def("load_hdf5", [](NetHolder& self, nb::object path) { self.net->CopyTrainedLayersFromHDF5(path_of(path)); })
      .def("before_forward", [](NetHolder& self, nb::object f) { self.net->add_before_forward(new NetCallback(f)); })
      .def("after_forward", [](NetHolder& self, nb::object f) { self.net->add_after_forward(new NetCallback(f)); })
      .def("before_backward", [](NetHolder& self, nb::object f) { self.net->add_before_backward(new NetCallback(f)); })
      .def("after_backward", [](NetHolder& self, nb::object f) { self.net->add_after_backward(new NetCallback(f)); });
  module.def("rebuild", &rebuild);
}

}  // namespace binding
