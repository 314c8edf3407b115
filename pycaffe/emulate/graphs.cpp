// Streams, events and graphs. Everything is done when a call returns, so that streams have nothing to order, except while
// a graph is recorded in them: then each call becomes a step of it, which waits for the steps before it in its stream, and
// for those before the events that its stream waits for. A graph's steps run in another order at each launch, as far as
// what they wait for allows: one that does not wait for what it needs gives other bits.

#include <chrono>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <vector>

#include "emulator.hpp"

using emulate::begin_call;
using emulate::fail;

struct emulated_graph {
  struct Node {
    emulate::Step step;
    std::set<int> before;
  };
  std::vector<Node> nodes;
};

namespace {

struct Recording {
  cudaStream_t origin;
  std::set<cudaStream_t> streams;
  emulated_graph graph;
  bool valid = true;
};

// The recordings of this thread.
thread_local std::set<std::shared_ptr<Recording>> recordings;

}  // namespace

struct emulated_stream {
  std::shared_ptr<Recording> recording;
  std::set<int> before;  // what its next step waits for
};
struct emulated_event {
  std::chrono::steady_clock::time_point time;
  std::shared_ptr<Recording> recording;
  std::set<int> before;
};

namespace {

#define BEGIN(name) \
  const cudaError_t asked = begin_call(name); \
  if (asked != cudaSuccess) return asked

// Everything that the steps wait for, and they themselves.
std::set<int> with_all_before(const emulated_graph& graph, const std::set<int>& steps) {
  std::set<int> found = steps;
  for (int number = static_cast<int>(graph.nodes.size()) - 1; number >= 0; --number) {
    if (found.count(number)) found.insert(graph.nodes[number].before.begin(), graph.nodes[number].before.end());
  }
  return found;
}

// Which of the steps that may run is the next: at each launch of any graph another.
size_t choose(int launch, size_t count, std::mt19937& numbers) {
  if (launch % 4 == 0) return 0;
  if (launch % 4 == 1) return count - 1;
  return numbers() % count;
}

}  // namespace

namespace emulate {

bool record(cudaStream_t stream, const Step& step) {
  if (!stream || !stream->recording) return false;
  std::vector<emulated_graph::Node>& nodes = stream->recording->graph.nodes;
  nodes.push_back({step, stream->before});
  stream->before = {static_cast<int>(nodes.size()) - 1};
  return true;
}

cudaError_t forbid_in_recording(cudaError_t error) {
  for (const std::shared_ptr<Recording>& each : recordings) each->valid = false;
  return recordings.empty() ? cudaSuccess : error;
}

}  // namespace emulate

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  BEGIN("cudaStreamCreate");
  *stream = new emulated_stream;
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) { return cudaStreamCreate(stream); }
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  BEGIN("cudaStreamDestroy");
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  BEGIN("cudaStreamWaitEvent");
  if (!stream) return cudaSuccess;
  if (!event->recording) return stream->recording ? fail(cudaErrorStreamCaptureIsolation) : cudaSuccess;
  if (stream->recording && stream->recording != event->recording) return fail(cudaErrorStreamCaptureIsolation);
  stream->recording = event->recording;
  stream->recording->streams.insert(stream);
  stream->before.insert(event->before.begin(), event->before.end());
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  BEGIN("cudaEventCreate");
  *event = new emulated_event;
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) { return cudaEventCreate(event); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  BEGIN("cudaEventDestroy");
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  BEGIN("cudaEventRecord");
  event->time = std::chrono::steady_clock::now();
  event->recording = stream ? stream->recording : nullptr;
  event->before = stream ? stream->before : std::set<int>();
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - begin->time).count();
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  BEGIN("cudaStreamBeginCapture");
  if (!stream || stream->recording) return fail(cudaErrorStreamCaptureUnsupported);
  stream->recording = std::make_shared<Recording>();
  stream->recording->origin = stream;
  stream->recording->streams = {stream};
  stream->before.clear();
  recordings.insert(stream->recording);
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const std::shared_ptr<Recording> recording = stream->recording;
  if (!recording || recording->origin != stream) return fail(cudaErrorStreamCaptureUnmatched);
  const bool joined = with_all_before(recording->graph, stream->before).size() == recording->graph.nodes.size();
  for (cudaStream_t each : recording->streams) {
    each->recording.reset();
    each->before.clear();
  }
  recordings.erase(recording);
  *graph = nullptr;
  BEGIN("cudaStreamEndCapture");
  if (!recording->valid) return fail(cudaErrorStreamCaptureInvalidated);
  if (!joined) return fail(cudaErrorStreamCaptureUnjoined);
  *graph = new emulated_graph(recording->graph);
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  BEGIN("cudaGraphInstantiate");
  *executable = new emulated_graph(*graph);
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  BEGIN("cudaGraphLaunch");
  if (stream) return fail(cudaErrorInvalidValue);  // the emulator knows launches in the default stream alone
  if (emulate::forbid_in_recording() != cudaSuccess) return fail(cudaErrorStreamCaptureUnsupported);
  static std::mutex mutex;
  static int launches = 0;
  std::lock_guard<std::mutex> lock(mutex);
  const int launch = launches++;
  std::mt19937 numbers(launch);
  const std::vector<emulated_graph::Node>& nodes = executable->nodes;
  std::vector<std::set<int>> waits_for;
  std::vector<int> ready;
  for (const emulated_graph::Node& node : nodes) {
    waits_for.push_back(node.before);
    if (node.before.empty()) ready.push_back(static_cast<int>(waits_for.size()) - 1);
  }
  while (!ready.empty()) {
    const auto chosen = ready.begin() + choose(launch, ready.size(), numbers);
    const int number = *chosen;
    ready.erase(chosen);
    const cudaError_t error = nodes[number].step();
    if (error != cudaSuccess) return fail(error);
    for (int other = number + 1; other < static_cast<int>(nodes.size()); ++other) {
      if (waits_for[other].erase(number) && waits_for[other].empty()) ready.push_back(other);
    }
  }
  return cudaSuccess;
}
