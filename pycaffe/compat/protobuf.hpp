// protobuf 3.6 dropped the second argument (a warning threshold) of SetTotalBytesLimit; Caffe still passes it.
#pragma once
#include <google/protobuf/io/coded_stream.h>
#define SetTotalBytesLimit(limit, ...) SetTotalBytesLimit(limit)
