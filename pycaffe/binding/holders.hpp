// What Python's objects hold: Caffe's own shared pointers, and what binds them to Python.
#ifndef PYCAFFE_BINDING_HOLDERS_HPP_
#define PYCAFFE_BINDING_HOLDERS_HPP_

#include <nanobind/nanobind.h>

#include <boost/shared_ptr.hpp>
#include <boost/weak_ptr.hpp>
#include <string>
#include <utility>
#include <vector>

#include "caffe/caffe.hpp"

namespace binding {

namespace nb = nanobind;

// Python's nets compute with floats.
using Number = float;
using Blob = caffe::Blob<Number>;
using Layer = caffe::Layer<Number>;
using Net = caffe::Net<Number>;
using Solver = caffe::Solver<Number>;

struct BlobHolder {
  boost::shared_ptr<Blob> blob;
};

struct NetHolder {
  boost::shared_ptr<Net> net;
  nb::object arrays;  // that a MemoryData layer reads: they live as long as the net
};

struct SolverHolder {
  boost::shared_ptr<Solver> solver;
};

// A layer that Python code defines is owned by the net alone, because it owns the Python object in turn.
struct LayerHolder {
  boost::shared_ptr<Layer> owned;
  boost::weak_ptr<Layer> borrowed;

  boost::shared_ptr<Layer> layer() const;
};

// The parameters of a layer: a list that a layer's setup may extend.
struct BlobList {
  boost::shared_ptr<Layer> layer;
};

// Functions of Caffe run without Python's lock, so that other threads go on; what calls Python takes it back.
using Unlocked = nb::call_guard<nb::gil_scoped_release>;

// A list of Python objects, one for each item.
template <class Items, class Convert>
nb::list list_of(const Items& items, Convert convert) {
  nb::list list;
  for (const auto& item : items) list.append(nb::cast(convert(item)));
  return list;
}

template <class Items>
nb::list list_of(const Items& items) {
  return list_of(items, [](const auto& item) { return item; });
}

inline nb::list list_of_blobs(const std::vector<boost::shared_ptr<Blob>>& blobs) {
  return list_of(blobs, [](const auto& blob) { return BlobHolder{blob}; });
}

// For layers in Python: blobs that the net owns, and that are there as long as the call lasts.
inline nb::list list_of_blobs(const std::vector<Blob*>& blobs) {
  return list_of(blobs, [](Blob* blob) { return BlobHolder{boost::shared_ptr<Blob>(blob, [](Blob*) {})}; });
}

// The Python object of a layer: its own, if Python code defines it.
nb::object object_of(const boost::shared_ptr<Layer>& layer);

// The name of a file: a str, bytes, or anything with __fspath__.
std::string path_of(nb::handle path);

// The name of a file that can be read; otherwise an error that names it.
std::string readable_path(nb::handle path);

// Give back the memory of all blobs if the picture has become much smaller than the largest one: a blob by itself never
// shrinks. A dream's smallest octave does not count as that. The data of input blobs, the next picture already, stay.
void give_back_memory(Net& net);

void bind_blob(nb::module_& module);
void bind_layer(nb::module_& module);
void bind_net(nb::module_& module);
void bind_solver(nb::module_& module);
void bind_gpu(nb::module_& module);
void bind_emulator(nb::module_& module);

}  // namespace binding

#endif  // PYCAFFE_BINDING_HOLDERS_HPP_
