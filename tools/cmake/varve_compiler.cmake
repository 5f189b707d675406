# Flags that every target of the project shares. Warnings are errors with both compilers.
add_library(varve_compiler INTERFACE)
target_compile_options(varve_compiler INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Werror
  -fno-omit-frame-pointer -fstack-protector-strong
  # Nobody replaces our functions at load time, so that they may be inlined in spite of -fPIC.
  -fno-semantic-interposition)
target_compile_definitions(varve_compiler INTERFACE _GLIBCXX_ASSERTIONS)

if(VARVE_SANITIZE)
  target_compile_options(varve_compiler INTERFACE
    -fsanitize=${VARVE_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(varve_compiler INTERFACE -fsanitize=${VARVE_SANITIZE})
endif()
if(VARVE_SANITIZE STREQUAL "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # What TSan of GCC 12 inserts makes members of a std::optional look unset. Other builds check it.
  target_compile_options(varve_compiler INTERFACE -Wno-maybe-uninitialized)
endif()
if(VARVE_FUZZ)
  target_compile_options(varve_compiler INTERFACE -fsanitize=fuzzer-no-link)
endif()

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()
