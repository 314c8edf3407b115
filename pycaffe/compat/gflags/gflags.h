// Stands in for gflags: Caffe's library code names only the entry point that its command-line tools call.
#ifndef GFLAGS_GFLAGS_H_
#define GFLAGS_GFLAGS_H_

namespace gflags {
inline void ParseCommandLineFlags(int*, char***, bool) {}
}  // namespace gflags

#endif  // GFLAGS_GFLAGS_H_
