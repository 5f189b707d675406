# One module = one folder = one target. Beside x.cc stand x_test.cc (gtest, all in one
# binary per module), x_bench.cc (Google Benchmark, one binary per module) and x_fuzz.cc
# (one libFuzzer binary each).
#
#   varve_module(store DEPS base auth LIBS PkgConfig::ZSTD)
add_custom_target(varve_benches)

function(varve_module name)
  cmake_parse_arguments(ARG "" "" "DEPS;LIBS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cc)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  set(benches ${sources})
  list(FILTER benches INCLUDE REGEX "_bench\\.cc$")
  set(fuzzers ${sources})
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cc$")
  list(FILTER sources EXCLUDE REGEX "(_test|_bench|_fuzz)\\.cc$")
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")

  list(TRANSFORM ARG_DEPS PREPEND varve_)
  add_library(varve_${name} STATIC ${sources})
  target_include_directories(varve_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
  target_link_libraries(varve_${name} PUBLIC ${ARG_DEPS} ${ARG_LIBS}
    PRIVATE $<BUILD_INTERFACE:varve_compiler>)

  if(VARVE_TESTS AND tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE
      varve_${name} varve_compiler GTest::gmock GTest::gtest_main)
    target_compile_definitions(${name}_test PRIVATE
      VARVE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    add_test(NAME ${name} COMMAND ${name}_test)
    set_tests_properties(${name} PROPERTIES TIMEOUT 600)
  endif()
  if(VARVE_TESTS AND benches)
    # Not part of `all`: a sanitizer build has no use for them. `varve_benches` builds every one.
    add_executable(${name}_bench EXCLUDE_FROM_ALL ${benches})
    add_dependencies(varve_benches ${name}_bench)
    # What benches share with tests may say EXPECT.
    target_link_libraries(${name}_bench PRIVATE
      varve_${name} varve_compiler benchmark::benchmark_main GTest::gtest)
  endif()
  if(VARVE_FUZZ)
    foreach(fuzzer ${fuzzers})
      get_filename_component(fuzz_name ${fuzzer} NAME_WE)
      add_executable(${fuzz_name} ${fuzzer})
      target_link_libraries(${fuzz_name} PRIVATE varve_${name} varve_compiler)
      target_link_options(${fuzz_name} PRIVATE -fsanitize=fuzzer)
    endforeach()
  endif()
endfunction()
