// FastConvolution: two-dimensional convolution without a column buffer.
//
// Upstream writes every patch of the picture into a matrix, nine times the picture for a 3x3 kernel, and multiplies
// that; the gradient goes the same way back. Here both are correlations (correlation.hpp). The gradients of weights and
// bias are upstream's.

#include <type_traits>
#include <vector>

#include "caffe/layer_factory.hpp"
#include "caffe/layers/conv_layer.hpp"
#include "correlation.hpp"
#include "kernels.hpp"

namespace caffe {

template <typename Dtype>
class FastConvolutionLayer : public ConvolutionLayer<Dtype> {
 public:
  using ConvolutionLayer<Dtype>::ConvolutionLayer;
  const char* type() const override { return "FastConvolution"; }

  void LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override {
    ConvolutionLayer<Dtype>::LayerSetUp(bottom, top);
    fast::kernels();  // a PYCAFFE_ISA that cannot be had is an error now, not in the middle of a pass
    forward_.assign(this->group_, fast::Pass(fast::Pass::kForward));
    backward_.assign(this->group_, fast::Pass(fast::Pass::kBackward));
  }

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override {
    if constexpr (std::is_same_v<Dtype, float>) {
      if (is_fast()) {
        const float* weights = this->blobs_[0]->cpu_data();
        const float* bias = this->bias_term_ ? this->blobs_[1]->cpu_data() : nullptr;
        for (size_t i = 0; i < bottom.size(); ++i) {
          const fast::ConvolutionShape shape = convolution_shape(*bottom[i], *top[i]);
          const float* from = bottom[i]->cpu_data();
          float* to = top[i]->mutable_cpu_data();
          for (int g = 0; g < this->group_; ++g) {
            forward_[g].run(shape, weights + g * this->weight_offset_, bias ? bias + g * shape.outputs : nullptr,
                            this->num_, from + g * in_group(shape), this->bottom_dim_, to + g * out_group(shape),
                            this->top_dim_);
          }
        }
        return;
      }
    }
    ConvolutionLayer<Dtype>::Forward_cpu(bottom, top);
  }

  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override {
    if constexpr (std::is_same_v<Dtype, float>) {
      if (is_fast()) {
        backward_parameters(top, bottom);
        const float* weights = this->blobs_[0]->cpu_data();
        for (size_t i = 0; i < top.size(); ++i) {
          if (!propagate_down[i]) continue;
          const fast::ConvolutionShape shape = convolution_shape(*bottom[i], *top[i]);
          const float* from = top[i]->cpu_diff();
          float* to = bottom[i]->mutable_cpu_diff();
          for (int g = 0; g < this->group_; ++g) {
            backward_[g].run(shape, weights + g * this->weight_offset_, nullptr, this->num_,
                             from + g * out_group(shape), this->top_dim_, to + g * in_group(shape), this->bottom_dim_);
          }
        }
        return;
      }
    }
    ConvolutionLayer<Dtype>::Backward_cpu(top, propagate_down, bottom);
  }

 private:
  bool is_fast() {
    if (this->num_spatial_axes_ != 2 || this->channel_axis_ != 1) return false;
    const int* dilation = this->dilation_.cpu_data();
    return dilation[0] == 1 && dilation[1] == 1;
  }

  void backward_parameters(const vector<Blob<Dtype>*>& top, const vector<Blob<Dtype>*>& bottom) {
    for (size_t i = 0; i < top.size(); ++i) {
      const Dtype* top_diff = top[i]->cpu_diff();
      for (int n = 0; n < this->num_; ++n) {
        const Dtype* of_image = top_diff + n * this->top_dim_;
        if (this->bias_term_ && this->param_propagate_down_[1]) {
          this->backward_cpu_bias(this->blobs_[1]->mutable_cpu_diff(), of_image);
        }
        if (this->param_propagate_down_[0]) {
          this->weight_cpu_gemm(bottom[i]->cpu_data() + n * this->bottom_dim_, of_image,
                                this->blobs_[0]->mutable_cpu_diff());
        }
      }
    }
  }

  fast::ConvolutionShape convolution_shape(const Blob<Dtype>& bottom, const Blob<Dtype>& top) {
    const int* kernel = this->kernel_shape_.cpu_data();
    const int* stride = this->stride_.cpu_data();
    const int* pad = this->pad_.cpu_data();
    return {this->channels_ / this->group_, this->num_output_ / this->group_,
            bottom.height(), bottom.width(), top.height(), top.width(),
            kernel[0], kernel[1], stride[0], stride[1], pad[0], pad[1]};
  }

  static size_t in_group(const fast::ConvolutionShape& s) { return size_t(s.channels) * s.height * s.width; }
  static size_t out_group(const fast::ConvolutionShape& s) { return size_t(s.outputs) * s.out_height * s.out_width; }

  std::vector<fast::Pass> forward_, backward_;  // one for each group
};

INSTANTIATE_CLASS(FastConvolutionLayer);
REGISTER_LAYER_CLASS(FastConvolution);

}  // namespace caffe
