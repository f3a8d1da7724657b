# SPDX-License-Identifier: BSL-1.0
# What `cmake --install` puts where. Nothing here depends on the architecture but the tool.

include(CMakePackageConfigHelpers)

set(COPPICE_CMAKE_DIR "${CMAKE_INSTALL_DATADIR}/cmake/coppice")
set(COPPICE_PC_DIR "${CMAKE_INSTALL_DATADIR}/pkgconfig")

install(
  TARGETS coppice
  EXPORT coppiceTargets
  FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(
  EXPORT coppiceTargets
  NAMESPACE coppice::
  DESTINATION "${COPPICE_CMAKE_DIR}")

configure_package_config_file(
  cmake/coppiceConfig.cmake.in "${PROJECT_BINARY_DIR}/coppiceConfig.cmake"
  INSTALL_DESTINATION "${COPPICE_CMAKE_DIR}")
# Before 1.0 a new minor version may change the API.
write_basic_package_version_file(
  "${PROJECT_BINARY_DIR}/coppiceConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion
  ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/coppiceConfig.cmake"
              "${PROJECT_BINARY_DIR}/coppiceConfigVersion.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/FindXxhashHeader.cmake"
        DESTINATION "${COPPICE_CMAKE_DIR}")

# The .pc file finds its prefix from its own place, so that the tree can be moved.
file(RELATIVE_PATH COPPICE_PC_TO_PREFIX "/prefix/${COPPICE_PC_DIR}" "/prefix")
string(REGEX REPLACE "/$" "" COPPICE_PC_TO_PREFIX "${COPPICE_PC_TO_PREFIX}")
configure_file(cmake/coppice.pc.in "${PROJECT_BINARY_DIR}/coppice.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/coppice.pc" DESTINATION "${COPPICE_PC_DIR}")

install(FILES LICENSE_1_0.txt DESTINATION "${CMAKE_INSTALL_DATADIR}/doc/coppice")

if(TARGET coppice_tool)
  install(TARGETS coppice_tool RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()
