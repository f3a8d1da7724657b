// SPDX-License-Identifier: BSL-1.0
#pragma once
// coppice/version.hpp: the one place of the version numbers and of the build's ABI tag.
// Owns: the library version, and the name of the inline namespace of everything that
//   depends on a build switch, so that two differently built units never merge silently.
// Invariant: nothing below floor 1 and nothing in storage/ depends on a build switch.

#define COPPICE_VERSION_MAJOR 0
#define COPPICE_VERSION_MINOR 1
#define COPPICE_VERSION_PATCH 0
#define COPPICE_VERSION_STRING "0.1.0"

// COPPICE_ASSERTIONS is 1 where assert() is on, unless the build says otherwise.
#if !defined(COPPICE_ASSERTIONS)
#if defined(NDEBUG)
#define COPPICE_ASSERTIONS 0
#else
#define COPPICE_ASSERTIONS 1
#endif
#endif

// The checksum is compiled for the widest vectors the target has.
#if defined(__AVX512F__)
#define COPPICE_DETAIL_VECTORS _avx512
#elif defined(__AVX2__)
#define COPPICE_DETAIL_VECTORS _avx2
#else
#define COPPICE_DETAIL_VECTORS
#endif

#if COPPICE_ASSERTIONS
#define COPPICE_DETAIL_BASE v0_assertions
#else
#define COPPICE_DETAIL_BASE v0
#endif

#define COPPICE_DETAIL_JOIN_AGAIN(a, b) a##b
#define COPPICE_DETAIL_JOIN(a, b) COPPICE_DETAIL_JOIN_AGAIN(a, b)
#define COPPICE_ABI COPPICE_DETAIL_JOIN(COPPICE_DETAIL_BASE, COPPICE_DETAIL_VECTORS)
