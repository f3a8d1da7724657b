#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Plants bugs into copies of the headers, one at a time, and sees the simulated crashes catch them.

    plant.py             all bugs
    plant.py NAME...     some
    plant.py --check     only sees that each bug can still be planted; compiles nothing

Each copy is compiled into the program that ./dev crash runs, which then looks for a violation: in
random histories, and if there is none in all short ones. Prints after how many distinct images.
Where the table names the history that is known to show a bug, after millions of others, that one
comes first. What none of these shows is looked for by the tests that tell the story of a bug.
Results come in the order in which they are had, not in that of the table.
"""

import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import bugs  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[3]
EXPLORER = ["tests/crash/explorer/main.cpp"]
STORIES = ["tests/crash/story_test.cpp", "tests/main.cpp"]


def check(chosen):
    wrong = []
    for bug in chosen:
        with tempfile.TemporaryDirectory() as folder:
            include = pathlib.Path(folder) / "include"
            shutil.copytree(ROOT / "include", include)
            wrong.append(bugs.plant(bug, lambda header: include / "coppice" / header))
    for each in filter(None, wrong):
        print(each)
    return not any(wrong)


def compile_with(include, sources, program):
    """Compiles test files with other headers. Returns what the compiler says where it fails."""
    done = subprocess.run(["g++", "-std=c++20", "-O1", "-w", "-I", str(include),
                           "-I", str(ROOT / "tests/support"), "-I", str(ROOT),
                           *(str(ROOT / each) for each in sources), "-lxxhash", "-lpthread",
                           "-o", program], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr[:500] or "the compiler failed"


def tell_stories(program):
    """Runs the tests that tell stories. Returns the first one that fails, or nothing."""
    try:
        done = subprocess.run([program, "--abort", "--reporter", "compact"], capture_output=True,
                              text=True, timeout=600, check=False)
    except subprocess.TimeoutExpired:
        return ""
    if done.returncode == 0:
        return ""
    first = done.stdout.partition("\n")[0].removeprefix(f"{ROOT}/")
    return first or f"ended with {done.returncode}"


def run(program, arguments):
    """Runs until the first violation. Returns its line, or nothing; too long is no catch."""
    try:
        alone = [] if arguments[0] == "replay" else ["--jobs", "1"]
        done = subprocess.run([program, *arguments, *alone], capture_output=True, text=True,
                              timeout=1800, check=False)
    except subprocess.TimeoutExpired:
        return ""
    found = re.search(r"^VIOLATION (.*)$", done.stdout, re.MULTILINE)
    if found:
        return found.group(1)
    return "" if done.returncode == 0 else f"ended with {done.returncode}: {done.stderr[-200:]}"


def catch(bug):
    with tempfile.TemporaryDirectory() as folder:
        include = pathlib.Path(folder) / "include"
        shutil.copytree(ROOT / "include", include)
        wrong = bugs.plant(bug, lambda header: include / "coppice" / header)
        if wrong:
            return bug, "", wrong
        program = os.path.join(folder, "crash")
        wrong = compile_with(include, EXPLORER, program)
        if wrong:
            return bug, "", wrong
        known = [["replay", bug["history"]]] if bug["history"] else []
        for way in (*known, ["random", "--histories", "6000"], ["exhaustive"]):
            how = run(program, way)
            if how:
                return bug, f"{way[0]}: {how}", ""
        wrong = compile_with(include, STORIES, program)
        how = "" if wrong else tell_stories(program)
        return bug, f"story: {how}" if how else "", wrong


def main():
    names = [name for name in sys.argv[1:] if name != "--check"]
    unknown = set(names) - {bug["name"] for bug in bugs.ALL}
    if unknown:
        print(f"no such bug: {', '.join(sorted(unknown))}\n{__doc__}", file=sys.stderr)
        return 2
    chosen = [bug for bug in bugs.ALL if not names or bug["name"] in names]
    if "--check" in sys.argv:
        print(f"{len(chosen)} bugs can be planted" if check(chosen) else "the table is out of date")
        return 0 if check(chosen) else 1
    caught = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for done in concurrent.futures.as_completed([pool.submit(catch, bug) for bug in chosen]):
            bug, how, wrong = done.result()
            caught += bool(how)
            print(f"{'caught' if how else 'MISSED'}  {bug['name']:24} {bug['story']}\n"
                  f"        {how or wrong or 'no violation'}", flush=True)
    print(f"{caught} of {len(chosen)} planted bugs caught")
    return 0 if caught == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
