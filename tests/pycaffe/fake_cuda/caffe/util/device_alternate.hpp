#pragma once
#include <cuda_runtime.h>
#define CUDA_CHECK(call) what_upstream_does(call)
