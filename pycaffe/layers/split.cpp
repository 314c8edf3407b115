// FastSplit: adds the gradients of a blob's readers in one go through memory, in upstream's order. Caffe itself inserts
// Split layers where a blob has several readers; a definition that has FastSplit layers there already keeps them.

#include <vector>

#include "caffe/layers/split_layer.hpp"
#include "kernels.hpp"
#include "recordable.hpp"
#include "register.hpp"
#include "threads.hpp"
#ifndef CPU_ONLY
#include "../gpu/planes.hpp"
#endif

namespace caffe {

class FastSplitLayer : public SplitLayer<float>, public fast::Recordable {
 public:
  using SplitLayer::SplitLayer;
  const char* type() const override { return "FastSplit"; }

 protected:
  void Backward_cpu(const vector<Blob<float>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<float>*>& bottom) override {
    if (top.size() < 2) return SplitLayer::Backward_cpu(top, propagate_down, bottom);
    if (!propagate_down[0]) return;
    const fast::Kernels& kernels = fast::kernels();
    vector<const float*> from;
    for (const Blob<float>* blob : top) from.push_back(blob->cpu_diff());
    float* to = bottom[0]->mutable_cpu_diff();
    fast::parallel_pieces(count_, [&](int begin, int count) {
      kernels.add(from[0] + begin, from[1] + begin, to + begin, count);
      for (size_t i = 2; i < from.size(); ++i) kernels.add(to + begin, from[i] + begin, to + begin, count);
    });
  }

#ifndef CPU_ONLY
  void Backward_gpu(const vector<Blob<float>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<float>*>& bottom) override {
    if (top.size() < 3 || top.size() > 4) return SplitLayer::Backward_gpu(top, propagate_down, bottom);
    if (!propagate_down[0]) return;
    gpu::add_up(count_, top[0]->gpu_diff(), top[1]->gpu_diff(), top[2]->gpu_diff(),
                top.size() == 4 ? top[3]->gpu_diff() : nullptr, bottom[0]->mutable_gpu_diff());
  }
#endif
};

REGISTER_FAST_LAYER(Split);

}  // namespace caffe
