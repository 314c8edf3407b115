// Upstream's header; while it is read, its cudnnGetErrorString bears another name, because cuDNN has had one of its own
// since version 7. Afterwards the name means cuDNN's, which knows all of its errors.
#pragma once
#ifdef USE_CUDNN
#include <cudnn.h>
#define cudnnGetErrorString caffe_cudnnGetErrorString
#include_next "caffe/util/cudnn.hpp"
#undef cudnnGetErrorString
#endif
