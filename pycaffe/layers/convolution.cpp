// FastConvolution: two-dimensional convolution without a column buffer.
//
// Upstream writes every patch of the picture into a matrix, nine times the picture for a 3x3 kernel, and multiplies
// that; the gradient goes the same way back. Here both are correlations (correlation.hpp). On a GPU it is a matrix after
// all, but a small one that all layers share (gpu/convolution.hpp). The gradient of the weights is upstream's.

#include <memory>
#include <vector>

#include "caffe/layers/conv_layer.hpp"
#include "capacity.hpp"
#include "correlation.hpp"
#include "kernels.hpp"
#include "recordable.hpp"
#include "rectification.hpp"
#include "register.hpp"
#include "threads.hpp"
#ifndef CPU_ONLY
#include "../gpu/convolution.hpp"
#endif

namespace caffe {

class FastConvolutionLayer : public ConvolutionLayer<float>, public fast::Recordable, public fast::Rectifying {
 public:
  using ConvolutionLayer::ConvolutionLayer;
  const char* type() const override { return "FastConvolution"; }

  void LayerSetUp(const vector<Blob<float>*>& bottom, const vector<Blob<float>*>& top) override {
    ConvolutionLayer::LayerSetUp(bottom, top);
    forward_.assign(group_, fast::Pass(fast::Pass::kForward));
    backward_.assign(group_, fast::Pass(fast::Pass::kBackward));
  }

  void Reshape(const vector<Blob<float>*>& bottom, const vector<Blob<float>*>& top) override {
    // Caffe reshapes before every pass, and then upstream's layer fills the vector that it multiplies the bias with.
    const bool has_memory = fast::OpenBlob::capacity(*top[0]) >= top[0]->count();
    if (bottom.size() > 1 || bottom[0]->shape() != reshaped_ || top[0]->shape() != reshaped_top_ || !has_memory) {
      ConvolutionLayer::Reshape(bottom, top);
      reshaped_ = bottom[0]->shape();
      reshaped_top_ = top[0]->shape();
    }
  }

 protected:
  void Forward_cpu(const vector<Blob<float>*>& bottom, const vector<Blob<float>*>& top) override {
    if (!is_fast()) return ConvolutionLayer::Forward_cpu(bottom, top);
    const float* weights = blobs_[0]->cpu_data();
    const float* bias = bias_term_ ? blobs_[1]->cpu_data() : nullptr;
    for (size_t i = 0; i < bottom.size(); ++i) {
      const fast::ConvolutionShape shape = convolution_shape(*bottom[i], *top[i]);
      const float* from = bottom[i]->cpu_data();
      float* to = top[i]->mutable_cpu_data();
      for (int g = 0; g < group_; ++g) {
        forward_[g].run(shape, weights + g * weight_offset_, bias ? bias + g * shape.outputs : nullptr, slope_, num_,
                        from + g * in_group(shape), {}, bottom_dim_, to + g * out_group(shape), top_dim_);
      }
    }
  }

  void Backward_cpu(const vector<Blob<float>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<float>*>& bottom) override {
    if (!is_fast()) return ConvolutionLayer::Backward_cpu(top, propagate_down, bottom);
    if (!slope_) backward_parameters(top, bottom);
    const float* weights = blobs_[0]->cpu_data();
    for (size_t i = 0; i < top.size(); ++i) {
      if (!propagate_down[i]) continue;
      const fast::ConvolutionShape shape = convolution_shape(*bottom[i], *top[i]);
      const float* from = top[i]->cpu_diff();
      const float* outputs = slope_ ? top[i]->cpu_data() : nullptr;
      float* to = bottom[i]->mutable_cpu_diff();
      for (int g = 0; g < group_; ++g) {
        const size_t at = g * out_group(shape);
        const fast::Rectified rectified = {outputs ? outputs + at : nullptr, slope_ ? *slope_ : 0};
        backward_[g].run(shape, weights + g * weight_offset_, nullptr, nullptr, num_, from + at, rectified, top_dim_,
                         to + g * in_group(shape), bottom_dim_);
      }
    }
  }

#ifndef CPU_ONLY
  void Forward_gpu(const vector<Blob<float>*>& bottom, const vector<Blob<float>*>& top) override {
    if (!has_two_axes()) return ConvolutionLayer::Forward_gpu(bottom, top);
    const float* bias = bias_term_ ? blobs_[1]->gpu_data() : nullptr;
    for (size_t i = 0; i < bottom.size(); ++i) {
      const gpu::Convolution shape = gpu_convolution(*bottom[i], *top[i]);
      const float* from = bottom[i]->gpu_data();
      float* to = top[i]->mutable_gpu_data();
      for (int n = 0; n < num_; ++n) {
        gpu::convolve(shape, columns(), blobs_[0]->gpu_data(), bias, from + size_t(n) * bottom_dim_,
                      to + size_t(n) * top_dim_);
      }
    }
  }

  void Backward_gpu(const vector<Blob<float>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<float>*>& bottom) override {
    if (!is_recordable()) return ConvolutionLayer::Backward_gpu(top, propagate_down, bottom);
    for (size_t i = 0; i < top.size(); ++i) {
      const gpu::Convolution shape = gpu_convolution(*bottom[i], *top[i]);
      const float* from = top[i]->gpu_diff();
      if (bias_term_ && param_propagate_down_[1]) {
        float* bias_diff = blobs_[1]->mutable_gpu_diff();
        for (int n = 0; n < num_; ++n) gpu::add_bias_gradient(shape, columns(), from + size_t(n) * top_dim_, bias_diff);
      }
      if (!propagate_down[i]) continue;
      float* to = bottom[i]->mutable_gpu_diff();
      for (int n = 0; n < num_; ++n) {
        gpu::convolve_back(shape, columns(), blobs_[0]->gpu_data(), from + size_t(n) * top_dim_,
                           to + size_t(n) * bottom_dim_);
      }
    }
  }
#endif

 public:
  bool can_rectify() override { return is_fast() && layer_param_.top_size() == 1; }
  void set_rectification(const float* slope) override { slope_ = slope; }

  // The gradient of the weights is upstream's.
  bool is_recordable() const override { return has_two_axes() && !param_propagate_down_[0]; }
  std::vector<const SyncedMemory*> own_memory() const override {
    if (!bias_term_) return {};
    return {blobs_[1]->diff().get()};
  }

 private:
#ifndef CPU_ONLY
  gpu::Convolution gpu_convolution(const Blob<float>& bottom, const Blob<float>& top) {
    const fast::ConvolutionShape s = convolution_shape(bottom, top);
    const int* dilation = dilation_.cpu_data();
    return {group_,        s.channels,   s.outputs,  s.height,   s.width,     s.out_height,  s.out_width,  s.kernel_h,
            s.kernel_w,    s.stride_h,   s.stride_w, s.pad_h,    s.pad_w,     dilation[0],   dilation[1]};
  }

  gpu::Columns* columns() {
    if (!columns_) columns_ = gpu::shared_columns();
    return columns_.get();
  }

  std::shared_ptr<gpu::Columns> columns_;
#endif

  bool has_two_axes() const { return num_spatial_axes_ == 2 && channel_axis_ == 1; }

  bool is_fast() {
    if (!has_two_axes()) return false;
    const int* dilation = dilation_.cpu_data();
    return dilation[0] == 1 && dilation[1] == 1;
  }

  void backward_parameters(const vector<Blob<float>*>& top, const vector<Blob<float>*>& bottom) {
    for (size_t i = 0; i < top.size(); ++i) {
      const float* top_diff = top[i]->cpu_diff();
      for (int n = 0; n < num_; ++n) {
        const float* of_image = top_diff + n * top_dim_;
        if (bias_term_ && param_propagate_down_[1]) {
          float* bias_diff = blobs_[1]->mutable_cpu_diff();
          fast::parallel_for(num_output_, 0, [&](int output, float*) {
            bias_diff[output] += fast::kernels().total(of_image + size_t(output) * out_spatial_dim_,
                                                       out_spatial_dim_);
          });
        }
        if (param_propagate_down_[0]) {
          weight_cpu_gemm(bottom[i]->cpu_data() + n * bottom_dim_, of_image,
                                blobs_[0]->mutable_cpu_diff());
        }
      }
    }
  }

  fast::ConvolutionShape convolution_shape(const Blob<float>& bottom, const Blob<float>& top) {
    const int* kernel = kernel_shape_.cpu_data();
    const int* stride = stride_.cpu_data();
    const int* pad = pad_.cpu_data();
    return {channels_ / group_, num_output_ / group_,
            bottom.height(), bottom.width(), top.height(), top.width(),
            kernel[0], kernel[1], stride[0], stride[1], pad[0], pad[1]};
  }

  static size_t in_group(const fast::ConvolutionShape& s) { return size_t(s.channels) * s.height * s.width; }
  static size_t out_group(const fast::ConvolutionShape& s) { return size_t(s.outputs) * s.out_height * s.out_width; }

  std::vector<fast::Pass> forward_, backward_;  // one for each group
  const float* slope_ = nullptr;                // of the rectification that this layer does as well
  vector<int> reshaped_, reshaped_top_;         // the shapes of the last Reshape
};

REGISTER_FAST_LAYER(Convolution);

}  // namespace caffe
