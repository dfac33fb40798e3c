# SPDX-License-Identifier: Apache-2.0
# Finds MLIR 22.1 and LLD, and gives the shape of a target that uses them.
find_package(MLIR 22.1 CONFIG REQUIRED PATHS /usr/lib/llvm-22/lib/cmake/mlir)
find_package(LLD CONFIG REQUIRED PATHS /usr/lib/llvm-22/lib/cmake/lld)
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)

# The headers that most files need, compiled once: MLIR's, our dialects', our passes', and what compilers are written with.
file(CONFIGURE OUTPUT headers/mlir-headers.cpp CONTENT "")
sinter_plain_library(sinter_mlir_headers ${CMAKE_CURRENT_BINARY_DIR}/headers/mlir-headers.cpp LINK sinter_fmt)
target_precompile_headers(sinter_mlir_headers PRIVATE
  <mlir/Dialect/AMX/AMXDialect.h> <mlir/Dialect/Arith/IR/Arith.h> <mlir/Dialect/Func/IR/FuncOps.h>
  <mlir/Dialect/LLVMIR/LLVMDialect.h> <mlir/Dialect/LLVMIR/NVVMDialect.h>
  <mlir/Dialect/Math/IR/Math.h> <mlir/Dialect/SCF/IR/SCF.h> <mlir/Dialect/Vector/IR/VectorOps.h>
  <mlir/IR/AsmState.h> <mlir/IR/PatternMatch.h> <mlir/Pass/Pass.h> <mlir/Pass/PassManager.h>
  <mlir/Transforms/WalkPatternRewriteDriver.h>
  <fmt/format.h> <llvm/ADT/StringExtras.h> <llvm/ADT/TypeSwitch.h> <llvm/IR/Constants.h> <llvm/IR/InstrTypes.h>
  <llvm/Support/FileSystem.h> <chrono> <filesystem> <span> <variant>
  ${CMAKE_SOURCE_DIR}/dialects/kernel/Kernel.h ${CMAKE_SOURCE_DIR}/dialects/lm/LmDialect.h
  ${CMAKE_SOURCE_DIR}/passes/Passes.h)
add_dependencies(sinter_mlir_headers SinterLmInterfacesTablegen SinterLmTablegen SinterKernelIncGen SinterPassesIncGen)

# What every target that includes MLIR is compiled with: what takes time when a model is compiled is inside of LLVM, or in
# sinter_pack, and code that is small is compiled in four fifths of the time.
function(sinter_mlir_flags name)
  target_include_directories(${name} SYSTEM PUBLIC ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
  target_compile_options(${name} PRIVATE -Os -fno-rtti -Wno-deprecated-declarations)
  set_target_properties(${name} PROPERTIES CXX_STANDARD 20) # MLIR 22 does not compile as C++23
  get_target_property(type ${name} TYPE)
  if(type STREQUAL EXECUTABLE) # as the libraries are, or it could not share their headers
    set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(${name} PRIVATE -fPIC)
  endif()
  if(NOT name STREQUAL sinter_mlir_headers)
    target_precompile_headers(${name} REUSE_FROM sinter_mlir_headers)
  endif()
endfunction()
sinter_mlir_flags(sinter_mlir_headers)

# sinter_mlir_library(NAME SOURCES... [LINK TARGETS...] [DEPENDS TARGETS...]): links the shared MLIR and LLVM.
function(sinter_mlir_library name)
  cmake_parse_arguments(ARG "" "" "LINK;DEPENDS" ${ARGN})
  sinter_plain_library(${name} ${ARG_UNPARSED_ARGUMENTS} LINK ${ARG_LINK} MLIR LLVM sinter_fmt)
  sinter_mlir_flags(${name})
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
endfunction()

# sinter_mlir_executable(NAME SOURCES... LINK TARGETS...)
function(sinter_mlir_executable name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
  target_compile_options(${name} PRIVATE -Wall -Wextra -Wno-unused-parameter)
  sinter_mlir_flags(${name})
endfunction()

# sinter_mlir_test(NAME SOURCES... LINK TARGETS...): sinter_test for files that include MLIR.
function(sinter_mlir_test name)
  sinter_plain_test(${name} ${ARGN})
  sinter_mlir_flags(${name})
endfunction()

# sinter_tablegen(TARGET FILE.td OUTPUT ARGS... [OUTPUT ARGS...]): call once a file; outputs beside it in the build tree.
macro(sinter_tablegen target td)
  set(LLVM_TARGET_DEFINITIONS ${td})
  set(_args ${ARGN})
  list(LENGTH _args _count)
  math(EXPR _last "${_count} - 2")
  foreach(_i RANGE 0 ${_last} 2)
    math(EXPR _j "${_i} + 1")
    list(GET _args ${_i} _output)
    list(GET _args ${_j} _flags)
    separate_arguments(_flags)
    mlir_tablegen(${_output} ${_flags} EXTRA_INCLUDES ${CMAKE_SOURCE_DIR} ${MLIR_INCLUDE_DIRS})
  endforeach()
  add_public_tablegen_target(${target})
endmacro()
