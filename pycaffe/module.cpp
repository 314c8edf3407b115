// The extension module: upstream's binding code, plus what turns a failed CHECK into a Python exception.

#include <boost/python.hpp>
#include <google/protobuf/stubs/common.h>

// Upstream's BOOST_PYTHON_MODULE(_caffe) { ... } becomes a plain function that the real module calls.
#undef BOOST_PYTHON_MODULE
#define BOOST_PYTHON_MODULE(name) void bind_upstream()
#include "python/caffe/_caffe.cpp"
#undef BOOST_PYTHON_MODULE
#define BOOST_PYTHON_MODULE(name) BOOST_PYTHON_MODULE_INIT(name)

#ifndef CPU_ONLY
#include "gpu.hpp"
#endif

namespace {

PyObject* error_type = nullptr;

void raise_error(const caffe_compat::Error& error) { PyErr_SetString(error_type, error.what()); }

#if GOOGLE_PROTOBUF_VERSION < 4000000
// protobuf prints its complaints and Caffe's CHECK then says only that something did not parse: join the two.
void on_protobuf_message(google::protobuf::LogLevel level, const char*, int, const std::string& text) {
  if (level >= google::protobuf::LOGLEVEL_ERROR) {
    std::string& detail = caffe_compat::pending_detail();
    if (detail.empty()) detail = text;
  } else if (level == google::protobuf::LOGLEVEL_WARNING) {
    LOG(WARNING) << text;
  }
}
#endif

// Gives access to what a blob holds.
struct OpenBlob : caffe::Blob<float> {
  // Let go of the memory; the next Reshape takes what is needed then.
  static void release(caffe::Blob<float>& blob) {
    (blob.*&OpenBlob::data_).reset();
    (blob.*&OpenBlob::diff_).reset();
    blob.*&OpenBlob::capacity_ = 0;
  }
};

// Put a newly built net in the place of an old one, with its weights. A blob never shrinks, and one whose memory could
// not be had stays as large as was asked for: this is how their memory is given back. The blobs' comes first, because
// there may be none left to build with; what layers keep for themselves goes with the old net.
void rebuild(boost::python::object holder, const std::string& definition) {
  using Net = caffe::Net<float>;
  boost::shared_ptr<Net>& net = boost::python::extract<boost::shared_ptr<Net>&>(holder);
  for (const boost::shared_ptr<caffe::Blob<float>>& blob : net->blobs()) OpenBlob::release(*blob);
  boost::shared_ptr<Net> fresh(new Net(definition, net->phase()));
  fresh->ShareTrainedLayersWith(net.get());
  net = fresh;
}

}  // namespace

BOOST_PYTHON_MODULE(_caffe) {
  namespace bp = boost::python;
#if GOOGLE_PROTOBUF_VERSION < 4000000
  google::protobuf::SetLogHandler(&on_protobuf_message);
#endif
  error_type = PyErr_NewExceptionWithDoc(
      "caffe.Error",
      "A check inside Caffe failed: a bad definition, a shape that does not fit, not enough memory.",
      PyExc_RuntimeError, nullptr);
  if (!error_type) bp::throw_error_already_set();
  bp::scope().attr("Error") = bp::object(bp::handle<>(bp::borrowed(error_type)));
  bp::register_exception_translator<caffe_compat::Error>(&raise_error);
  caffe::bind_upstream();
  bp::def("rebuild", &rebuild);
#ifndef CPU_ONLY
  bind_gpu();
#endif
}
