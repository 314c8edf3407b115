#include "passes.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "../layers/recordable.hpp"
#include "caffe/util/device_alternate.hpp"
#include "caffe/util/math_functions.hpp"
#include "convolution.hpp"
#include "planes.hpp"

namespace gpu {
namespace {

using Layer = caffe::Layer<float>;
using Blobs = std::vector<caffe::Blob<float>*>;
using Memory = std::vector<const void*>;

const size_t MOST_SIZES = 12;  // whose graphs are kept: those of the octaves of two or three dreams

// With more pixels, the kernels take much longer than their launches, and each fills the GPU.
const int MOST_PIXELS = 2 << 20;

// Layers without a Fast one whose passes are kernels or nothing, and that keep nothing.
bool is_simple(const Layer& layer) {
  static const std::set<std::string> simple = {"Input", "Concat", "Split", "Dropout"};
  return simple.count(layer.type());
}

const fast::Recordable* as_recordable(const Layer& layer) { return dynamic_cast<const fast::Recordable*>(&layer); }

// Lets cuBLAS compute in the streams of a recording; afterwards in the default one again.
class CublasStreams {
 public:
  CublasStreams() : handle_(caffe::Caffe::cublas_handle()) {
    int device = 0, generation = 0;
    CUDA_CHECK(cudaGetDevice(&device));
    CUDA_CHECK(cudaDeviceGetAttribute(&generation, cudaDevAttrComputeCapabilityMajor, device));
    size_ = size_t(generation == 9 ? 32 : 4) << 20;  // cuBLAS's own choice: its algorithms depend on it
  }
  ~CublasStreams() {
    cublasSetStream(handle_, nullptr);
    cudaFree(memory_);
  }

  void use(int branch, cudaStream_t stream) const {
    CUBLAS_CHECK(cublasSetStream(handle_, stream));
    CUBLAS_CHECK(cublasSetWorkspace(handle_, static_cast<char*>(memory_) + branch * size_, size_));
  }

  // The workspaces of all branches, in bytes.
  size_t size() const { return size_ * Columns::BRANCHES; }

  void allocate() { CUDA_CHECK(cudaMalloc(&memory_, size())); }

  // The workspaces, which are the caller's from now on.
  void* release() {
    void* const memory = memory_;
    memory_ = nullptr;
    return memory;
  }

 private:
  cublasContext* const handle_;
  size_t size_ = 0;
  void* memory_ = nullptr;
};

// The streams of a recording: one for each branch that may run beside others. What is recorded waits for what it depends
// on, by the memory that it reads and writes.
class Recorder {
 public:
  explicit Recorder(const CublasStreams& cublas) : cublas_(cublas) {}

  // Of its own, so that the destructor cleans up after what fails here, too.
  void begin() {
    for (Branch& branch : branches_) {
      // Not one that waits for the default stream, in which other threads may work now.
      CUDA_CHECK(cudaStreamCreateWithFlags(&branch.stream, cudaStreamNonBlocking));
    }
    CUDA_CHECK(cudaStreamBeginCapture(branches_[0].stream, cudaStreamCaptureModeThreadLocal));
    recording_ = true;
  }

  ~Recorder() {
    if (recording_) {
      cudaGraph_t rest = nullptr;
      cudaStreamEndCapture(branches_[0].stream, &rest);
      if (rest) cudaGraphDestroy(rest);
    }
    caffe_compat::launch_stream = nullptr;
    Columns::branch = 0;
    for (cudaEvent_t event : events_) cudaEventDestroy(event);
    for (Branch& branch : branches_) {
      if (branch.stream) cudaStreamDestroy(branch.stream);
    }
    cudaGetLastError();
  }

  // Record what `work` launches; it reads and writes this memory.
  template <class Work>
  void record(const Memory& reads, const Memory& writes, Work work) {
    std::set<int> before;
    for (const void* memory : reads) before.insert(users_[memory].writer);
    for (const void* memory : writes) {
      before.insert(users_[memory].writer);
      before.insert(users_[memory].readers.begin(), users_[memory].readers.end());
    }
    before.erase(-1);
    const int number = static_cast<int>(events_.size()), chosen = branch_after(before);
    Branch& branch = branches_[chosen];
    for (auto step = before.rbegin(); step != before.rend(); ++step) {
      const int other = branch_of_[*step];
      if (other == chosen || branch.has_waited_for[other] >= *step) continue;
      CUDA_CHECK(cudaStreamWaitEvent(branch.stream, events_[*step], 0));
      branch.has_waited_for[other] = *step;
    }
    if (before.empty() && chosen) {  // it belongs to the recording as soon as it waits for something in it
      CUDA_CHECK(cudaStreamWaitEvent(branch.stream, events_.at(0), 0));
    }
    caffe_compat::launch_stream = branch.stream;
    Columns::branch = chosen;
    cublas_.use(chosen, branch.stream);
    work();
    events_.push_back(event_in(branch.stream));
    branch_of_.push_back(chosen);
    branch.last = number;
    for (const void* memory : reads) users_[memory].readers.push_back(number);
    for (const void* memory : writes) users_[memory] = {number, {}};
  }

  // The graph of everything recorded.
  cudaGraphExec_t end() {
    for (const Branch& branch : branches_) {
      if (branch.last >= 0) CUDA_CHECK(cudaStreamWaitEvent(branches_[0].stream, events_[branch.last], 0));
    }
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    recording_ = false;
    CUDA_CHECK(cudaStreamEndCapture(branches_[0].stream, &graph));
    const cudaError_t error = cudaGraphInstantiate(&executable, graph, 0);
    cudaGraphDestroy(graph);
    CUDA_CHECK(error);
    return executable;
  }

 private:
  struct Branch {
    cudaStream_t stream = nullptr;
    int last = -1;  // the step that it recorded last
    int has_waited_for[Columns::BRANCHES] = {-1, -1, -1, -1};
  };
  struct Users {
    int writer = -1;
    std::vector<int> readers;  // since then
  };

  // The branch that goes on after one of these steps, or else the one that has had nothing to do for longest.
  int branch_after(const std::set<int>& before) const {
    int found = 0;
    for (auto step = before.rbegin(); step != before.rend(); ++step) {
      if (branches_[branch_of_[*step]].last == *step) return branch_of_[*step];
    }
    for (int other = 1; other < Columns::BRANCHES; ++other) {
      if (branches_[other].last < branches_[found].last) found = other;
    }
    return found;
  }

  cudaEvent_t event_in(cudaStream_t stream) {
    cudaEvent_t event = nullptr;
    CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    const cudaError_t error = cudaEventRecord(event, stream);
    if (error != cudaSuccess) cudaEventDestroy(event);
    CUDA_CHECK(error);
    return event;
  }

  const CublasStreams& cublas_;
  Branch branches_[Columns::BRANCHES];
  std::vector<cudaEvent_t> events_;  // at the end of each step
  std::vector<int> branch_of_;       // by step
  std::map<const void*, Users> users_;
  bool recording_ = false;
};

void add_data(const Blobs& blobs, Memory* memory) {
  for (const caffe::Blob<float>* blob : blobs) memory->push_back(blob->data().get());
}

void add_diffs(const Blobs& blobs, Memory* memory) {
  for (const caffe::Blob<float>* blob : blobs) memory->push_back(blob->diff().get());
}

// The address of memory on the GPU; nullptr if there is none yet.
const void* address(const caffe::SyncedMemory* memory) {
  if (!memory || memory->head() == caffe::SyncedMemory::UNINITIALIZED) return nullptr;
  return const_cast<caffe::SyncedMemory*>(memory)->gpu_data();
}

}  // namespace

// What may be launched, as long as nothing has moved.
class Passes::Graph {
 public:
  Graph(cudaGraphExec_t executable, void* workspaces) : executable_(executable), workspaces_(workspaces) {}
  Graph(const Graph&) = delete;
  ~Graph() {
    cudaGraphExecDestroy(executable_);
    cudaFree(workspaces_);
    cudaGetLastError();
  }

  void launch() const { CUDA_CHECK(cudaGraphLaunch(executable_, nullptr)); }

 private:
  const cudaGraphExec_t executable_;
  void* const workspaces_;
};

// A size of the input that was computed.
struct Passes::Size {
  std::vector<int> input;
  std::vector<int> shapes;             // of all blobs, after the latest pass
  std::vector<const void*> addresses;  // of everything that a pass uses, likewise
  std::unique_ptr<Graph> graph;
  bool cannot_be_recorded = false;
};

Passes::Passes(boost::shared_ptr<caffe::Net<float>> net, int last, int blob)
    : net_(net), last_(last), blob_(blob), is_recordable_(is_recordable()) {}

Passes::~Passes() = default;

bool Passes::is_recordable() const {
  for (int i = 0; i <= last_; ++i) {
    Layer& layer = *net_->layers()[i];
    const fast::Recordable* recordable = as_recordable(layer);
    if (recordable ? !recordable->is_recordable() : !is_simple(layer)) return false;
    for (size_t top = 0; top < net_->top_vecs()[i].size(); ++top) {
      if (layer.loss(top)) return false;
    }
  }
  return true;
}

Passes::Size& Passes::size_of_input() {
  std::vector<int> shape;
  for (const caffe::Blob<float>* input : net_->input_blobs()) {
    shape.insert(shape.end(), input->shape().begin(), input->shape().end());
  }
  const auto found =
      std::find_if(sizes_.begin(), sizes_.end(), [&](const auto& size) { return size->input == shape; });
  if (found != sizes_.end()) {
    std::rotate(found, found + 1, sizes_.end());
  } else {
    if (sizes_.size() == MOST_SIZES) sizes_.erase(sizes_.begin());
    sizes_.emplace_back(new Size);
    sizes_.back()->input = shape;
  }
  return *sizes_.back();
}

std::vector<int> Passes::shapes() const {
  std::vector<int> found;
  for (int i = 0; i <= last_; ++i) {
    for (const caffe::Blob<float>* blob : net_->top_vecs()[i]) {
      found.insert(found.end(), blob->shape().begin(), blob->shape().end());
    }
  }
  return found;
}

std::vector<const void*> Passes::addresses() const {
  std::vector<const void*> found;
  for (int i = 0; i <= last_; ++i) {
    Layer& layer = *net_->layers()[i];
    for (const Blobs* blobs : {&net_->bottom_vecs()[i], &net_->top_vecs()[i]}) {
      for (const caffe::Blob<float>* blob : *blobs) {
        found.push_back(address(blob->data().get()));
        found.push_back(address(blob->diff().get()));
      }
    }
    for (const auto& parameter : layer.blobs()) found.push_back(address(parameter->data().get()));
    if (const fast::Recordable* recordable = as_recordable(layer)) {
      for (const caffe::SyncedMemory* memory : recordable->own_memory()) found.push_back(address(memory));
    }
  }
  const std::vector<const void*> columns = shared_columns()->addresses();
  found.insert(found.end(), columns.begin(), columns.end());
  return found;
}

float Passes::run() {
  Size& size = size_of_input();
  const bool has_callbacks = !net_->before_forward().empty() || !net_->after_forward().empty() ||
                             !net_->before_backward().empty() || !net_->after_backward().empty();
  if (!is_recordable_ || has_callbacks || net_->input_blobs()[0]->count(2) > MOST_PIXELS) {
    size.graph.reset();
    compute();
  } else if (!launch(size)) {
    compute();
    size.shapes = shapes();
    size.addresses = addresses();
  }
  return half_sum_of_squares(*net_->blobs()[blob_]);
}

// The passes as the layers do them.
void Passes::compute() {
  net_->ForwardFromTo(0, last_);
  take_data_as_gradient(net_->blobs()[blob_].get());
  net_->BackwardFromTo(last_, 0);
}

// Launch the graph of a size, recorded first if there is none; false if that cannot be done now.
bool Passes::launch(Size& size) {
  const std::shared_ptr<Columns> columns = shared_columns();
  std::lock_guard<std::recursive_mutex> lock(columns->mutex);
  if (!size.shapes.empty() && size.shapes != shapes()) {  // another size was computed in between
    for (int i = 0; i <= last_; ++i) net_->layers()[i]->Reshape(net_->bottom_vecs()[i], net_->top_vecs()[i]);
  }
  if (size.shapes.empty() || size.shapes != shapes() || size.addresses != addresses()) {
    size.graph.reset();
    return false;
  }
  if (size.cannot_be_recorded) return false;
  try {
    if (!size.graph) {
      size.graph = record();
      size.addresses = addresses();  // the columns may be larger
    }
    mark_written();
    size.graph->launch();
  } catch (const caffe_compat::Error&) {  // what the layers do themselves may work, or says what is wrong
    size.graph.reset();
    size.cannot_be_recorded = true;
    return false;
  }
  ++launches_;
  return true;
}

std::unique_ptr<Passes::Graph> Passes::record() const {
  const std::shared_ptr<Columns> columns = shared_columns();
  CublasStreams cublas;
  size_t free = 0, total = 0;
  CUDA_CHECK(cudaMemGetInfo(&free, &total));
  CHECK_LE(cublas.size() + columns->missing(), free / 4) << "too little memory for a graph";
  columns->reserve_all();
  cublas.allocate();
  cudaGraphExec_t executable = nullptr;
  {
    Recorder recorder(cublas);
    recorder.begin();
    for (int i = 0; i <= last_; ++i) {
      Layer& layer = *net_->layers()[i];
      const Blobs &bottoms = net_->bottom_vecs()[i], &tops = net_->top_vecs()[i];
      Memory reads, writes = {&layer};
      add_data(bottoms, &reads);
      add_data(tops, &writes);
      recorder.record(reads, writes, [&] { layer.Forward(bottoms, tops); });
    }
    caffe::Blob<float>* const end = net_->blobs()[blob_].get();
    recorder.record({end->data().get()}, {end->diff().get()}, [&] { take_data_as_gradient(end); });
    for (int i = last_; i >= 0; --i) {
      if (!net_->layer_need_backward()[i]) continue;
      Layer& layer = *net_->layers()[i];
      const Blobs &bottoms = net_->bottom_vecs()[i], &tops = net_->top_vecs()[i];
      Memory reads, writes = {&layer};
      add_data(bottoms, &reads);
      add_data(tops, &reads);
      add_diffs(tops, &reads);
      add_diffs(bottoms, &writes);
      recorder.record(reads, writes, [&] { layer.Backward(tops, net_->bottom_need_backward()[i], bottoms); });
    }
    executable = recorder.end();
  }
  return std::unique_ptr<Graph>(new Graph(executable, cublas.release()));
}

// What the graph writes is newer than what the host has of it.
void Passes::mark_written() const {
  for (int i = 0; i <= last_; ++i) {
    for (caffe::Blob<float>* top : net_->top_vecs()[i]) {
      if (address(top->data().get())) top->mutable_gpu_data();
    }
    Layer& layer = *net_->layers()[i];
    for (size_t parameter = 0; parameter < layer.blobs().size(); ++parameter) {
      if (layer.param_propagate_down(parameter)) layer.blobs()[parameter]->mutable_gpu_diff();
    }
    const Blobs& bottoms = net_->bottom_vecs()[i];
    for (size_t bottom = 0; bottom < bottoms.size(); ++bottom) {
      const bool written = net_->layer_need_backward()[i] && net_->bottom_need_backward()[i][bottom];
      if (written && address(bottoms[bottom]->diff().get())) bottoms[bottom]->mutable_gpu_diff();
    }
  }
  net_->blobs()[blob_]->mutable_gpu_diff();
}

}  // namespace gpu
