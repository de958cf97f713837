# LibTorch from the PyPI wheel, unzipped by ./dev. Imported targets by hand, because find_package(Torch) on a CUDA wheel insists on a CUDA compiler.
set(REGROUP_LIBTORCH "$ENV{HOME}/.cache/regroup/libtorch-2.11.0" CACHE PATH "Folder with the unzipped wheels: torch/ and nvidia/ side by side")
if(NOT EXISTS ${REGROUP_LIBTORCH}/torch/lib/libtorch_cpu.so)
  message(FATAL_ERROR "LibTorch is not in ${REGROUP_LIBTORCH}. Run ./dev build once (it fetches the wheel), or pass -DREGROUP_LIBTORCH=DIR or -DREGROUP_WITH_LIBTORCH=OFF.")
endif()
add_library(torch_cpu_wheel INTERFACE)
target_include_directories(torch_cpu_wheel SYSTEM INTERFACE ${REGROUP_LIBTORCH}/torch/include)
target_link_options(torch_cpu_wheel INTERFACE
  -L${REGROUP_LIBTORCH}/torch/lib -L${REGROUP_LIBTORCH}/nvidia/cu13/lib
  -Wl,-rpath,${REGROUP_LIBTORCH}/torch/lib -Wl,-rpath-link,${REGROUP_LIBTORCH}/nvidia/cu13/lib)
target_link_libraries(torch_cpu_wheel INTERFACE -Wl,--no-as-needed -ltorch_cpu -lc10 -Wl,--as-needed)
