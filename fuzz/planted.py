#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Plants bugs into a copy of the source tree, one at a time, and sees a fuzz target find each.

    planted.py              some bugs of the commit by fuzz_plan, and all of the dump by fuzz_dump
    planted.py NAME...      these
    planted.py --seconds N  how long a target may look (60)
    planted.py --check      only sees that each bug can still be planted; compiles nothing

A target begins with its corpus in fuzz/corpus and looks on one core. Prints how long it took.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "crash" / "planted"))
import bugs  # noqa: E402

# Those of tests/crash/planted/bugs.py that fuzz_plan is asked for; by name it takes any.
PLAN = ("trust_cache", "no_zeroing", "sync_retried", "not_poisoned", "slots_alternate",
        "own_range", "mark_before_sync", "no_name_sync", "slot_first", "no_sync", "wrong_range",
        "chain_not_followed", "no_reread", "edit_skipped")

D = "tools/coppice/dump_format.hpp"
L = "tools/coppice/dump_loader.hpp"
DUMP = [
    bugs.bug("end_not_needed", "a dump without DATA=END is loaded",
             (D, 'auto const first = line("the dump ends without DATA=END");',
              'auto const more = from_.next();\n        if (!more) return false;\n'
              '        auto const first = *more;')),
    bugs.bug("rest_ignored", "what follows DATA=END is passed over",
             (D, "            expect_nothing_more();\n", "")),
    bugs.bug("half_a_byte", "a lone hex digit behind a backslash is taken",
             (D, "if (!byte || byte->empty())", "if (!byte)")),
    bugs.bug("any_version", "a header without VERSION=3 is taken",
             (D, 'if (!version_) from_.refuse("the header has no VERSION=3");', "")),
    bugs.bug("duplicates_taken", "a second value for a key is taken where there may be duplicates",
             (D, "if (last_key_ == pair.key) {", "if (last_key_ == pair.value) {")),
    bugs.bug("first_behind_lost", "the first pair that descends is not put",
             (L, "    do {\n        if (overwrite)", "    while (pairs.next(*pair)) {\n"
                 "        if (overwrite)"),
             (L, "    } while (pairs.next(*pair));", "    }")),
    bugs.bug("always_overwrites", "keys keep no values behind the first that descends",
             (L, "txn.insert(pair->key, pair->value);", "txn.put(pair->key, pair->value);")),
    bugs.bug("backslash_not_escaped", "a dump in print format has bare backslashes",
             (D, "if (printable && piece[i] != '\\\\') {", "if (printable) {")),
]


def chosen(names):
    every = [("plan", each) for each in bugs.ALL] + [("dump", each) for each in DUMP]
    if names:
        return [each for each in every if each[1]["name"] in names]
    return [(target, each) for target, each in every
            if target == "dump" or each["name"] in PLAN]


def planted(bug, tree):
    return bugs.plant(bug, lambda name: tree / (name if name.startswith("tools/")
                                                else f"include/coppice/{name}"))


def check(all_bugs):
    """Can each be planted? Compiles nothing."""
    wrong = []
    for _, bug in all_bugs:
        with tempfile.TemporaryDirectory() as folder:
            for name in ("include", "tools"):
                shutil.copytree(ROOT / name, pathlib.Path(folder) / name)
            wrong += filter(None, [planted(bug, pathlib.Path(folder))])
    print("\n".join(wrong) or f"{len(all_bugs)} bugs can be planted")
    return 1 if wrong else 0


def look(target, bug, seconds):
    """@return what was found, or nothing, and what went wrong, or nothing."""
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder)
        for name in ("include", "tools", "fuzz", "tests"):
            shutil.copytree(ROOT / name, tree / name)
        wrong = planted(bug, tree)
        if wrong:
            return "", wrong
        program = tree / "target"
        compiled = subprocess.run(
            ["clang++", "-std=c++20", "-O1", "-w", "-fsanitize=fuzzer", "-I", tree / "include",
             "-I", tree, "-I", tree / "tests/support", tree / "fuzz" / f"{target}.cpp", "-lxxhash",
             "-o", program], capture_output=True, text=True, check=False)
        if compiled.returncode != 0:
            return "", compiled.stderr[:500]
        begun = time.monotonic()
        done = subprocess.run(
            [program, f"-max_total_time={seconds}", "-seed=1", f"-artifact_prefix={folder}/",
             tree / "fuzz" / "corpus" / target], cwd=folder, capture_output=True, check=False)
        took = time.monotonic() - begun
        text = done.stderr.decode(errors="replace")
        runs = re.findall(r"^#(\d+)", text, re.MULTILINE)
        found = re.search(rf"^({target}: .*|.*Assertion.*|.*ERROR: .*)$", text, re.MULTILINE)
        if done.returncode == 0 or not found:
            return "", "" if done.returncode == 0 else text[-300:]
        return f"{took:.1f} s, behind {runs[-1] if runs else 0} inputs: {found.group(1)[:150]}", ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    all_bugs = chosen(given.names)
    if given.check:
        return check(all_bugs)
    caught = 0
    for target, bug in all_bugs:
        how, wrong = look(target, bug, given.seconds)
        caught += bool(how)
        print(f"{'caught' if how else 'MISSED'}  {target} {bug['name']:22} {bug['story']}\n"
              f"        {how or wrong or 'nothing found'}", flush=True)
    print(f"{caught} of {len(all_bugs)} planted bugs caught")
    return 0 if caught == len(all_bugs) else 1


if __name__ == "__main__":
    sys.exit(main())
