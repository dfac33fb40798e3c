# SPDX-License-Identifier: Apache-2.0
# The three shapes of target this project has: library, test, fuzzer. Every include is written from the
# root of the tree ("runtime/files/Gguf.h"), so that utils/check can see who includes whom.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)

# How code is optimised: to be fast, or to be small where nothing is computed (every compiled model carries it).
# Builds with sanitizers are for finding errors, soon: tests are compiled as they stand, libraries a little better, since
# some of what tests do would take minutes.
set(SINTER_FAST -O2)
set(SINTER_SMALL -Oz)
set(SINTER_TEST -O1)
set(SINTER_COVERAGE "")
if(SINTER_SANITIZE)
  set(SINTER_FAST -O1)
  set(SINTER_SMALL -O1)
  set(SINTER_TEST -O0)
  if(SINTER_FUZZ)
    # The fuzzer sees which branches of a library its inputs reach; the sanitizers' runtime serves all other programs.
    set(SINTER_COVERAGE -fsanitize=fuzzer-no-link)
  endif()
endif()

# What nearly every file needs, compiled once for each set of options (which must be those of the files).
set(SINTER_HEADERS <algorithm> <array> <cmath> <cstdint> <cstring> <filesystem> <fmt/format.h> <functional> <memory>
  <optional> <span> <string> <string_view> <tl/expected.hpp> <unordered_map> <utility> <vector>)

# sinter_share_headers(TARGET [OPTIONS...] [ALSO HEADERS...]): compiles TARGET with OPTIONS on top of precompiled headers.
function(sinter_share_headers target)
  cmake_parse_arguments(ARG "" "" "ALSO" ${ARGN})
  target_compile_options(${target} PRIVATE ${ARG_UNPARSED_ARGUMENTS})
  string(SHA1 key "${ARG_UNPARSED_ARGUMENTS} ${ARG_ALSO}")
  string(SUBSTRING ${key} 0 6 key)
  set(headers sinter_headers_${key})
  if(NOT TARGET ${headers})
    file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/headers/${key}.cpp CONTENT "")
    add_library(${headers} STATIC ${CMAKE_BINARY_DIR}/headers/${key}.cpp)
    target_compile_options(${headers} PRIVATE ${ARG_UNPARSED_ARGUMENTS})
    target_precompile_headers(${headers} PRIVATE ${SINTER_HEADERS} ${ARG_ALSO})
  endif()
  target_precompile_headers(${target} REUSE_FROM ${headers})
endfunction()

# sinter_plain_library(NAME SOURCES... [LINK TARGETS...]): what libraries with and without MLIR have in common.
function(sinter_plain_library name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
  target_compile_options(${name} PRIVATE -Wall -Wextra -Wno-unused-parameter)
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
endfunction()

# sinter_library(NAME SOURCES... [LINK TARGETS...] [OPTIONS OPTIONS...])
function(sinter_library name)
  cmake_parse_arguments(ARG "" "" "LINK;OPTIONS" ${ARGN})
  sinter_plain_library(${name} ${ARG_UNPARSED_ARGUMENTS} LINK ${ARG_LINK} sinter_fmt)
  sinter_share_headers(${name} ${ARG_OPTIONS} ${SINTER_COVERAGE})
endfunction()

# sinter_compile_together(TARGET [APART SOURCES...]): neighbours in a folder become one file for the compiler, eight of them at
# most, which takes half of the time: what templates make of headers is made once. Their names must differ, those that
# only one file sees, too; sources where they do not stay apart.
function(sinter_compile_together target)
  cmake_parse_arguments(ARG "" "" "APART" ${ARGN})
  get_target_property(sources ${target} SOURCES)
  list(REMOVE_ITEM sources ${ARG_APART})
  foreach(source ${sources})
    get_filename_component(folder "${source}" DIRECTORY)
    string(MAKE_C_IDENTIFIER "${target}_${folder}" folder)
    math(EXPR number "${count_${folder}} + 0")
    math(EXPR group "${number} / 8")
    math(EXPR count_${folder} "${number} + 1")
    set_source_files_properties("${source}" PROPERTIES UNITY_GROUP ${folder}_${group})
  endforeach()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
endfunction()

# What builds with sanitizers leave out, as GoogleTest's filter takes it. With any: two cases whose point is their size, and
# which meet no code that smaller ones do not. With TSan also the slowest of those that have one thread, and one that runs
# twenty times over 10 MB (with ASan it stays).
set(SINTER_LEFT_OUT "")
if(SINTER_SANITIZE)
  set(SINTER_LEFT_OUT "-Clean.cutsOneGiantLineAndKeepsAllOfIt:WordList.jumpsOverNothingThatOneStepAtATimeFinds")
  if(SINTER_SANITIZE STREQUAL thread)
    string(APPEND SINTER_LEFT_OUT ":CommandLineErrorsTest.*:DistributionTest.*:*SplitterTest.*:TokenizerTest.SurvivesAnyDamagedByte"
      ":Clean.resultDoesNotDependOnThreadsOrInterruptions")
  endif()
endif()

# sinter_test(NAME SOURCES... [LINK TARGETS...]): a GoogleTest binary, each case a ctest test.
function(sinter_test name)
  sinter_plain_test(${name} ${ARGN})
  # As executables of their own would be, tests could not share headers.
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  sinter_share_headers(${name} -fPIC ${SINTER_TEST} -DGTEST_HAS_PTHREAD=1 ALSO <gtest/gtest.h>)
endfunction()

# sinter_plain_test(NAME SOURCES... [LINK TARGETS...]): what tests with and without MLIR have in common.
function(sinter_plain_test name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  find_package(GTest REQUIRED)
  include(GoogleTest)
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} GTest::gtest GTest::gtest_main Threads::Threads)
  target_compile_definitions(${name} PRIVATE SINTER_SOURCE_DIR="${CMAKE_SOURCE_DIR}" SINTER_BINARY_DIR="${CMAKE_BINARY_DIR}")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test)
  if(SINTER_TESTS AND NOT name IN_LIST SINTER_TESTS)
    set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL ON)
    return()
  endif()
  gtest_discover_tests(${name} TEST_PREFIX "${name}." DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    TEST_FILTER "${SINTER_LEFT_OUT}")
endfunction()

# sinter_fuzzer(NAME SOURCE CORPUS [LINK TARGETS...]): a libFuzzer target with a short run over its corpus as test, from one
# seed and of a fixed length: a test that passed passes again. Longer runs, from any seed, are for build/asan/fuzz/NAME itself.
function(sinter_fuzzer name source corpus)
  if(NOT SINTER_FUZZ)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${source})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF) # as sinter_test
  sinter_share_headers(${name} -fPIC ${SINTER_TEST} ${SINTER_COVERAGE})
  target_compile_definitions(${name} PRIVATE SINTER_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  set(scratch ${CMAKE_BINARY_DIR}/fuzz/corpus-${name})
  file(MAKE_DIRECTORY ${scratch})
  add_test(NAME fuzz.${name} COMMAND ${name} -seed=1 -runs=${SINTER_FUZZ_RUNS} -timeout=60 -rss_limit_mb=2048
                                     -artifact_prefix=${CMAKE_BINARY_DIR}/fuzz/ ${scratch} ${corpus})
endfunction()
