// FastLRN: normalisation across channels with beta = 0.75, what GoogLeNet and AlexNet use, threaded and vectorised.

#include <vector>

#include "caffe/layers/lrn_layer.hpp"
#include "kernels.hpp"
#include "recordable.hpp"
#include "register.hpp"
#include "threads.hpp"
#ifndef CPU_ONLY
#include "../gpu/lrn.hpp"
#endif

namespace caffe {

class FastLRNLayer : public LRNLayer<float>, public fast::Recordable {
 public:
  using LRNLayer::LRNLayer;
  const char* type() const override { return "FastLRN"; }

  // Within channels it is made of layers of its own.
  bool is_recordable() const override { return is_across_channels(); }
  std::vector<const SyncedMemory*> own_memory() const override { return {scale_.data().get()}; }

 protected:
  void Forward_cpu(const vector<Blob<float>*>& bottom, const vector<Blob<float>*>& top) override {
    if (!is_fast(bottom, top)) return LRNLayer::Forward_cpu(bottom, top);
    const fast::LrnShape shape = lrn_shape();
    const fast::Kernels& kernels = fast::kernels();
    const float* from = bottom[0]->cpu_data();
    float* to = top[0]->mutable_cpu_data();
    for_runs(0, [&](size_t at, int count, float*) { kernels.lrn(shape, from + at, to + at, count); });
  }

  void Backward_cpu(const vector<Blob<float>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<float>*>& bottom) override {
    if (!is_fast(bottom, top)) return LRNLayer::Backward_cpu(top, propagate_down, bottom);
    if (!propagate_down[0]) return;
    const fast::LrnShape shape = lrn_shape();
    const fast::Kernels& kernels = fast::kernels();
    const float* data = bottom[0]->cpu_data();
    const float* from = top[0]->cpu_diff();
    float* to = bottom[0]->mutable_cpu_diff();
    for_runs(kRun * shape.channels, [&](size_t at, int count, float* scratch) {
      kernels.lrn_backward(shape, data + at, from + at, to + at, count, scratch);
    });
  }

#ifndef CPU_ONLY
  void Forward_gpu(const vector<Blob<float>*>& bottom, const vector<Blob<float>*>& top) override {
    if (!is_across_channels() || bottom[0] == top[0]) return LRNLayer::Forward_gpu(bottom, top);
    gpu::lrn(gpu_shape(), bottom[0]->gpu_data(), scale_.mutable_gpu_data(), top[0]->mutable_gpu_data());
  }

  void Backward_gpu(const vector<Blob<float>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<float>*>& bottom) override {
    if (!is_across_channels() || bottom[0] == top[0]) return LRNLayer::Backward_gpu(top, propagate_down, bottom);
    if (!propagate_down[0]) return;
    gpu::lrn_backward(gpu_shape(), bottom[0]->gpu_data(), scale_.gpu_data(), top[0]->gpu_data(), top[0]->gpu_diff(),
                      bottom[0]->mutable_gpu_diff());
  }
#endif

 private:
#ifndef CPU_ONLY
  gpu::Lrn gpu_shape() const {
    return {num_ * channels_ * height_ * width_, channels_, height_ * width_, pre_pad_, float(k_), float(alpha_ / size_),
            float(beta_)};
  }
#endif

  bool is_across_channels() const {
    return layer_param_.lrn_param().norm_region() == LRNParameter_NormRegion_ACROSS_CHANNELS;
  }

  static constexpr int kRun = 256;  // pixels; all channels of a run fit into the second-level cache

  bool is_fast(const vector<Blob<float>*>& bottom, const vector<Blob<float>*>& top) const {
    return is_across_channels() && beta_ == 0.75f && k_ > 0 && alpha_ >= 0 && bottom[0] != top[0];
  }

  fast::LrnShape lrn_shape() const {
    return {channels_, pre_pad_, ptrdiff_t(height_) * width_, float(k_),
            float(alpha_ / size_), float(2 * alpha_ * beta_ / size_)};
  }

  // Calls work(offset of the first value, pixels, scratch) for runs of neighbouring pixels that make up everything.
  template <class Work>
  void for_runs(size_t scratch_floats, const Work& work) const {
    const int plane = height_ * width_;
    const int runs = (plane + kRun - 1) / kRun;
    fast::parallel_for(num_ * runs, scratch_floats, [&](int item, float* scratch) {
      const int begin = item % runs * kRun;
      work(size_t(item / runs) * channels_ * plane + begin, std::min(kRun, plane - begin), scratch);
    });
  }
};

REGISTER_FAST_LAYER(LRN);

}  // namespace caffe
