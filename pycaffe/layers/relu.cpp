// FastReLU: upstream's rectification, bit for bit, threaded and vectorised.

#include <vector>

#include "caffe/layers/relu_layer.hpp"
#include "kernels.hpp"
#include "recordable.hpp"
#include "rectification.hpp"
#include "register.hpp"
#include "threads.hpp"

namespace caffe {

class FastReLULayer : public ReLULayer<float>, public fast::Recordable, public fast::Rectification {
 public:
  using ReLULayer::ReLULayer;
  const char* type() const override { return "FastReLU"; }

  const float* slope() override {
    slope_ = layer_param_.relu_param().negative_slope();
    return &slope_;
  }
  void set_done_elsewhere(bool done) override { done_elsewhere_ = done; }

 protected:
  void Forward_cpu(const vector<Blob<float>*>& bottom, const vector<Blob<float>*>& top) override {
    if (done_elsewhere_) return;
    const fast::Kernels& kernels = fast::kernels();
    const float slope = layer_param_.relu_param().negative_slope();
    const float* from = bottom[0]->cpu_data();
    float* to = top[0]->mutable_cpu_data();
    fast::parallel_pieces(bottom[0]->count(), [&](int begin, int count) {
      kernels.relu(from + begin, to + begin, count, slope);
    });
  }

  void Backward_cpu(const vector<Blob<float>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<float>*>& bottom) override {
    if (done_elsewhere_ || !propagate_down[0]) return;
    const fast::Kernels& kernels = fast::kernels();
    const float slope = layer_param_.relu_param().negative_slope();
    const float* data = bottom[0]->cpu_data();
    const float* from = top[0]->cpu_diff();
    float* to = bottom[0]->mutable_cpu_diff();
    fast::parallel_pieces(bottom[0]->count(), [&](int begin, int count) {
      kernels.relu_backward(data + begin, from + begin, to + begin, count, slope);
    });
  }

 private:
  float slope_ = 0;
  bool done_elsewhere_ = false;
};

REGISTER_FAST_LAYER(ReLU);

}  // namespace caffe
