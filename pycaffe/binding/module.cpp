// The extension module: Caffe's classes and functions in Python, as upstream's own binding has them, on nanobind.
//
// A failed CHECK becomes a Python exception, caffe.Error.

#include <google/protobuf/stubs/common.h>
#include <nanobind/stl/string.h>

#include "holders.hpp"

#define PYCAFFE_TEXT_OF(value) #value
#define PYCAFFE_TEXT(value) PYCAFFE_TEXT_OF(value)

namespace binding {
namespace {

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

void bind_error(nb::module_& module) {
  static PyObject* type = PyErr_NewExceptionWithDoc(
      "caffe.Error", "A check inside Caffe failed: a bad definition, a shape that does not fit, not enough memory.",
      PyExc_RuntimeError, nullptr);
  if (!type) throw nb::python_error();
  module.attr("Error") = nb::borrow(type);
  nb::register_exception_translator([](const std::exception_ptr& exception, void*) {
    try {
      std::rethrow_exception(exception);
    } catch (const caffe_compat::Error& error) {
      PyErr_SetString(type, error.what());
    }
  });
}

void init_log(int level, bool to_stderr) {
  FLAGS_minloglevel = level;
  FLAGS_logtostderr = to_stderr;
}

// Training on several GPUs is left out; upstream has the class without NCCL, too.
struct Nccl {};

void bind_functions(nb::module_& module) {
  using namespace nb::literals;
  using caffe::Caffe;
  module.def("init_log", &init_log, "level"_a = FLAGS_minloglevel, "stderr"_a = true);
  module.def("log", [](const std::string& text) { LOG(INFO) << text; });
  module.def("has_nccl", [] { return false; });
  module.def("set_mode_cpu", [] { Caffe::set_mode(Caffe::CPU); });
  module.def("set_mode_gpu", [] { Caffe::set_mode(Caffe::GPU); });
  module.def("set_random_seed", &Caffe::set_random_seed);
  module.def("set_device", &Caffe::SetDevice);
  module.def("solver_count", &Caffe::solver_count);
  module.def("set_solver_count", &Caffe::set_solver_count);
  module.def("solver_rank", &Caffe::solver_rank);
  module.def("set_solver_rank", &Caffe::set_solver_rank);
  module.def("set_multiprocess", &Caffe::set_multiprocess);
  module.def("layer_type_list", [] { return list_of(caffe::LayerRegistry<Number>::LayerTypeList()); });
}

}  // namespace
}  // namespace binding

NB_MODULE(_caffe, module) {
  namespace nb = nanobind;
  using namespace binding;
#if GOOGLE_PROTOBUF_VERSION < 4000000
  google::protobuf::SetLogHandler(&on_protobuf_message);
#endif
  // A notebook's nets live until the process ends.
  nb::set_leak_warnings(false);
  module.attr("__version__") = PYCAFFE_TEXT(CAFFE_VERSION);
  bind_error(module);
  bind_functions(module);
  bind_blob(module);
  bind_layer(module);
  bind_net(module);
  bind_solver(module);
  nb::class_<Nccl>(module, "NCCL").def("__init__", [](Nccl* self, const SolverHolder&, const std::string&) {
    new (self) Nccl();
  });
  nb::class_<caffe::Timer>(module, "Timer")
      .def(nb::init<>())
      .def("start", &caffe::Timer::Start)
      .def("stop", &caffe::Timer::Stop)
      .def_prop_ro("ms", [](caffe::Timer& self) { return self.MilliSeconds(); });
#ifndef CPU_ONLY
  bind_gpu(module);
#endif
}
