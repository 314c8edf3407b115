// FastSplit: adds the gradients of a blob's readers in one go through memory, in upstream's order. Caffe itself inserts
// Split layers where a blob has several readers; a definition that has FastSplit layers there already keeps them.

#include <vector>

#include "caffe/layers/split_layer.hpp"
#include "kernels.hpp"
#include "register.hpp"
#include "threads.hpp"

namespace caffe {

class FastSplitLayer : public SplitLayer<float> {
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
};

REGISTER_FAST_LAYER(Split);

}  // namespace caffe
