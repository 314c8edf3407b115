// A convolution that does the work of the rectification in place behind it as well: one pass through memory less each way.
#ifndef PYCAFFE_LAYERS_RECTIFICATION_HPP_
#define PYCAFFE_LAYERS_RECTIFICATION_HPP_

#include <vector>

#include "caffe/net.hpp"

namespace fast {

// The convolution.
class Rectifying {
 public:
  virtual ~Rectifying() = default;
  virtual bool can_rectify() = 0;
  // Rectify with this slope below zero, or null, not at all. While it is set, forward leaves what the rectification would;
  // backward takes the diff of its top as the rectification's, and computes no gradient of parameters.
  virtual void set_rectification(const float* slope) = 0;
};

// The rectification.
class Rectification {
 public:
  virtual ~Rectification() = default;
  virtual const float* slope() = 0;
  virtual void set_done_elsewhere(bool done) = 0;
};

// While this exists, the convolutions of a net rectify for the layers behind them, as far as both are among the layers
// from number `first` to number `last`, and nothing between them sees what the convolution alone would leave.
class Rectifications {
 public:
  Rectifications(caffe::Net<float>& net, int first, int last);
  ~Rectifications();
  Rectifications(const Rectifications&) = delete;
  Rectifications& operator=(const Rectifications&) = delete;

 private:
  struct Pair {
    Rectifying* convolution;
    Rectification* rectification;
  };
  std::vector<Pair> pairs_;
};

}  // namespace fast

#endif  // PYCAFFE_LAYERS_RECTIFICATION_HPP_
