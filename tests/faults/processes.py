# SPDX-License-Identifier: BSL-1.0
"""What the drivers in this folder share: running the fault worker and reading what it says."""

import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

LONGEST_S = 20
# In memory where there is such a folder: the syncs of a disk would take most of the time.
FOLDER = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def run(words, longest_s=LONGEST_S):
    """Runs a program. Returns its exit code, None if it did not end in time, and its lines."""
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace",
                               start_new_session=True)
    try:
        out, _ = process.communicate(timeout=longest_s)
        return process.returncode, out.splitlines()
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, _ = process.communicate()
        return None, out.splitlines()


def largest(lines, word):
    """The largest N of the lines "word N", or 0."""
    return max([0] + [int(line.split()[1]) for line in lines if line.startswith(word + " ")])


def audit(worker, database, lines):
    """What a fresh process finds after a worker that said these lines. Returns (well?, lines)."""
    least = largest(lines, "ack")
    _, said = run([worker, "audit", database, str(least), str(max(least, largest(lines, "try")))])
    return bool(said) and said[-1].startswith("ok "), said


class Folder:
    """A folder of its own, gone at the end."""

    def __init__(self, root=FOLDER):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="coppice-faults-", dir=root))

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


def arguments(description, *more, programs=("worker",)):
    """The arguments of a driver: its own, given as (name, default, help), and those of all."""
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    for program in programs:
        parser.add_argument(program, type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--skip", default="", help="says this reason and does nothing")
    for name, default, text in more:
        parser.add_argument(name, type=type(default), default=default, help=text)
    chosen = parser.parse_args()
    for program in programs:
        setattr(chosen, program, getattr(chosen, program).resolve())
    sys.stdout.reconfigure(line_buffering=True)
    if chosen.skip:
        skip(chosen.skip)
    return chosen


def skip(why):
    print(f"skipped: {why}")
    sys.exit(0)
