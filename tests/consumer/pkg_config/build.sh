#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# build.sh PROGRAM: compiles a.cpp and b.cpp with the flags of coppice.pc.
set -euo pipefail

program=$1
cd "$(dirname "${BASH_SOURCE[0]}")"
# The flags are words to be split.
# shellcheck disable=SC2046,SC2086
"${CXX:-c++}" -std=c++20 ${CXXFLAGS:-} a.cpp b.cpp -o "$program" \
    $(pkg-config --cflags --libs coppice)
