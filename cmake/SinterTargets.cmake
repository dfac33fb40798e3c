# SPDX-License-Identifier: Apache-2.0
# The three shapes of target this project has: library, test, fuzzer. Every include is written from the
# root of the tree ("runtime/files/Gguf.h"), so that utils/check can see who includes whom.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)

# sinter_library(NAME SOURCES... [LINK TARGETS...])
function(sinter_library name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
  target_compile_options(${name} PRIVATE -Wall -Wextra -Wno-unused-parameter)
  if(SINTER_FUZZ AND SINTER_SANITIZE)
    # The fuzzer sees which branches its inputs reach; the sanitizers' runtime serves all other programs.
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
  target_link_libraries(${name} PUBLIC ${ARG_LINK} fmt::fmt-header-only)
endfunction()

# sinter_test(NAME SOURCES... [LINK TARGETS...] [SANITIZED]): a GoogleTest binary, each case a ctest test.
function(sinter_test name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  find_package(GTest REQUIRED)
  include(GoogleTest)
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} GTest::gtest GTest::gtest_main Threads::Threads)
  target_compile_definitions(${name} PRIVATE SINTER_SOURCE_DIR="${CMAKE_SOURCE_DIR}" SINTER_BINARY_DIR="${CMAKE_BINARY_DIR}")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test)
  gtest_discover_tests(${name} TEST_PREFIX "${name}." DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60)
endfunction()

# sinter_fuzzer(NAME SOURCE CORPUS [LINK TARGETS...]): a libFuzzer target with a short run over its corpus as test.
function(sinter_fuzzer name source corpus)
  if(NOT SINTER_FUZZ)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${source})
  target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  set(scratch ${CMAKE_BINARY_DIR}/fuzz/corpus-${name})
  file(MAKE_DIRECTORY ${scratch})
  add_test(NAME fuzz.${name} COMMAND ${name} -max_total_time=5 -timeout=10 -rss_limit_mb=2048 ${scratch} ${corpus})
endfunction()
