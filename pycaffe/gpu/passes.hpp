// A gradient on a GPU as one CUDA graph: forward to a layer, half the sum of its squares, and backward to the image.
//
// A small picture keeps a GPU waiting for the next of some 330 launches, and none of them fills it. A graph is launched at
// once, and what does not depend on each other in it runs side by side: the branches of an inception module. It holds
// addresses and sizes; that both are still the net's is checked before every use.
#ifndef PYCAFFE_GPU_PASSES_HPP_
#define PYCAFFE_GPU_PASSES_HPP_

#include <boost/shared_ptr.hpp>
#include <memory>
#include <vector>

#include "caffe/net.hpp"

namespace gpu {

class Passes {
 public:
  // To the layer number `last`, one of whose tops is blob number `blob` of the net.
  Passes(boost::shared_ptr<caffe::Net<float>> net, int last, int blob);
  ~Passes();

  // Half the sum of the squares of the blob's data; the gradient is in the net's blobs. The first time that a size is
  // computed, the layers do it themselves; a graph is recorded when it comes again.
  float run();

  // How often a graph was launched.
  long launches() const { return launches_; }

 private:
  class Graph;
  struct Size;

  bool is_recordable() const;
  Size& size_of_input();
  std::vector<int> shapes() const;
  std::vector<const void*> addresses() const;
  void compute();
  bool launch(Size& size);
  std::unique_ptr<Graph> record() const;
  void mark_written() const;

  const boost::shared_ptr<caffe::Net<float>> net_;
  const int last_, blob_;
  const bool is_recordable_;
  std::vector<std::unique_ptr<Size>> sizes_;  // the latest last
  long launches_ = 0;
};

}  // namespace gpu

#endif  // PYCAFFE_GPU_PASSES_HPP_
