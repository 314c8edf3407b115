// The names of files, as Python gives them.

#include <fstream>

#include "holders.hpp"

namespace binding {

std::string path_of(nb::handle path) {
  nb::object name = nb::steal(PyOS_FSPath(path.ptr()));
  if (name.is_valid() && PyUnicode_Check(name.ptr())) name = nb::steal(PyUnicode_EncodeFSDefault(name.ptr()));
  if (!name.is_valid()) throw nb::python_error();
  return std::string(PyBytes_AsString(name.ptr()), PyBytes_Size(name.ptr()));
}

std::string readable_path(nb::handle path) {
  const std::string name = path_of(path);
  if (!std::ifstream(name).good()) throw std::runtime_error("Could not open file " + name);
  return name;
}

}  // namespace binding
