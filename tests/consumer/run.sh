#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Uses coppice in the three ways a project can: as a subdirectory, by find_package and by
# pkg-config. Each program has two translation units, so a function that is not inline fails.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/coppice.XXXXXX")
trap 'rm -rf "$work"' EXIT
readonly warnings="-Wall -Wextra -Werror"

# check NAME PROGRAM: the program prints ok.
check() {
    local printed
    printed=$(cd "$work" && "$2" "$work/$1.db")
    printf '%s: %s\n' "$1" "$printed"
    [ "$printed" = ok ]
}

cmake -S "$source" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCOPPICE_DEVELOPER=OFF \
    -DCMAKE_INSTALL_PREFIX="$work/prefix"
cmake --build "$work/build"
cmake --install "$work/build"
# Whoever moves the installed tree still finds everything in it.
mv "$work/prefix" "$work/moved"

cmake -S "$here/add_subdirectory" -B "$work/sub" -G Ninja -DCMAKE_CXX_FLAGS="$warnings" \
    -DCOPPICE_SOURCE="$source"
cmake --build "$work/sub"

cmake -S "$here/find_package" -B "$work/find" -G Ninja -DCMAKE_CXX_FLAGS="$warnings" \
    -DCMAKE_PREFIX_PATH="$work/moved"
cmake --build "$work/find"

export PKG_CONFIG_PATH="$work/moved/share/pkgconfig"
export CXXFLAGS="$warnings -O2"
"$here/pkg_config/build.sh" "$work/pkg"

check add_subdirectory "$work/sub/consumer"
check find_package "$work/find/consumer"
check pkg_config "$work/pkg"
