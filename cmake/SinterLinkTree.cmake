# SPDX-License-Identifier: Apache-2.0
# The link tree: what `sinter` links executables from, in lib/sinter/link of the build tree and of an installed one.
# Start files and static libraries come from the system's compiler, the runtime from this project.
set(SINTER_LINK_TREE ${CMAKE_BINARY_DIR}/lib/sinter/link)
file(MAKE_DIRECTORY ${SINTER_LINK_TREE})

# For executables, and (from crtbeginS.o on) what a shared library needs besides.
foreach(file crt1.o crti.o crtbeginT.o crtend.o crtn.o libc.a libstdc++.a libgcc.a libgcc_eh.a
             crtbeginS.o crtendS.o libc.so.6 libm.so.6 ld-linux-x86-64.so.2 libc_nonshared.a)
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=${file} OUTPUT_VARIABLE path
                  OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT EXISTS ${path})
    message(FATAL_ERROR "expected ${file} of the system's C and C++ libraries, found none (libc6-dev, libstdc++-dev)")
  endif()
  configure_file(${path} ${SINTER_LINK_TREE}/${file} COPYONLY)
  list(APPEND SINTER_LINK_SOURCES ${path})
endforeach()
# libm.a is a text that names two archives.
execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=libm.a OUTPUT_VARIABLE path
                OUTPUT_STRIP_TRAILING_WHITESPACE)
file(READ ${path} libm LIMIT 512)
if(libm MATCHES "GROUP \\( ([^ ]+) ([^ ]+) \\)")
  configure_file(${CMAKE_MATCH_1} ${SINTER_LINK_TREE}/libm.a COPYONLY)
  configure_file(${CMAKE_MATCH_2} ${SINTER_LINK_TREE}/libmvec.a COPYONLY)
else()
  configure_file(${path} ${SINTER_LINK_TREE}/libm.a COPYONLY)
  file(WRITE ${SINTER_LINK_TREE}/libmvec.a "!<arch>\n")
endif()

list(APPEND SINTER_LINK_SOURCES ${SINTER_RUNTIME_ARCHIVES}) # whose licences an installed tree carries, too
# The headers of what is callable from C: of libraries, and of kernels.
configure_file(${CMAKE_SOURCE_DIR}/runtime/generate/CApi.h ${SINTER_LINK_TREE}/CApi.h COPYONLY)
configure_file(${CMAKE_SOURCE_DIR}/runtime/abi.h ${SINTER_LINK_TREE}/abi.h COPYONLY)
configure_file(${CMAKE_SOURCE_DIR}/runtime/device/Tiles.h ${SINTER_LINK_TREE}/Tiles.h COPYONLY)

# One archive with everything of ours that an executable may need, and the libraries the runtime uses.
set(archive ${SINTER_LINK_TREE}/libsinter_main.a)
set(parts ${SINTER_RUNTIME_TARGETS} sinter_pack sinter_weight_layout)
set(script "create ${archive}\n")
foreach(part ${parts})
  string(APPEND script "addlib $<TARGET_FILE:${part}>\n")
endforeach()
foreach(library ${SINTER_RUNTIME_ARCHIVES})
  string(APPEND script "addlib ${library}\n")
endforeach()
string(APPEND script "save\nend\n")
file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/lib/link-tree.mri CONTENT "${script}")
add_custom_command(
  OUTPUT ${archive}
  COMMAND ${CMAKE_COMMAND} -E rm -f ${archive}
  COMMAND ${LLVM_TOOLS_BINARY_DIR}/llvm-ar -M < ${CMAKE_BINARY_DIR}/lib/link-tree.mri
  DEPENDS ${parts} ${CMAKE_BINARY_DIR}/lib/link-tree.mri
  VERBATIM)
# For what is linked against a glibc that is older than the unwinder (runtime/FindObject.cpp).
set(find_object ${SINTER_LINK_TREE}/libsinter_find_object.a)
add_custom_command(OUTPUT ${find_object}
  COMMAND ${CMAKE_COMMAND} -E copy $<TARGET_FILE:sinter_find_object> ${find_object} DEPENDS sinter_find_object VERBATIM)
add_custom_target(sinter_link_tree ALL DEPENDS ${archive} ${find_object})
