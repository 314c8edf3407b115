// Stands in for Boost.Filesystem: the standard library's, and unique_path, which it lacks.
#ifndef PYCAFFE_COMPAT_BOOST_FILESYSTEM_HPP_
#define PYCAFFE_COMPAT_BOOST_FILESYSTEM_HPP_

#include <filesystem>
#include <random>
#include <string>

namespace boost {
namespace filesystem {

using namespace std::filesystem;

// The model with a random hexadecimal digit for each %.
inline path unique_path(const path& model) {
  std::random_device random;
  std::string name = model.string();
  for (char& character : name) {
    if (character == '%') character = "0123456789abcdef"[random() % 16];
  }
  return name;
}

}  // namespace filesystem
}  // namespace boost

#endif  // PYCAFFE_COMPAT_BOOST_FILESYSTEM_HPP_
