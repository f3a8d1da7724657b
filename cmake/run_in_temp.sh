#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Runs a command in a new temporary directory and removes the directory afterwards.
set -euo pipefail

directory=$(mktemp -d "${TMPDIR:-/tmp}/coppice.XXXXXX")
trap 'rm -rf "$directory"' EXIT
cd "$directory"
"$@"
