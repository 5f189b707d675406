# What `cmake --install` puts where another project finds it:
#   find_package(varve COMPONENTS cache)   varve::cache, which needs nothing of the engine
#   find_package(varve)                    that and varve::varve
# Static libraries, the headers of include/varve, and a config that looks for what they link.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(varve_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/varve)
# Modules by the component that brings them, each after what it uses.
set(varve_cache_modules base codec store cache)
set(varve_varve_modules kernels format ann engine text varve)

foreach(component cache varve)
  foreach(module ${varve_${component}_modules})
    set_target_properties(varve_${module} PROPERTIES EXPORT_NAME ${module})
    install(TARGETS varve_${module} EXPORT varve_${component}_targets
      ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
      INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  endforeach()
  install(EXPORT varve_${component}_targets NAMESPACE varve:: DESTINATION ${varve_cmake_dir})
endforeach()

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/varve-config.cmake.in
  ${PROJECT_BINARY_DIR}/generated/varve-config.cmake INSTALL_DESTINATION ${varve_cmake_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/generated/varve-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/generated/varve-config.cmake
  ${PROJECT_BINARY_DIR}/generated/varve-config-version.cmake DESTINATION ${varve_cmake_dir})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/varve DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS varve RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
