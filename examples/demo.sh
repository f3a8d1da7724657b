#!/usr/bin/env bash
# SPDX-License-Identifier: BSL-1.0
# Shows coppice at work on the packages of this machine: examples/demo.sh BUILD_DIR
# COPPICE_DEMO_PACKAGES bounds how many packages are loaded. Leaves nothing behind; fails if
# anything is not as expected.
set -euo pipefail

if [ $# -ne 1 ]; then
    printf 'usage: %s BUILD_DIR\n' "$0" >&2
    exit 2
fi
bin=$(cd "$1/bin" && pwd)
coppice=$bin/coppice
package_index=$bin/package_index
most=${COPPICE_DEMO_PACKAGES:-1000000}

directory=$(mktemp -d "${TMPDIR:-/tmp}/coppice.XXXXXX")
victim=
clean_up() {
    [ -z "$victim" ] || kill -9 "$victim" 2>/dev/null || true
    rm -rf "$directory"
}
trap clean_up EXIT
trap 'exit 130' INT TERM
db=$directory/packages.db

tell() { printf '\n%s\n' "$*"; }
show() { sed 's/^/  /'; }
fail() {
    printf 'demo: NOT AS EXPECTED: %s\n' "$*" >&2
    exit 1
}
# expect WHAT FOUND EXPECTED
expect() { [ "$2" = "$3" ] || fail "$1: found '$2', expected '$3'"; }
milliseconds() { date +%s%3N; }
bytes_of() { # FIGURE
    "$coppice" stat "$db" --json | sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"
}

# stanzas: the package lists that apt has fetched, and what is installed.
stanzas() {
    local list
    for list in /var/lib/apt/lists/*_Packages /var/lib/apt/lists/*_Packages.*; do
        [ -r "$list" ] || continue
        if [ -x /usr/lib/apt/apt-helper ]; then
            /usr/lib/apt/apt-helper cat-file "$list"
        elif [[ $list == *_Packages ]]; then
            cat "$list"
        elif [[ $list == *.lz4 ]] && command -v lz4 >/dev/null; then
            lz4 -dcq "$list"
        fi
        printf '\n'
    done
    if [ -r /var/lib/dpkg/status ]; then
        cat /var/lib/dpkg/status
    else # no Debian: three made up packages
        printf 'Package: %s\nSection: demo\nMaintainer: nobody\nDepends: libc6\n\n' bash dpkg libc6
    fi
}

# ---- 1 -----------------------------------------------------------------------------------------

tell "1. Loads all packages that apt and dpkg know, 500 packages and their indexes a commit."
# Paragraph by paragraph, so that the bound is one of packages.
stanzas | awk -v most="$most" 'BEGIN { RS = ""; ORS = "\n\n" } NR <= most' >"$directory/stanzas"
began=$(milliseconds)
"$package_index" load "$db" <"$directory/stanzas" >"$directory/acknowledged"
took=$(($(milliseconds) - began))
last=$(tail -n 1 "$directory/acknowledged" | cut -d ' ' -f 2)
note=$("$coppice" log "$db" --limit 1 | cut -f 6)
expect "the note of the newest commit" "$note" "packages up to number $last"
printf '  %s stanzas in %s durable commits, %s entries now, in %s ms\n' "$last" \
    "$(wc -l <"$directory/acknowledged")" "$("$coppice" count "$db")" "$took"
"$coppice" log "$db" --limit 3 | show

# ---- 2 -----------------------------------------------------------------------------------------

tell "2. Asks: counts, ranks and the n-th package cost O(log n), however many there are."
"$package_index" ask "$db"
printf '  the same from the shell, coppice count --prefix depends/libc6/: %s\n' \
    "$("$coppice" count "$db" --prefix depends/libc6/)"
printf '  coppice scan --prefix depends/dpkg/ --keys --reverse --limit 3:\n'
"$coppice" scan "$db" --prefix depends/dpkg/ --keys --reverse --limit 3 | show

# ---- 3 -----------------------------------------------------------------------------------------

tell "3. Changes the stanza of dpkg, and reads it as it was at the commit before."
before=$("$coppice" log "$db" --limit 1 | cut -f 1)
"$coppice" get "$db" pkg/dpkg >"$directory/as-it-was"
{
    cat "$directory/as-it-was"
    printf 'Comment: changed by the demonstration\n'
} | "$coppice" put "$db" pkg/dpkg --note "a comment for dpkg"
"$coppice" get "$db" pkg/dpkg | tail -n 1 | sed 's/^/  now: /'
"$coppice" get "$db" pkg/dpkg --at "$before" >"$directory/as-of-before"
cmp "$directory/as-it-was" "$directory/as-of-before" || fail "the earlier commit has changed"
printf '  at commit %s: byte for byte what it was\n' "$before"

# ---- 4 -----------------------------------------------------------------------------------------

tell "4. Kills a writer with SIGKILL at a random moment, three times, and counts what it promised."
for round in 1 2 3; do
    : >"$directory/acknowledged"
    "$package_index" churn "$db" >"$directory/acknowledged" &
    victim=$!
    sleep "0.$((RANDOM % 700 + 200))"
    { kill -9 "$victim" && wait "$victim"; } 2>/dev/null || true
    victim=
    promised=$(sed -n 's/^acknowledged \([0-9]*\)$/\1/p' "$directory/acknowledged" | tail -n 1)
    [ -n "$promised" ] || fail "the writer did not get to a single commit"
    # The lock of the dead is free; the next writer finds out how far the last commit had come.
    "$coppice" put "$db" churn/last-round "$round" --wait 5 --note "after a kill"
    kept=$("$coppice" get "$db" churn/number)
    items=$("$coppice" count "$db" --prefix churn/item/)
    printf '  round %s: %s was acknowledged last, %s is in the file\n' "$round" "$promised" "$kept"
    [ "$kept" -ge "$promised" ] || fail "an acknowledged commit was lost"
    [ "$kept" -le $((promised + 1)) ] || fail "there is more than was ever written"
    expect "the items of as many whole commits" "$items" "$kept"
    "$coppice" check "$db" >"$directory/report" || fail "$(cat "$directory/report")"
done
printf '  coppice check finds no damage:\n'
show <"$directory/report"

# ---- 5 -----------------------------------------------------------------------------------------

tell "5. Dumps everything as text, loads it into another file, and compares."
"$coppice" dump "$db" -o "$directory/dump"
"$coppice" load "$directory/copy.db" -i "$directory/dump"
"$coppice" dump "$directory/copy.db" | cmp - "$directory/dump" || fail "the copy differs"
printf '  %s bytes of text, twice the same\n' "$(wc -c <"$directory/dump")"
rm -f "$directory"/copy.db* "$directory/stanzas"

# ---- 6 -----------------------------------------------------------------------------------------

tell "6. Compacts: the history goes, the entries stay."
large=$(bytes_of file_bytes)
began=$(milliseconds)
"$coppice" compact "$db" 2>/dev/null
took=$(($(milliseconds) - began))
small=$(bytes_of file_bytes)
[ "$small" -lt "$large" ] || fail "the file has not become smaller"
"$coppice" dump "$db" | cmp - "$directory/dump" || fail "the compaction changed something"
"$coppice" check "$db" >/dev/null || fail "the compacted database is damaged"
printf '  %s bytes before, %s after, in %s ms\n' "$large" "$small" "$took"
"$coppice" stat "$db" | sed "s,$directory/,," | show

tell "All as expected."
