# For emulated GPUs (emulate/): the same kernels, written as C++ and compiled by the C++ compiler.
set(emulate ${CMAKE_CURRENT_SOURCE_DIR}/emulate)
set(translated ${CMAKE_CURRENT_BINARY_DIR}/translated)
list(APPEND DEFINITIONS PYCAFFE_EMULATED)

set(header ${launching_header})
run(COMMAND ${Python_EXECUTABLE} ${launches} ${UPSTREAM}/include/${header} ${translated}/launches/${header})
run(COMMAND ${Python_EXECUTABLE} ${emulate}/translate.py ${translated}/launches/${header} ${translated}/include/${header})
list(PREPEND INCLUDES ${translated}/include)
list(APPEND INCLUDES ${emulate}/include ${CMAKE_CURRENT_SOURCE_DIR}/gpu)

# translate(FILE NAME): the path of the file as C++ goes into the variable NAME.
function(translate source name)
  set(target ${translated}/${name}.cu.cpp)
  add_custom_command(
    OUTPUT ${target}
    COMMAND ${Python_EXECUTABLE} ${launches} ${source} ${translated}/launches/${name}.cu
    COMMAND ${Python_EXECUTABLE} ${emulate}/translate.py ${translated}/launches/${name}.cu ${target}
    DEPENDS ${source} ${launches} ${emulate}/translate.py VERBATIM)
  set_source_files_properties(${target} PROPERTIES COMPILE_OPTIONS "-w;-include;${LAUNCH_STREAM}")
  set(${name} ${target} PARENT_SCOPE)
endfunction()
foreach(source ${kernel_sources})
  get_filename_component(name ${source} NAME_WE)
  translate(${source} ${name})
  target_sources(caffe PRIVATE ${${name}})
endforeach()
list(APPEND binding_sources ${emulate}/binding.cpp)
file(GLOB emulator_sources CONFIGURE_DEPENDS ${emulate}/*.cpp)
list(REMOVE_ITEM emulator_sources ${emulate}/binding.cpp)
target_sources(caffe PRIVATE ${emulator_sources})
