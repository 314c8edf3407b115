# The part for GPUs, NVIDIA's or emulated ones: upstream's kernels and ours (gpu/).
list(GET VARIANT 1 with_cudnn)
if(with_cudnn)
  list(APPEND DEFINITIONS USE_CUDNN)
endif()

# compat/cuda comes before everything, CUDA's own headers after it.
list(PREPEND INCLUDES ${CMAKE_CURRENT_SOURCE_DIR}/compat/cuda)
set(force_include "-w;-include;${CMAKE_CURRENT_SOURCE_DIR}/compat/cuda")
set_source_files_properties(${UPSTREAM}/src/caffe/common.cpp PROPERTIES
  COMPILE_OPTIONS "${force_include}/device_properties.hpp")
# What may be recorded as a graph runs in the thread's launch stream.
set(LAUNCH_STREAM ${CMAKE_CURRENT_SOURCE_DIR}/compat/cuda/launch_stream.hpp)
set_source_files_properties(${UPSTREAM}/src/caffe/util/math_functions.cpp PROPERTIES
  COMPILE_OPTIONS "-w;-include;${LAUNCH_STREAM}")
foreach(layer cudnn_conv_layer cudnn_deconv_layer)
  set_source_files_properties(${UPSTREAM}/src/caffe/layers/${layer}.cpp PROPERTIES
    COMPILE_OPTIONS "${force_include}/workspace.hpp")
endforeach()

file(GLOB_RECURSE kernel_sources CONFIGURE_DEPENDS ${UPSTREAM}/src/caffe/*.cu)
list(FILTER kernel_sources EXCLUDE REGEX "/src/caffe/test/")
file(GLOB own_kernel_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/gpu/*.cu)
list(APPEND kernel_sources ${own_kernel_sources})
list(APPEND binding_sources ${CMAKE_CURRENT_SOURCE_DIR}/binding/gpu.cpp)

# Launches get the stream before they are compiled; a header of upstream's has some, too.
set(launches ${CMAKE_CURRENT_SOURCE_DIR}/gpu/launches.py)
set(launching_header caffe/util/math_functions.hpp)

if(VARIANT MATCHES "^emulated")
  include(emulate.cmake)
else()
  include(cuda.cmake)
endif()
