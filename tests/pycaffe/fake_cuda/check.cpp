// Checks pycaffe/compat/cuda on a CUDA of the tests' own. Prints what does not hold; returns how many things that are.
#include <cstdio>
#include <string>
#include <thread>

enum cudnnStatus_t { CUDNN_STATUS_SUCCESS = 0, CUDNN_STATUS_NOT_SUPPORTED = 3000 };
enum cudnnDeterminism_t { CUDNN_NON_DETERMINISTIC = 0, CUDNN_DETERMINISTIC = 1 };

#include <algorithms.hpp>
#include <caffe/util/device_alternate.hpp>
#include <cublas_v2.h>
#include <curand.h>

namespace workspace {
#include <workspace.hpp>
cudaError_t allocate() {
  void* pointer = nullptr;
  return cudaMalloc(&pointer, 1);
}
#undef cudaMalloc
}  // namespace workspace

int failures = 0;
#define EXPECT(condition) \
  do { \
    if (!(condition)) { \
      std::printf("line %d: %s\n", __LINE__, #condition); \
      ++failures; \
    } \
  } while (0)

struct Found {
  int algo;
  cudnnStatus_t status;
  size_t memory;
  cudnnDeterminism_t determinism;
};

void algorithms() {
  using caffe_compat::best;
  const std::vector<Found> found = {
      {1, CUDNN_STATUS_NOT_SUPPORTED, 0, CUDNN_DETERMINISTIC}, {2, CUDNN_STATUS_SUCCESS, 900, CUDNN_DETERMINISTIC},
      {3, CUDNN_STATUS_SUCCESS, 50, CUDNN_NON_DETERMINISTIC},  {4, CUDNN_STATUS_SUCCESS, 100, CUDNN_DETERMINISTIC},
      {5, CUDNN_STATUS_SUCCESS, 20, CUDNN_DETERMINISTIC}};
  EXPECT(best(found, 1000)->algo == 2);  // the fastest that is supported
  EXPECT(best(found, 500)->algo == 4);   // the next whose workspace fits, and that repeats its bits
  EXPECT(best(found, 60)->algo == 5);
  EXPECT(best(found, 10)->algo == 5);  // none fits: the one that needs the least
  EXPECT(best<Found>({found[2]}, 60)->algo == 3);
  EXPECT(best<Found>({found[0]}, 60) == nullptr);

  int asked = 0, algorithm = 0;
  const auto query = [&](int most, int* count, Found* list) {
    ++asked;
    EXPECT(most >= 5);
    *count = 5;
    std::copy(found.begin(), found.end(), list);
    return CUDNN_STATUS_SUCCESS;
  };
  EXPECT(caffe_compat::choose<Found>({1, 2}, 1000, query, &algorithm) == CUDNN_STATUS_SUCCESS && algorithm == 2);
  EXPECT(caffe_compat::choose<Found>({1, 2}, 500, query, &algorithm) == CUDNN_STATUS_SUCCESS && algorithm == 4);
  EXPECT(asked == 1);
  EXPECT(caffe_compat::choose<Found>({1, 3}, 500, query, &algorithm) == CUDNN_STATUS_SUCCESS && asked == 2);
  const auto failing = [](int, int*, Found*) { return CUDNN_STATUS_NOT_SUPPORTED; };
  EXPECT(caffe_compat::choose<Found>({1, 4}, 500, failing, &algorithm) == CUDNN_STATUS_NOT_SUPPORTED);
}

struct Freed {
  ~Freed() { CUDA_CHECK(cudaFree(nullptr)); }
};

void errors() {
  std::string text;
  fake::next = cudaErrorMemoryAllocation;
  try {
    CUDA_CHECK(cudaMalloc(nullptr, 1));
  } catch (const caffe_compat::Error& error) {
    text = error.what();
  }
  EXPECT(text.find("cudaMalloc(nullptr, 1): out of memory") != std::string::npos);
  EXPECT(fake::last == cudaSuccess);  // or the check after the next kernel would fail for it
  { Freed quietly; }                  // a destructor that throws would end the process
  EXPECT(fake::last == cudaSuccess);
  EXPECT(workspace::allocate() == cudaErrorMemoryAllocation && fake::last == cudaSuccess);
  fake::next = cudaSuccess;
  CUDA_CHECK(cudaMalloc(nullptr, 1));
}

// As Caffe's singleton uses them.
struct Singleton {
  Singleton() : cublas(NULL), curand(NULL) {
    EXPECT(cublasCreate(&cublas) == CUBLAS_STATUS_SUCCESS);
    EXPECT(curandCreateGenerator(&curand, CURAND_RNG_PSEUDO_DEFAULT) == CURAND_STATUS_SUCCESS);
    EXPECT(curandSetPseudoRandomGeneratorSeed(curand, 42) == CURAND_STATUS_SUCCESS);
    EXPECT(curandSetGeneratorOffset(curand, 0) == CURAND_STATUS_SUCCESS);
  }
  ~Singleton() {
    if (cublas) ++failures;
    if (curand) EXPECT(curandDestroyGenerator(curand) == CURAND_STATUS_SUCCESS);
  }
  cublasHandle_t cublas;
  curandGenerator_t curand;
};

void handles() {
  fake::next = cudaErrorNoDevice;
  { Singleton without_a_gpu; }
  EXPECT(fake::cublas_made == 0);
  fake::next = cudaSuccess;
  std::thread([] {
    Singleton caffe;
    EXPECT(fake::cublas_made == 0);
    cublasContext* first = caffe.cublas;
    EXPECT(first == static_cast<cublasContext*>(caffe.cublas) && fake::cublas_made == 1);
    fake::device = 1;
    EXPECT(first != static_cast<cublasContext*>(caffe.cublas) && fake::cublas_made == 2);
    curandGenerator_st* generator = caffe.curand;
    EXPECT(generator->seed == 42);
    curandSetPseudoRandomGeneratorSeed(caffe.curand, 7);
    EXPECT(generator->seed == 7);
    fake::device = 2;
    fake::cublas_status = CUBLAS_STATUS_ALLOC_FAILED;
    try {
      cublasContext* none = caffe.cublas;
      EXPECT(none == nullptr && !"an error");
    } catch (const caffe_compat::Error& error) {
      EXPECT(std::string(error.what()).find("CUBLAS_STATUS_ALLOC_FAILED") != std::string::npos);
    }
    fake::cublas_status = CUBLAS_STATUS_SUCCESS;
  }).join();
  EXPECT(fake::cublas_destroyed == 2);
}

int main() {
  algorithms();
  errors();
  handles();
  return failures;
}
