// caffe.Blob, and the list of a layer's parameters.

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include "holders.hpp"

namespace binding {
namespace {

using Array = nb::ndarray<nb::numpy, Number>;

// A writable array of the blob's memory, which keeps the memory alive: a reshaped blob may let go of it.
Array view(const Blob& blob, const boost::shared_ptr<caffe::SyncedMemory>& memory, Number* begin) {
  using Memory = boost::shared_ptr<caffe::SyncedMemory>;
  std::vector<size_t> shape(blob.shape().begin(), blob.shape().end());
  nb::capsule owner(new Memory(memory), [](void* held) noexcept { delete static_cast<Memory*>(held); });
  return Array(begin, shape.size(), shape.data(), owner);
}

Array data_of(BlobHolder& self) {
  Number* begin = self.blob->mutable_cpu_data();
  return view(*self.blob, self.blob->data(), begin);
}

Array diff_of(BlobHolder& self) {
  Number* begin = self.blob->mutable_cpu_diff();
  return view(*self.blob, self.blob->diff(), begin);
}

std::vector<int> shape_of(const nb::args& sizes) {
  std::vector<int> shape;
  for (nb::handle size : sizes) {
    int length;
    if (!nb::try_cast(size, length)) throw nb::type_error("the sizes of a blob must be integers that fit in 32 bits");
    shape.push_back(length);
  }
  return shape;
}

std::vector<boost::shared_ptr<Blob>>& blobs_of(const BlobList& list) { return list.layer->blobs(); }

boost::shared_ptr<Blob>& item(const BlobList& list, long index) {
  std::vector<boost::shared_ptr<Blob>>& blobs = blobs_of(list);
  const long size = static_cast<long>(blobs.size());
  if (index < -size || index >= size) throw nb::index_error("index out of range");
  return blobs[index < 0 ? index + size : index];
}

}  // namespace

void bind_blob(nb::module_& module) {
  nb::class_<BlobHolder>(module, "Blob", nb::dynamic_attr(), nb::is_weak_referenceable())
      .def_prop_ro("shape", [](const BlobHolder& self) { return list_of(self.blob->shape()); })
      .def_prop_ro("num", [](const BlobHolder& self) { return self.blob->num(); })
      .def_prop_ro("channels", [](const BlobHolder& self) { return self.blob->channels(); })
      .def_prop_ro("height", [](const BlobHolder& self) { return self.blob->height(); })
      .def_prop_ro("width", [](const BlobHolder& self) { return self.blob->width(); })
      .def_prop_ro("count", [](const BlobHolder& self) { return self.blob->count(); })
      .def("reshape", [](BlobHolder& self, const nb::args& shape) { self.blob->Reshape(shape_of(shape)); })
#ifndef CPU_ONLY
      .def_prop_ro("_gpu_data_ptr",
                   [](BlobHolder& self) { return reinterpret_cast<uintptr_t>(self.blob->mutable_gpu_data()); })
      .def_prop_ro("_gpu_diff_ptr",
                   [](BlobHolder& self) { return reinterpret_cast<uintptr_t>(self.blob->mutable_gpu_diff()); })
#endif
      .def_prop_ro("data", &data_of, nb::rv_policy::automatic)
      .def_prop_ro("diff", &diff_of, nb::rv_policy::automatic);

  nb::class_<BlobList>(module, "BlobVec")
      .def("__len__", [](const BlobList& self) { return blobs_of(self).size(); })
      .def("__getitem__", [](const BlobList& self, long index) { return BlobHolder{item(self, index)}; })
      .def("__getitem__", [](const BlobList& self, nb::slice part) { return nb::object(list_of_blobs(blobs_of(self)).attr("__getitem__")(part)); })
      .def("__setitem__", [](BlobList& self, long index, const BlobHolder& blob) { item(self, index) = blob.blob; })
      .def("__iter__", [](const BlobList& self) { return nb::iter(list_of_blobs(blobs_of(self))); })
      .def("append", [](BlobList& self, const BlobHolder& blob) { blobs_of(self).push_back(blob.blob); })
      .def("add_blob", [](BlobList& self, const nb::args& shape) {
        blobs_of(self).push_back(boost::shared_ptr<Blob>(new Blob(shape_of(shape))));
      });
}

}  // namespace binding
