// FastInnerProduct: upstream's fully connected layer for one picture at a time, with the same bits for any number of
// threads.
//
// Upstream multiplies by BLAS, which splits a long sum among its threads and so rounds it in another way for another
// number of them. Here every sum is taken in one order by one thread.

#include <algorithm>
#include <vector>

#include "caffe/layers/inner_product_layer.hpp"
#include "kernels.hpp"
#include "register.hpp"
#include "threads.hpp"

namespace caffe {

class FastInnerProductLayer : public InnerProductLayer<float> {
 public:
  using InnerProductLayer::InnerProductLayer;
  const char* type() const override { return "FastInnerProduct"; }

 protected:
  void Forward_cpu(const vector<Blob<float>*>& bottom, const vector<Blob<float>*>& top) override {
    if (!is_fast()) return InnerProductLayer::Forward_cpu(bottom, top);
    const fast::Kernels& kernels = fast::kernels();
    const float* weights = this->blobs_[0]->cpu_data();
    const float* bias = bias_term_ ? this->blobs_[1]->cpu_data() : nullptr;
    const float* from = bottom[0]->cpu_data();
    float* to = top[0]->mutable_cpu_data();
    for_blocks(N_, kOutputs, [&](int begin, int end) {
      for (int n = begin; n < end; ++n) {
        to[n] = kernels.dot(weights + size_t(n) * K_, from, K_) + (bias ? bias[n] : 0.0f);
      }
    });
  }

  void Backward_cpu(const vector<Blob<float>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<float>*>& bottom) override {
    if (!is_fast()) return InnerProductLayer::Backward_cpu(top, propagate_down, bottom);
    InnerProductLayer::Backward_cpu(top, {false}, bottom);  // the parameters' gradients, where they are wanted
    if (!propagate_down[0]) return;
    const fast::Kernels& kernels = fast::kernels();
    const float* weights = this->blobs_[0]->cpu_data();
    const float* from = top[0]->cpu_diff();
    float* to = bottom[0]->mutable_cpu_diff();
    for_blocks(K_, kInputs, [&](int begin, int end) {
      std::fill(to + begin, to + end, 0.0f);
      for (int n = 0; n < N_; ++n) {
        kernels.add_scaled(weights + size_t(n) * K_ + begin, from[n], to + begin, end - begin);
      }
    });
  }

 private:
  static constexpr int kOutputs = 16, kInputs = 256;  // of a block, which one thread computes

  bool is_fast() const { return M_ == 1 && !transpose_; }

  // Calls work(begin, end) for blocks that make up [0, count), in parallel.
  template <class Work>
  static void for_blocks(int count, int block, const Work& work) {
    fast::parallel_for((count + block - 1) / block, 0, [&](int item, float*) {
      work(item * block, std::min(count, (item + 1) * block));
    });
  }
};

REGISTER_FAST_LAYER(InnerProduct);

}  // namespace caffe
