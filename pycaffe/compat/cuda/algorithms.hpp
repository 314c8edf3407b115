// Which of cuDNN's algorithms a convolution uses. Needs cuDNN's types declared before it.
#pragma once
#include <algorithm>
#include <map>
#include <vector>

namespace caffe_compat {

// The fastest algorithm that gives the same bits every time and whose workspace is within the limit; where there is none,
// the fastest of any kind within it; else the one that needs the least, which Caffe tries and, if it cannot have that
// either, replaces by one without a workspace.
template <class Found>
const Found* best(const std::vector<Found>& found, size_t limit) {
  const Found* any = nullptr;
  const Found* least = nullptr;
  for (const Found& candidate : found) {
    if (candidate.status != CUDNN_STATUS_SUCCESS) continue;
    if (candidate.memory <= limit) {
      if (candidate.determinism == CUDNN_DETERMINISTIC) return &candidate;
      if (!any) any = &candidate;
    }
    if (!least || candidate.memory < least->memory) least = &candidate;
  }
  return any ? any : least;
}

// cuDNN is asked once for each key in a thread; Caffe asks before every pass.
//   query(most, &count, found): one of cuDNN's _v7 functions.
template <class Found, class Query, class Algorithm>
cudnnStatus_t choose(std::vector<int> key, size_t limit, Query query, Algorithm* algorithm) {
  static thread_local std::map<std::vector<int>, std::vector<Found>> known;
  std::vector<Found>& found = known[key];
  if (found.empty()) {
    std::vector<Found> list(8);
    int count = 0;
    const cudnnStatus_t status = query(static_cast<int>(list.size()), &count, list.data());
    if (status != CUDNN_STATUS_SUCCESS) return status;
    list.resize(count);
    found.swap(list);
  }
  const Found* chosen = best(found, limit);
  if (!chosen) return CUDNN_STATUS_NOT_SUPPORTED;
  *algorithm = chosen->algo;
  return CUDNN_STATUS_SUCCESS;
}

}  // namespace caffe_compat
