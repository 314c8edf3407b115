// How a fast layer becomes a layer type.
#ifndef PYCAFFE_LAYERS_REGISTER_HPP_
#define PYCAFFE_LAYERS_REGISTER_HPP_

#include "caffe/layer_factory.hpp"
#include "kernels.hpp"

namespace fast {

template <class Layer, class Number>
caffe::shared_ptr<caffe::Layer<Number>> create(const caffe::LayerParameter& parameter) {
  kernels();  // a PYCAFFE_ISA that cannot be had is an error now, not in the middle of a pass
  return caffe::shared_ptr<caffe::Layer<Number>>(new Layer(parameter));
}

}  // namespace fast

// Fast##name##Layer computes with floats, as Python's nets do; a net of doubles gets upstream's layer.
#define REGISTER_FAST_LAYER(name)                                                                          \
  static LayerRegisterer<float> g_creator_f_##name("Fast" #name, fast::create<Fast##name##Layer, float>); \
  static LayerRegisterer<double> g_creator_d_##name("Fast" #name, fast::create<name##Layer<double>, double>)

#endif  // PYCAFFE_LAYERS_REGISTER_HPP_
