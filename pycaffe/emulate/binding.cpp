// What the tests may ask of the emulated GPUs: caffe._caffe.emulator.

#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>

#include <functional>
#include <map>
#include <string>

#include "../binding/holders.hpp"
#include "caffe/common.hpp"
#include "caffe/util/math_functions.hpp"
#include "emulator.hpp"

namespace binding {
namespace {

// Deliberate errors, as code for GPUs could have them; each raises what Caffe then finds.
void misuse(const std::string& kind) {
  caffe::Caffe::Brew mode = caffe::Caffe::mode();
  caffe::Caffe::set_mode(caffe::Caffe::GPU);
  float host[4] = {};
  float* memory = nullptr;
  CUDA_CHECK(cudaMalloc(&memory, sizeof(host)));
  const std::map<std::string, std::function<void()>> kinds = {
      {"a kernel with the host's memory", [&] { caffe::caffe_gpu_set(4, 1.f, host); }},
      {"a kernel with memory that was freed",
       [&] {
         float* freed = nullptr;
         CUDA_CHECK(cudaMalloc(&freed, sizeof(host)));
         CUDA_CHECK(cudaFree(freed));
         caffe::caffe_gpu_set(4, 1.f, freed);
       }},
      {"a kernel of no threads", [&] { caffe::caffe_gpu_set(0, 1.f, memory); caffe::caffe_gpu_add_scalar(0, 1.f, memory); }},
      {"cuBLAS with the host's memory", [&] { caffe::caffe_gpu_axpy(4, 1.f, host, memory); }},
      {"a copy that is too long", [&] { caffe::caffe_gpu_memcpy(sizeof(host) + 1, memory, host); }},
      {"a copy in the wrong direction", [&] { CUDA_CHECK(cudaMemcpy(memory, host, 4, cudaMemcpyDeviceToHost)); }},
      {"memory that is not there", [&] { CUDA_CHECK(cudaFree(memory + 1)); CUDA_CHECK(cudaMemset(memory + 4, 0, 4)); }},
  };
  try {
    kinds.at(kind)();
    CUDA_CHECK(cudaPeekAtLastError());  // not every kernel's launch is checked at once
  } catch (...) {
    cudaFree(memory);
    caffe::Caffe::set_mode(mode);
    throw;
  }
  cudaFree(memory);
  caffe::Caffe::set_mode(mode);
}

}  // namespace

void bind_emulator(nb::module_& module) {
  using namespace nb::literals;
  nb::module_ emulator = module.def_submodule("emulator");
  emulator.def("calls", &emulate::calls);
  emulator.def(
      "fail", [](const std::string& name, int after) { emulate::fail_call(name, after, cudaErrorMemoryAllocation); },
      "name"_a, "after"_a = 0);
  emulator.def("fail_nothing", &emulate::fail_no_call);
  emulator.def("misuse", &misuse, "kind"_a);
}

}  // namespace binding
