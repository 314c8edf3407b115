// How a fast layer becomes a layer type.
#ifndef PYCAFFE_LAYERS_REGISTER_HPP_
#define PYCAFFE_LAYERS_REGISTER_HPP_

#include "caffe/layer_factory.hpp"
#include "kernels.hpp"

namespace fast {

// The layer that Caffe makes of the type without "Fast" before it.
template <class Number>
caffe::shared_ptr<caffe::Layer<Number>> create_upstream(const caffe::LayerParameter& parameter) {
  caffe::LayerParameter upstream(parameter);
  upstream.set_type(parameter.type().substr(4));
  return caffe::LayerRegistry<Number>::CreateLayer(upstream);
}

template <class Layer>
caffe::shared_ptr<caffe::Layer<float>> create(const caffe::LayerParameter& parameter) {
  kernels();  // a PYCAFFE_ISA that cannot be had is an error now, not in the middle of a pass
  return caffe::shared_ptr<caffe::Layer<float>>(new Layer(parameter));
}

}  // namespace fast

// Fast##name##Layer computes with floats, as Python's nets do; a net of doubles gets upstream's layer.
#define REGISTER_FAST_LAYER(name)                                                             \
  static LayerRegisterer<float> g_creator_f_##name("Fast" #name, fast::create<Fast##name##Layer>); \
  static LayerRegisterer<double> g_creator_d_##name("Fast" #name, fast::create_upstream<double>)

#endif  // PYCAFFE_LAYERS_REGISTER_HPP_
