// FastPooling: upstream's max pooling, bit for bit, in about a tenth of the time.

#include <vector>

#include "caffe/layers/pooling_layer.hpp"
#include "kernels.hpp"
#include "recordable.hpp"
#include "register.hpp"
#include "threads.hpp"

namespace caffe {

class FastPoolingLayer : public PoolingLayer<float>, public fast::Recordable {
 public:
  using PoolingLayer::PoolingLayer;
  const char* type() const override { return "FastPooling"; }

  // Stochastic pooling draws its numbers outside of the streams.
  bool is_recordable() const override {
    return layer_param_.pooling_param().pool() != PoolingParameter_PoolMethod_STOCHASTIC;
  }
  std::vector<const SyncedMemory*> own_memory() const override { return {max_idx_.data().get()}; }

 protected:
  void Forward_cpu(const vector<Blob<float>*>& bottom, const vector<Blob<float>*>& top) override {
    if (!is_fast(top)) return PoolingLayer::Forward_cpu(bottom, top);
    const fast::PoolShape shape = pool_shape();
    const fast::Kernels& kernels = fast::kernels();
    const size_t in = size_t(shape.height) * shape.width, out = size_t(shape.pooled_height) * shape.pooled_width;
    const int planes = bottom[0]->num() * channels_;
    const float* from = bottom[0]->cpu_data();
    float* to = top[0]->mutable_cpu_data();
    if (winners_.capacity() / 16 > planes * out) winners_ = {};  // of a far larger picture
    winners_.resize(planes * out);
    fast::parallel_for(planes, kernels.pool_scratch(shape), [&](int plane, float* scratch) {
      kernels.max_pool(shape, from + plane * in, to + plane * out, winners_.data() + plane * out, scratch);
    });
  }

  void Backward_cpu(const vector<Blob<float>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<float>*>& bottom) override {
    if (!is_fast(top)) return PoolingLayer::Backward_cpu(top, propagate_down, bottom);
    if (!propagate_down[0]) return;
    const fast::PoolShape shape = pool_shape();
    const fast::Kernels& kernels = fast::kernels();
    const size_t in = size_t(shape.height) * shape.width, out = size_t(shape.pooled_height) * shape.pooled_width;
    const int planes = bottom[0]->num() * channels_;
    CHECK_EQ(winners_.size(), planes * out) << "backward needs a forward pass at the same size before it";
    const float* from = top[0]->cpu_diff();
    float* to = bottom[0]->mutable_cpu_diff();
    fast::parallel_for(planes, kernels.pool_scratch(shape), [&](int plane, float* scratch) {
      kernels.max_pool_backward(shape, from + plane * out, winners_.data() + plane * out, to + plane * in, scratch);
    });
  }

 private:
  // What a byte can number, without the mask that upstream hands out as a second top.
  bool is_fast(const vector<Blob<float>*>& top) const {
    return layer_param_.pooling_param().pool() == PoolingParameter_PoolMethod_MAX && top.size() == 1 &&
           kernel_h_ * kernel_w_ <= 255;
  }

  fast::PoolShape pool_shape() const {
    return {height_,   width_,    pooled_height_, pooled_width_, kernel_h_,
            kernel_w_, stride_h_, stride_w_,      pad_h_,        pad_w_};
  }

  std::vector<uint8_t> winners_;  // which element of its window each output is; 255: none
};

REGISTER_FAST_LAYER(Pooling);

}  // namespace caffe
