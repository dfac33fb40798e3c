# SPDX-License-Identifier: Apache-2.0
# What `cmake --install BUILD --prefix DIR` writes: a tree that works wherever it lies, on any Linux with glibc as new
# as this one's. bin/ the programs, lib/ the shared libraries they need (all but glibc), lib/sinter/link what
# executables are linked from, include/sinter the C interfaces, share/doc/sinter documents and licences.
foreach(program sinter sinter-opt)
  set_target_properties(${program} PROPERTIES INSTALL_RPATH "$ORIGIN/../lib")
  # DT_RPATH rather than DT_RUNPATH: it is also asked for the libraries of libraries.
  target_link_options(${program} PRIVATE LINKER:--disable-new-dtags)
endforeach()
install(TARGETS sinter sinter-opt RUNTIME DESTINATION bin)
install(TARGETS sinter-cuda-emulator LIBRARY DESTINATION lib)
install(DIRECTORY ${SINTER_LINK_TREE}/ DESTINATION lib/sinter/link)
install(FILES ${CMAKE_SOURCE_DIR}/runtime/abi.h ${CMAKE_SOURCE_DIR}/runtime/generate/CApi.h DESTINATION include/sinter)
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE ${CMAKE_SOURCE_DIR}/README.md DESTINATION share/doc/sinter)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/docs DESTINATION share/doc/sinter)

configure_file(${CMAKE_SOURCE_DIR}/cmake/InstallLibraries.cmake.in ${CMAKE_BINARY_DIR}/InstallLibraries.cmake @ONLY)
install(SCRIPT ${CMAKE_BINARY_DIR}/InstallLibraries.cmake)
