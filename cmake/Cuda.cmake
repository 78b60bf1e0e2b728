# libgraft_cuda for GPUs, by nvcc: machine code for each architecture, PTX of the newest for those to come, CUDA's runtime linked in.

# "80;90" means code for both and PTX of 90; entries with -real or -virtual, and native, all and all-major, are taken as they are.
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80 86 89 90)
endif()
set(newest 0)
set(architectures)
foreach(architecture IN LISTS CMAKE_CUDA_ARCHITECTURES)
  if(architecture MATCHES "^[0-9]+$")
    list(APPEND architectures ${architecture}-real)
    if(architecture GREATER newest)
      set(newest ${architecture})
    endif()
  else()
    list(APPEND architectures ${architecture})
  endif()
endforeach()
if(newest GREATER 0)
  list(APPEND architectures ${newest}-virtual)
endif()
set(CMAKE_CUDA_ARCHITECTURES ${architectures})

include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  message(FATAL_ERROR "nvcc was not found: install the CUDA toolkit 12 or newer and put nvcc on the PATH, or build with -DGRAFT_EMULATE=ON")
endif()
enable_language(CUDA)
if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12)
  message(FATAL_ERROR "nvcc ${CMAKE_CUDA_COMPILER_VERSION} is too old: the kernels need the CUDA toolkit 12 or newer")
endif()
set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
set(CMAKE_CUDA_VISIBILITY_PRESET hidden)

# Kernels of Hopper's own instructions, which no other architecture has, not even a newer one: built for it whatever the list says.
set(hopper_kernels ${GRAFT_KERNELS})
list(FILTER hopper_kernels INCLUDE REGEX "_hopper\\.cu$")
list(FILTER GRAFT_KERNELS EXCLUDE REGEX "_hopper\\.cu$")
add_library(graft_cuda_hopper OBJECT ${hopper_kernels})
set_target_properties(graft_cuda_hopper PROPERTIES CUDA_ARCHITECTURES OFF)
target_compile_options(graft_cuda_hopper PRIVATE -gencode=arch=compute_90a,code=sm_90a)

add_library(graft_cuda SHARED ${GRAFT_KERNELS} $<TARGET_OBJECTS:graft_cuda_hopper>)
target_link_options(graft_cuda PRIVATE -Wl,--exclude-libs,ALL)
foreach(target graft_cuda graft_cuda_hopper)
  target_include_directories(${target} PRIVATE include src)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings -Xcompiler=-Wall,-Wextra,-Werror -Xptxas=-v>)
  # What ptxas says of each kernel is kept beside its object.
  set_target_properties(${target} PROPERTIES CUDA_COMPILER_LAUNCHER "sh;${CMAKE_CURRENT_LIST_DIR}/keep-ptxas-log.sh")
endforeach()

add_custom_target(resource-usage
  COMMAND ${CMAKE_COMMAND} "-DOBJECTS=$<JOIN:$<TARGET_OBJECTS:graft_cuda>;$<TARGET_OBJECTS:graft_cuda_hopper>,|>" "-DALLOWED=${CMAKE_CURRENT_LIST_DIR}/allowed-spills.txt"
          -P ${CMAKE_CURRENT_LIST_DIR}/ResourceUsage.cmake
  DEPENDS graft_cuda
  COMMENT "Registers, stack and spills of each kernel"
  VERBATIM)
