#ifndef PYCAFFE_GPU_HPP_
#define PYCAFFE_GPU_HPP_

// Adds the functions that ask about GPUs to the Python module under construction.
void bind_gpu();

#endif  // PYCAFFE_GPU_HPP_
