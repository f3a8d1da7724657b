#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Power cuts of a real file system: ext4 on a loop device, shut down under a worker that commits.

    power_cuts.py WORKER [--cuts N] [--seed N]

FS_IOC_SHUTDOWN without flushing the log drops what the file system has not written, as a power cut
does. What the worker was told is durable before that must be there when the file system is mounted
again; a lazy commit promises less, so the workers here commit durably. The device is a file in the
page cache: the order in which a disk loses writes is not shown by this, see the simulated ones.
"""

import fcntl
import os
import random
import shutil
import struct
import subprocess
import sys
import time

import full_disk
import processes

FS_IOC_SHUTDOWN = 0x8004587D
FLAGS = {"flushing the log": 1, "dropping the log": 2}  # 0, which freezes first, loses nothing


def mount(image, folder):
    code, lines = processes.run(["mount", "-o", "loop", image, folder])
    if code != 0:
        processes.skip(f"a loop device cannot be mounted: {' '.join(lines)}")


def cut(folder, how):
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.ioctl(opened, FS_IOC_SHUTDOWN, struct.pack("I", FLAGS[how]))
    finally:
        os.close(opened)


def one_cut(worker, image, folder, how, pause_s):
    """Returns (what the worker said, what the audit after it found or None)."""
    mount(image, folder)
    (folder / "d").mkdir(exist_ok=True)
    # The name of the folder is not what the library promises.
    opened = os.open(folder, os.O_RDONLY)
    os.fsync(opened)
    os.close(opened)
    database = folder / "d" / "db"
    # What it says goes elsewhere than to the disk that fails.
    process = subprocess.Popen([worker, "power", database], stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    time.sleep(pause_s)
    # Stopped, it can be told of nothing between the cut and its end.
    process.send_signal(19)
    cut(folder, how)
    process.send_signal(18)
    process.kill()
    lines = process.communicate(timeout=processes.LONGEST_S)[0].splitlines()
    processes.run(["umount", folder])
    mount(image, folder)
    processes.run([worker, "disturb", "rebooted", database])
    well, found = processes.audit(worker, database, lines)
    processes.run(["umount", folder])
    return lines, None if well else found


def main():
    chosen = processes.arguments(__doc__, ("--cuts", 20, "how many power cuts"))
    full_disk.in_a_namespace()
    if shutil.which("mkfs.ext4") is None or not os.path.exists("/dev/loop-control"):
        processes.skip("there is no mkfs.ext4, or there are no loop devices")
    dice = random.Random(chosen.seed)
    wrong, commits, cuts = [], 0, 0
    with processes.Folder() as root:
        image, folder = root / "image", root / "mounted"
        folder.mkdir()
        for i in range(chosen.cuts):
            with open(image, "wb") as file:
                file.truncate(16 << 20)
            processes.run(["mkfs.ext4", "-q", "-F", image])
            how = list(FLAGS)[i % len(FLAGS)]
            lines, found = one_cut(chosen.worker, image, folder, how, dice.uniform(0.001, 0.15))
            cuts += 1
            commits += processes.largest(lines, "ack")
            if found is not None:
                wrong.append(f"{how}: {lines[-3:]}, audit: {found}")
    for each in wrong:
        print("WRONG", each)
    print(f"power cuts of ext4: {cuts}, {commits} commits acknowledged; wrong: {len(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
