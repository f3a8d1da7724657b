# SPDX-License-Identifier: BSL-1.0
# Finds the header xxhash.h (0.8 or newer: XXH3), which coppice compiles inline; no library is
# linked. Makes the imported target coppice_xxhash::header. Used by the build and, installed
# beside coppiceConfig.cmake, by the users of an installed coppice.

find_path(COPPICE_XXHASH_INCLUDE_DIR xxhash.h DOC "The directory of xxhash.h")
mark_as_advanced(COPPICE_XXHASH_INCLUDE_DIR)

set(XxhashHeader_VERSION "")
if(COPPICE_XXHASH_INCLUDE_DIR)
  file(STRINGS "${COPPICE_XXHASH_INCLUDE_DIR}/xxhash.h" _coppice_xxhash_lines
       REGEX "define +XXH_VERSION_(MAJOR|MINOR|RELEASE) +[0-9]+")
  foreach(_coppice_part MAJOR MINOR RELEASE)
    if("${_coppice_xxhash_lines}" MATCHES "XXH_VERSION_${_coppice_part} +([0-9]+)")
      list(APPEND XxhashHeader_VERSION "${CMAKE_MATCH_1}")
    endif()
  endforeach()
  list(JOIN XxhashHeader_VERSION "." XxhashHeader_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  XxhashHeader
  REQUIRED_VARS COPPICE_XXHASH_INCLUDE_DIR
  VERSION_VAR XxhashHeader_VERSION
  REASON_FAILURE_MESSAGE "Install it, on Debian: apt-get install libxxhash-dev")

if(XxhashHeader_FOUND AND NOT TARGET coppice_xxhash::header)
  add_library(coppice_xxhash::header INTERFACE IMPORTED)
  set_target_properties(coppice_xxhash::header PROPERTIES INTERFACE_INCLUDE_DIRECTORIES
                                                          "${COPPICE_XXHASH_INCLUDE_DIR}")
endif()
