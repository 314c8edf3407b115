// FastPooling: upstream's max pooling, bit for bit, in about a tenth of the time.

#include <type_traits>
#include <vector>

#include "caffe/layer_factory.hpp"
#include "caffe/layers/pooling_layer.hpp"
#include "kernels.hpp"
#include "threads.hpp"

namespace caffe {

template <typename Dtype>
class FastPoolingLayer : public PoolingLayer<Dtype> {
 public:
  using PoolingLayer<Dtype>::PoolingLayer;
  const char* type() const override { return "FastPooling"; }

  void LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override {
    PoolingLayer<Dtype>::LayerSetUp(bottom, top);
    fast::kernels();  // a PYCAFFE_ISA that cannot be had is an error now, not in the middle of a pass
  }

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override {
    if constexpr (std::is_same_v<Dtype, float>) {
      if (is_fast(top)) {
        const fast::PoolShape shape = pool_shape();
        const fast::Kernels& kernels = fast::kernels();
        const size_t in = size_t(shape.height) * shape.width, out = size_t(shape.pooled_height) * shape.pooled_width;
        const int planes = bottom[0]->num() * this->channels_;
        const float* from = bottom[0]->cpu_data();
        float* to = top[0]->mutable_cpu_data();
        winners_.resize(planes * out);
        fast::parallel_for(planes, kernels.pool_scratch(shape), [&](int plane, float* scratch) {
          kernels.max_pool(shape, from + plane * in, to + plane * out, winners_.data() + plane * out, scratch);
        });
        return;
      }
    }
    PoolingLayer<Dtype>::Forward_cpu(bottom, top);
  }

  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override {
    if constexpr (std::is_same_v<Dtype, float>) {
      if (is_fast(top)) {
        if (!propagate_down[0]) return;
        const fast::PoolShape shape = pool_shape();
        const fast::Kernels& kernels = fast::kernels();
        const size_t in = size_t(shape.height) * shape.width, out = size_t(shape.pooled_height) * shape.pooled_width;
        const int planes = bottom[0]->num() * this->channels_;
        CHECK_EQ(winners_.size(), planes * out) << "backward needs a forward pass at the same size before it";
        const float* from = top[0]->cpu_diff();
        float* to = bottom[0]->mutable_cpu_diff();
        fast::parallel_for(planes, kernels.pool_scratch(shape), [&](int plane, float* scratch) {
          kernels.max_pool_backward(shape, from + plane * out, winners_.data() + plane * out, to + plane * in, scratch);
        });
        return;
      }
    }
    PoolingLayer<Dtype>::Backward_cpu(top, propagate_down, bottom);
  }

 private:
  // What a byte can number, without the mask that upstream hands out as a second top.
  bool is_fast(const vector<Blob<Dtype>*>& top) const {
    return this->layer_param_.pooling_param().pool() == PoolingParameter_PoolMethod_MAX && top.size() == 1 &&
           this->kernel_h_ * this->kernel_w_ <= 255;
  }

  fast::PoolShape pool_shape() const {
    return {this->height_,   this->width_,    this->pooled_height_, this->pooled_width_, this->kernel_h_,
            this->kernel_w_, this->stride_h_, this->stride_w_,      this->pad_h_,        this->pad_w_};
  }

  std::vector<uint8_t> winners_;  // which element of its window each output is; 255: none
};

INSTANTIATE_CLASS(FastPoolingLayer);
REGISTER_LAYER_CLASS(FastPooling);

}  // namespace caffe
