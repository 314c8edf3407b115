// FastLRN: normalisation across channels with beta = 0.75, what GoogLeNet and AlexNet use, threaded and vectorised.

#include <type_traits>
#include <vector>

#include "caffe/layer_factory.hpp"
#include "caffe/layers/lrn_layer.hpp"
#include "kernels.hpp"
#include "threads.hpp"

namespace caffe {

template <typename Dtype>
class FastLRNLayer : public LRNLayer<Dtype> {
 public:
  using LRNLayer<Dtype>::LRNLayer;
  const char* type() const override { return "FastLRN"; }

  void LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override {
    LRNLayer<Dtype>::LayerSetUp(bottom, top);
    fast::kernels();  // a PYCAFFE_ISA that cannot be had is an error now, not in the middle of a pass
  }

 protected:
  void Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override {
    if constexpr (std::is_same_v<Dtype, float>) {
      if (is_fast(bottom, top)) {
        const fast::LrnShape shape = lrn_shape();
        const fast::Kernels& kernels = fast::kernels();
        const float* from = bottom[0]->cpu_data();
        float* to = top[0]->mutable_cpu_data();
        for_runs(kRun, [&](size_t at, int count, float* scratch) {
          kernels.lrn(shape, from + at, to + at, count, scratch);
        });
        return;
      }
    }
    LRNLayer<Dtype>::Forward_cpu(bottom, top);
  }

  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override {
    if constexpr (std::is_same_v<Dtype, float>) {
      if (is_fast(bottom, top)) {
        if (!propagate_down[0]) return;
        const fast::LrnShape shape = lrn_shape();
        const fast::Kernels& kernels = fast::kernels();
        const float* data = bottom[0]->cpu_data();
        const float* from = top[0]->cpu_diff();
        float* to = bottom[0]->mutable_cpu_diff();
        for_runs(kRun * (shape.channels + 2), [&](size_t at, int count, float* scratch) {
          kernels.lrn_backward(shape, data + at, from + at, to + at, count, scratch);
        });
        return;
      }
    }
    LRNLayer<Dtype>::Backward_cpu(top, propagate_down, bottom);
  }

 private:
  static constexpr int kRun = 256;  // pixels; all channels of a run fit into the second-level cache

  bool is_fast(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) const {
    return this->layer_param_.lrn_param().norm_region() == LRNParameter_NormRegion_ACROSS_CHANNELS &&
           this->beta_ == Dtype(0.75) && bottom[0] != top[0];
  }

  fast::LrnShape lrn_shape() const {
    return {this->channels_, this->pre_pad_, ptrdiff_t(this->height_) * this->width_, float(this->k_),
            float(this->alpha_ / this->size_), float(2 * this->alpha_ * this->beta_ / this->size_)};
  }

  // Calls work(offset of the first value, pixels, scratch) for runs of neighbouring pixels that make up everything.
  template <class Work>
  void for_runs(size_t scratch_floats, const Work& work) const {
    const int plane = this->height_ * this->width_;
    const int runs = (plane + kRun - 1) / kRun;
    fast::parallel_for(this->num_ * runs, scratch_floats, [&](int item, float* scratch) {
      const int begin = item % runs * kRun;
      work(size_t(item / runs) * this->channels_ * plane + begin, std::min(kRun, plane - begin), scratch);
    });
  }
};

INSTANTIATE_CLASS(FastLRNLayer);
REGISTER_LAYER_CLASS(FastLRN);

}  // namespace caffe
