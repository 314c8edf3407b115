// Included once by each kernels_*.cpp. Everything is in an unnamed namespace: the three copies must not be merged.
#include "kernels.hpp"

#include "correlation.inl"
#include "elementwise.inl"
#include "lrn.inl"
#include "pooling.inl"

namespace fast {
namespace {

Kernels make_kernels(const char* name) {
  Kernels table = {};
  table.name = name;
  table.panel_rows = kRows;
  table.lanes = kLanes;
  table.correlate = correlate;
  table.slack = kMoreVectors * kLanes;
  table.pool_scratch = pool_scratch;
  table.max_pool = max_pool;
  table.max_pool_backward = max_pool_backward;
  table.lrn = lrn;
  table.lrn_backward = lrn_backward;
  table.relu = relu;
  table.relu_backward = relu_backward;
  table.add = add;
  table.add_scaled = add_scaled;
  table.total = total;
  table.dot = dot;
  return table;
}

}  // namespace
}  // namespace fast
