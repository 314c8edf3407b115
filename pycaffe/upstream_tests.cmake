# Upstream's own C++ tests, as the program upstream_tests; it wants upstream's folder as the current one.
file(GLOB test_sources CONFIGURE_DEPENDS ${UPSTREAM}/src/caffe/test/*.cpp)
# It prints a GPU's properties, among them some that CUDA 13 no longer has.
list(FILTER test_sources EXCLUDE REGEX "/test_platform\\.cpp$")
if(VARIANT MATCHES "^emulated")
  translate(${UPSTREAM}/src/caffe/test/test_im2col_kernel.cu test_im2col_kernel)
  list(APPEND test_sources ${test_im2col_kernel})
  # It launches kernels of this file, which are not there by themselves if they were inlined.
  set_property(SOURCE ${im2col} APPEND PROPERTY COMPILE_OPTIONS -fno-inline)
endif()
add_executable(upstream_tests ${OBJECTS} ${kernel_objects} ${test_sources} ${UPSTREAM}/src/gtest/gtest-all.cpp)
target_include_directories(upstream_tests BEFORE PRIVATE ${INCLUDES} ${UPSTREAM}/src)
target_compile_definitions(upstream_tests PRIVATE ${DEFINITIONS})
target_compile_options(upstream_tests PRIVATE -O1 -w)
target_link_libraries(upstream_tests PRIVATE ${LIBRARIES})
