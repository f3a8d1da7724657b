#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""A disk that is full: a file system of 256 KiB in memory, with ballast that is taken away later.

    full_disk.py WORKER

The disk runs full at many different places: within a commit of each kind, within a compaction,
within making a database, within opening one whose lock file is missing. What was under way fails
with ENOSPC, by a typed error, and has changed nothing; reading goes on; when the ballast is gone
the same handle commits. What a write could not finish is not left behind.
"""

import os
import shutil
import subprocess
import sys

import processes

SIZE_KIB = 256
WAYS = ("sync", "lazy", "two", "compact")


def in_a_namespace():
    """Starts this program again where what it mounts is gone with it."""
    if os.environ.get("COPPICE_FAULTS_MOUNTS") == "1":
        return
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        processes.skip("only root can mount a small file system")
    words = ["unshare", "--mount", "--propagation", "private"]
    code, lines = processes.run(words + ["true"])
    if code != 0:
        processes.skip(f"no mount namespace: {' '.join(lines)}")
    os.environ["COPPICE_FAULTS_MOUNTS"] = "1"
    os.execvp("unshare", words + [sys.executable, "-B"] + sys.argv)


class Disk:
    """A small file system, with ballast of so many KiB, or of all that there is space for."""

    def __init__(self, root):
        self.root = root
        code, lines = processes.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_KIB}k", "tmpfs",
                                     root])
        if code != 0:
            processes.skip(f"a tmpfs cannot be mounted: {' '.join(lines)}")
        (root / "d").mkdir()

    def load(self, kib=SIZE_KIB):
        with open(self.root / "ballast", "wb", buffering=0) as ballast:
            try:
                for _ in range(kib):
                    ballast.write(bytes(1024))
            except OSError:
                pass

    def unload(self):
        (self.root / "ballast").unlink()

    def clear(self):
        for each in list((self.root / "d").iterdir()):
            each.unlink()


def fill(worker, disk, how, ballast_kib):
    """One disk that runs full and has space again. Returns (what is wrong, commits)."""
    database = disk.root / "d" / "db"
    disk.load(ballast_kib)
    process = subprocess.Popen([worker, "fill", how, database], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    lines = []
    for line in process.stdout:
        lines.append(line.strip())
        if lines[-1] == "full":
            break
    disk.unload()
    out, _ = process.communicate("\n", timeout=processes.LONGEST_S)
    lines += out.splitlines()
    wrong = []
    failures = [line for line in lines if line.startswith("failed")]
    if process.returncode != 0 or lines[-1] != "end":
        wrong.append(f"ended with {process.returncode}")
    if len(failures) != 2 or not all("No space left on device" in line for line in failures):
        wrong.append("not two errors that name the full disk")
    well, said = processes.audit(worker, database, lines)
    if not well:
        wrong.append(f"audit: {said}")
    disk.clear()
    return [f"{how}, {ballast_kib} KiB of ballast: {each}: {lines[-6:]}" for each in wrong], \
        processes.largest(lines, "ack")


def refuse(worker, disk, state, job, left_kib):
    """A job on a disk that is full but for so much. Returns (what is wrong, was it refused?)."""
    database = disk.root / "d" / "db"
    _, lines = processes.run([worker, "prepare", state, database])
    processes.run([worker, "disturb", state, database])
    with open(disk.root / "reserve", "wb") as reserve:
        reserve.write(bytes(left_kib * 1024))
    disk.load()
    (disk.root / "reserve").unlink()
    code, said = processes.run([worker, job, database])
    disk.unload()
    well, found = processes.audit(worker, database, lines + said)
    disk.clear()
    if code == 0 and said[-1] == "end" and well and "unknown" not in "".join(said):
        return [], any("No space left on device" in line for line in said)
    return [f"{job} after {state} with {left_kib} KiB: {code} {said}, audit: {found}"], False


def main():
    chosen = processes.arguments(__doc__)
    in_a_namespace()
    wrong, commits, cases, refused = [], 0, 0, 0
    with processes.Folder() as root:
        disk = Disk(root)
        for how in WAYS:
            for ballast_kib in range(64, 201, 8):
                found, made = fill(chosen.worker, disk, how, ballast_kib)
                wrong += found
                commits += made
                cases += 1
        for state, job in (("nothing", "create"), ("base", "commit-sync"), ("base", "compact"),
                           ("no-page", "commit-lazy"), ("torn", "commit-two"), ("no-page", "read")):
            for left_kib in range(0, 49, 4):
                found, full = refuse(chosen.worker, disk, state, job, left_kib)
                wrong += found
                refused += full
                cases += 1
        processes.run(["umount", root])
    for each in wrong:
        print("WRONG", each)
    print(f"full disks: {cases}, {commits} commits made around them, {refused} jobs refused by "
          f"ENOSPC; wrong: {len(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
