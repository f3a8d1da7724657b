#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Plants bugs into copies of the headers and sees block_states.py catch them.

    planted_states.py BLOCK_LOG [NAME...]

The bugs are those of tests/crash/planted that a real file system can show, what is not synced, or
not summed, and some more. Prints after how many distinct disks, and on which file system.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/crash/planted"))
import bugs  # noqa: E402

OWN = [
    bugs.bug("no_sync_at_all", "nothing is ever synced",
             ("storage/file_storage.hpp", "void sync() { posix::sync_data(file_.get(), path_); }",
              "void sync() {}")),
    bugs.bug("no_name_sync_at_all", "no folder is ever synced",
             ("storage/file_medium.hpp",
              "void sync_name() { posix::sync_directory(folder(), path()); }",
              "void sync_name() {}")),
]
NAMES = ("no_sync_at_all", "no_name_sync_at_all", "slot_first", "no_range_checksum",
         "one_sync_of_two", "fresh_not_synced", "name_never_synced", "wrong_slot",
         "running_end", "group_unsummed", "deferred_not_synced", "no_fallback")
STATES = 4000
COMPILE = ["g++", "-std=c++20", "-O1", "-w", "-I", str(ROOT / "tests/support"), "-I", str(ROOT),
           "-DCOPPICE_TEST_SOURCE_DIR=\"\"", "-DCOPPICE_TEST_TOOL=\"\"",
           str(ROOT / "tests/faults/worker.cpp"), "-lxxhash", "-lpthread"]


def catch(bug, block_log):
    """Returns what came of it, and whether it was caught."""
    with tempfile.TemporaryDirectory() as folder:
        include = pathlib.Path(folder) / "include"
        shutil.copytree(ROOT / "include", include)
        wrong = bugs.plant(bug, lambda header: include / "coppice" / header)
        if wrong:
            return wrong, False
        worker = pathlib.Path(folder) / "worker"
        subprocess.run([*COMPILE, "-I", include, "-o", worker], check=True)
        states = pathlib.Path(__file__).parent / "block_states.py"
        words = [sys.executable, "-B", states, worker, block_log, "--states", str(STATES),
                 "--at-once", "8"]
        done = subprocess.run([*words, "--wrong", "1"], capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    if lines and lines[-1].startswith("skipped"):
        return lines[-1], False
    first = next((line for line in lines if line.startswith("WRONG")), None)
    count = re.search(r"(\d+) distinct disks", done.stdout)
    if first is None or count is None:
        return f"not caught: {lines[-1:]} {done.stderr[-300:]}", False
    return f"caught after {count.group(1)} distinct disks: {first[6:300]}", True


def main():
    block_log, *names = sys.argv[1:]
    caught = 0
    table = {bug["name"]: bug for bug in OWN + bugs.ALL}
    chosen = [table[name] for name in names or NAMES]
    for bug in chosen:
        said, well = catch(bug, block_log)
        caught += well
        print(f"{bug['name']}: {bug['story']}: {said}", flush=True)
    print(f"planted bugs that states of real file systems show: {caught} of {len(chosen)}")
    return 0 if caught == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
