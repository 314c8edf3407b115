#include "rectification.hpp"

#include <algorithm>

namespace fast {
namespace {

bool touches(const caffe::Net<float>& net, int layer, int blob) {
  const auto has = [blob](const std::vector<int>& ids) { return std::find(ids.begin(), ids.end(), blob) != ids.end(); };
  return has(net.bottom_ids(layer)) || has(net.top_ids(layer));
}

}  // namespace

Rectifications::Rectifications(caffe::Net<float>& net, int first, int last) {
  if (caffe::Caffe::mode() != caffe::Caffe::CPU) return;
  const auto& layers = net.layers();
  last = std::min(last, int(layers.size()) - 1);
  for (int i = std::max(first, 0); i < last; ++i) {
    auto* convolution = dynamic_cast<Rectifying*>(layers[i].get());
    if (!convolution || !convolution->can_rectify()) continue;
    const int blob = net.top_ids(i)[0];
    int next = i + 1;
    while (next <= last && !touches(net, next, blob)) ++next;
    if (next > last) continue;
    auto* rectification = dynamic_cast<Rectification*>(layers[next].get());
    if (!rectification || net.top_ids(next)[0] != blob) continue;
    convolution->set_rectification(rectification->slope());
    rectification->set_done_elsewhere(true);
    pairs_.push_back({convolution, rectification});
  }
}

Rectifications::~Rectifications() {
  for (const Pair& pair : pairs_) {
    pair.convolution->set_rectification(nullptr);
    pair.rectification->set_done_elsewhere(false);
  }
}

}  // namespace fast
