# LibTorch from the PyPI wheels that cmake/libtorch.txt names, unzipped by ./dev. Imported targets by hand, because
# find_package(Torch) on a CUDA wheel insists on a CUDA compiler. Links: torch_cpu_wheel.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/libtorch.txt)
file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/libtorch.txt torch_version REGEX "^torch==")
string(REPLACE "torch==" "" torch_version "${torch_version}")

set(REGROUP_LIBTORCH "$ENV{HOME}/.cache/regroup/libtorch-${torch_version}" CACHE PATH
  "Folder with the unzipped wheels: torch/ and nvidia/ side by side")
if(NOT EXISTS ${REGROUP_LIBTORCH}/torch/lib/libtorch_cpu.so)
  message(FATAL_ERROR "LibTorch ${torch_version} is not in ${REGROUP_LIBTORCH}. Run ./dev build once (it fetches the "
    "wheel), or pass -DREGROUP_LIBTORCH=DIR or -DREGROUP_WITH_LIBTORCH=OFF.")
endif()
if(NOT EXISTS ${REGROUP_LIBTORCH}/torch/version.py)
  message(FATAL_ERROR "The LibTorch in ${REGROUP_LIBTORCH} is not whole: it has no torch/version.py. Unzip the wheel "
    "that cmake/libtorch.txt names there again, or pass the folder of another one: -DREGROUP_LIBTORCH=DIR.")
endif()
file(STRINGS ${REGROUP_LIBTORCH}/torch/version.py torch_found REGEX "^__version__ = ")
if(NOT torch_found MATCHES "'${torch_version}[+']")
  message(WARNING "The LibTorch in ${REGROUP_LIBTORCH} says ${torch_found}; this tree is tested with ${torch_version}.")
endif()

set(torch_lib ${REGROUP_LIBTORCH}/torch/lib)
foreach(library torch_cpu c10)
  add_library(LibTorch::${library} SHARED IMPORTED)
  set_target_properties(LibTorch::${library} PROPERTIES IMPORTED_LOCATION ${torch_lib}/lib${library}.so)
endforeach()
add_library(torch_cpu_wheel INTERFACE)
target_include_directories(torch_cpu_wheel SYSTEM INTERFACE ${REGROUP_LIBTORCH}/torch/include)
target_link_options(torch_cpu_wheel INTERFACE -Wl,-rpath-link,${REGROUP_LIBTORCH}/nvidia/cu13/lib)
# All operators register themselves when the library is loaded: it is needed even where no symbol asks for it.
target_link_libraries(torch_cpu_wheel INTERFACE
  -Wl,--no-as-needed LibTorch::torch_cpu LibTorch::c10 -Wl,--as-needed)
