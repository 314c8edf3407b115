# For NVIDIA's GPUs: the .cu files, compiled by the nvcc of NVIDIA's Python packages, which are in the environment that
# builds. Their folders are not laid out as CMake's own CUDA support expects them.
set(architectures ${VARIANT})
list(REMOVE_AT architectures 0 1)

run(
  COMMAND ${Python_EXECUTABLE} -c
    "print(*__import__('importlib.util').util.find_spec('nvidia').submodule_search_locations, sep=chr(59))"
  OUTPUT_VARIABLE nvidia_folders OUTPUT_STRIP_TRAILING_WHITESPACE)
find_program(NVCC nvcc REQUIRED PATHS ${nvidia_folders} PATH_SUFFIXES cu13/bin NO_DEFAULT_PATH)
find_library(CUDART_LIBRARY NAMES libcudart.so.13 REQUIRED PATHS ${nvidia_folders} PATH_SUFFIXES cu13/lib NO_DEFAULT_PATH)
find_library(CUBLAS_LIBRARY NAMES libcublas.so.13 REQUIRED PATHS ${nvidia_folders} PATH_SUFFIXES cu13/lib NO_DEFAULT_PATH)
find_library(CURAND_LIBRARY NAMES libcurand.so.10 REQUIRED PATHS ${nvidia_folders} PATH_SUFFIXES cu13/lib NO_DEFAULT_PATH)
find_path(CUDA_INCLUDE cuda_runtime.h REQUIRED PATHS ${nvidia_folders} PATH_SUFFIXES cu13/include NO_DEFAULT_PATH)
# NVIDIA's libraries are where pip puts the packages that the wheel depends on, beside the package caffe. The runtime looks
# for the driver when it is first asked for something, so that without one all else works. It is not linked in: cuRAND
# needs it as a file, and its package does not bring it.
set(CUDA_LIBRARIES ${CUBLAS_LIBRARY} ${CURAND_LIBRARY} ${CUDART_LIBRARY})
set(CUDA_RPATH "$ORIGIN/../nvidia/cu13/lib")
if(with_cudnn)
  find_library(CUDNN_LIBRARY NAMES libcudnn.so.9 REQUIRED PATHS ${nvidia_folders} PATH_SUFFIXES cudnn/lib NO_DEFAULT_PATH)
  find_path(CUDNN_INCLUDE cudnn.h REQUIRED PATHS ${nvidia_folders} PATH_SUFFIXES cudnn/include NO_DEFAULT_PATH)
  list(APPEND CUDA_LIBRARIES ${CUDNN_LIBRARY})
  list(APPEND CUDA_RPATH "$ORIGIN/../nvidia/cudnn/lib")
endif()
list(APPEND INCLUDES ${CUDA_INCLUDE} ${CUDA_INCLUDE}/cccl ${CUDNN_INCLUDE})

set(rewritten ${CMAKE_CURRENT_BINARY_DIR}/kernels)
run(COMMAND ${Python_EXECUTABLE} ${launches} ${UPSTREAM}/include/${launching_header} ${rewritten}/include/${launching_header})
list(PREPEND INCLUDES ${rewritten}/include)
list(APPEND INCLUDES ${CMAKE_CURRENT_SOURCE_DIR}/gpu)

foreach(architecture ${architectures})
  list(APPEND generate -gencode=arch=compute_${architecture},code=sm_${architecture})
endforeach()
list(GET architectures -1 newest)
list(APPEND generate -gencode=arch=compute_${newest},code=compute_${newest})
list(TRANSFORM INCLUDES PREPEND -I OUTPUT_VARIABLE include_options)
list(TRANSFORM DEFINITIONS PREPEND -D OUTPUT_VARIABLE definition_options)
list(JOIN PREFIX_MAPS "," host_options)

file(GLOB_RECURSE headers CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/compat/*)
file(GLOB own_headers CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/gpu/*.hpp)
foreach(source ${kernel_sources})
  get_filename_component(name ${source} NAME_WE)
  set(object ${rewritten}/${name}.o)
  set(extra "")
  if(source IN_LIST own_kernel_sources)
    set(extra ${own_headers})
  endif()
  add_custom_command(
    OUTPUT ${object}
    COMMAND ${Python_EXECUTABLE} ${launches} ${source} ${rewritten}/${name}.cu
    COMMAND ${NVCC} -c ${rewritten}/${name}.cu -o ${object} -std=c++17 -O3 -w ${generate} -include ${LAUNCH_STREAM}
            -ccbin ${CMAKE_CXX_COMPILER} -Xcompiler -fPIC,-w,${host_options} ${definition_options} ${include_options}
    DEPENDS ${source} ${launches} ${headers} ${extra} ${GENERATED}/caffe/proto/caffe.pb.h
    COMMENT "Compiling ${name}.cu" VERBATIM)
  list(APPEND kernel_objects ${object})
endforeach()
