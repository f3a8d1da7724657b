# SPDX-License-Identifier: BSL-1.0
"""What a real file system did to its disk while a worker worked on it, and what a power cut at any
moment of that may leave.

The disk is made of epochs, from one flush to the next. A power cut within one leaves all that came
before it, and any part of what came within it (choices).
"""

import contextlib
import hashlib
import os
import struct
import subprocess
import time

import mounts
import processes

BLOCK = 4096
SECTOR = mounts.SECTOR
ZEROS = bytes(BLOCK)

# Name: the kind, the size of the disk, its mkfs, the options of its mount.
MKFS = {
    "ext4": ["mkfs.ext4", "-q", "-F", "-b", "4096", "-J", "size=4", "-E", "nodiscard"],
    "ext4 at its loosest": ["mkfs.ext4", "-q", "-F", "-b", "1024", "-E", "nodiscard"],
    "xfs": ["mkfs.xfs", "-q", "-f", "-K", "--unsupported"],
    "btrfs": ["mkfs.btrfs", "-q", "-f", "-K", "-M"],
}
MOUNT = {
    "ext4": "",
    # Names may be durable before what they name, and the file system does not help it.
    "ext4 at its loosest": "data=writeback,noauto_da_alloc",
    "xfs": "nouuid",
    "btrfs": "nodiscard",
}
SIZE = {"ext4": 16 << 20, "ext4 at its loosest": 16 << 20, "xfs": 32 << 20, "btrfs": 32 << 20}
# Where a superblock is.
UNTORN = {"ext4": [(1024, 2048)], "xfs": [(0, 512)], "btrfs": [(64 << 10, 68 << 10)]}


def kind_of(name):
    return name.split()[0]


def content(file, size):
    """The blocks of a file that are not all zeros: place / BLOCK to bytes."""
    blocks = {}
    for i in range(size // BLOCK):
        block = os.pread(file, BLOCK, i * BLOCK)
        if block != ZEROS:
            blocks[i] = block
    return blocks


def write_disk(file, size, blocks):
    """The other way."""
    os.ftruncate(file, size)
    for i, block in blocks.items():
        os.pwrite(file, block, i * BLOCK)


def format_disk(name):
    """A descriptor of a file in memory with an empty file system, or why there is none."""
    file = os.memfd_create("disk")
    os.ftruncate(file, SIZE[name])
    path = f"/proc/{os.getpid()}/fd/{file}"
    try:
        code, lines = processes.run(MKFS[name] + [path])
    except FileNotFoundError:
        code, lines = 1, [f"there is no {MKFS[name][0]}"]
    if code == 0:
        return file, None
    os.close(file)
    return None, " ".join(lines)


class Epoch:
    """From one flush of the disk to the next: what was durable, and the writes under way."""

    def __init__(self, durable, total, least, most, untorn):
        self.durable = durable  # block -> bytes
        self.total = total  # the sum over all of it
        self.untorn = untorn  # places of the disk that are written as a whole: (begin, end)
        self.writes = []  # (offset, bytes, most): what was begun when it came
        self.least = least  # acknowledged before the flush at its end
        self.most = most  # begun when it starts


def hash_of(place, sector):
    """One summand of the sum of a disk, which names its whole content."""
    if not any(sector):
        return 0
    digest = hashlib.blake2b(sector, digest_size=16, salt=place.to_bytes(8, "little"))
    return int.from_bytes(digest.digest(), "little")


def sum_of(blocks):
    total = 0
    for i, block in blocks.items():
        for at in range(0, BLOCK, SECTOR):
            total ^= hash_of((i * BLOCK + at) // SECTOR, block[at:at + SECTOR])
    return total


class Recording:
    """The log of one worker on one file system."""

    def __init__(self, name, empty, log, failure):
        self.name = name
        self.size = SIZE[name]
        self.writes = self.flushes = self.acknowledged = 0
        self.lines = []
        self.failure = failure  # of the worker
        self.epochs = self._read(empty, log)
        if self.failure is None and not self.flushes:
            self.failure = "no flush came to the disk"

    def _read(self, blocks, log):
        """The epochs from where the worker was started."""
        epochs = []
        now = Epoch(blocks, sum_of(blocks), 0, 0, UNTORN[kind_of(self.name)])
        begun = False
        place, end = 0, os.fstat(log).st_size
        while place < end:
            kind, offset, size = struct.unpack("QQQ", os.pread(log, 24, place))
            data = os.pread(log, size, place + 24) if kind != ord("f") else b""
            place += 24 + size
            if kind == ord("w"):
                self.writes += begun
                now.writes.append((offset, data, now.most))
            elif kind == ord("f"):
                self.flushes += begun
                if begun:
                    epochs.append(now)
                everything = chosen_sectors(now, [(i, None) for i in range(len(now.writes))])
                now = Epoch(disk_with(now, everything), sum_with(now, everything), now.least,
                            now.most, now.untorn)
            else:
                line = data.decode().strip()
                begun = begun or line == "begin"
                self.lines.append(line)
                now.least = max(now.least, processes.largest([line], "ack"))
                now.most = max(now.most, processes.largest([line], "try"))
        self.acknowledged = now.least
        return epochs + [now]


def chosen_sectors(epoch, chosen):
    """What of the writes under way is there, as sectors: chosen are (which, None or places in
    it), and a later write hides an earlier one."""
    changed = {}
    for which, places in chosen:
        offset, data, _ = epoch.writes[which]
        for at in range(0, len(data), SECTOR) if places is None else places:
            changed[(offset + at) // SECTOR] = data[at:at + SECTOR]
    return changed


def sum_with(epoch, changed):
    """The sum of the disk with these sectors."""
    total = epoch.total
    for place, sector in changed.items():
        i, at = divmod(place * SECTOR, BLOCK)
        before = epoch.durable.get(i, ZEROS)[at:at + SECTOR]
        if before != sector:
            total ^= hash_of(place, before) ^ hash_of(place, sector)
    return total


def disk_with(epoch, changed):
    """The blocks of the disk with these sectors."""
    blocks, touched = dict(epoch.durable), {}
    for place, sector in changed.items():
        i, at = divmod(place * SECTOR, BLOCK)
        block = touched.setdefault(i, bytearray(blocks.get(i, ZEROS)))
        block[at:at + SECTOR] = sector
    for i, block in touched.items():
        blocks[i] = bytes(block)
        if block == ZEROS:
            del blocks[i]
    return blocks


def bounds(epoch, chosen):
    """The commits of which one must be there: acknowledged before the next flush, since all these
    writes may be all that is there until then; and begun when the last one of these came."""
    return epoch.least, max([epoch.most] + [epoch.writes[i][2] for i, _ in chosen], default=0)


def units_of(epoch):
    """What is there or not of the writes under way: (which, its place or None for all of it). A
    sector; but a file system takes for granted that its superblock is not torn."""
    units = []
    for i, (offset, data, _) in enumerate(epoch.writes):
        if any(offset < end and begin < offset + len(data) for begin, end in epoch.untorn):
            units.append((i, None))
        else:
            units += [(i, at) for at in range(0, len(data), SECTOR)]
    return units


def random_part(units, dice):
    """Some of the units, in one of the ways in which disks lose them."""
    way = dice.randrange(6)
    if way == 0:  # whole blocks
        share = dice.choice((0.1, 0.5, 0.9))
        blocks = {}
        return [(i, at) for i, at in units
                if blocks.setdefault((i, at and at // BLOCK), dice.random() < share)]
    if way == 1:  # any
        share = dice.choice((0.02, 0.1, 0.5, 0.9, 0.98))
        return [each for each in units if dice.random() < share]
    begin = dice.randrange(len(units))
    if way == 2:
        return units[:begin + 1]
    if way == 3:
        return units[begin:]
    end = begin + dice.choice((1, 1, 8, 32, 128))
    return units[:begin] + units[end:] if way == 4 else units[begin:end]


def choices(epoch, dice):
    """What a power cut may leave of the writes under way, without end: each a list of (which, None
    for all of it or the places of its sectors). What is likely comes once, among any parts."""
    count = len(epoch.writes)
    likely = [list(range(i)) for i in range(count + 1)] + [[i] for i in range(count)]
    likely += [[j for j in range(count) if j != i] for i in range(count)]
    dice.shuffle(likely)
    units = units_of(epoch)
    while likely or units:
        if likely and (not units or dice.random() < 0.5):
            yield [(i, None) for i in likely.pop()]
        elif dice.random() < 0.15:
            yield [(i, None) for i in range(count) if dice.random() < 0.5]
        else:
            parts = {}
            for i, at in random_part(units, dice):
                parts.setdefault(i, []).append(at)
            yield [(i, None if places == [None] else places) for i, places in parts.items()]


@contextlib.contextmanager
def served(block_log, folder, file, log):
    """A disk that is served from one descriptor and logged to another, opened; None if it cannot
    be."""
    daemon = subprocess.Popen([block_log, folder, str(file), str(log)], pass_fds=(file, log),
                              stdin=subprocess.DEVNULL)
    disk = None
    try:
        while disk is None and daemon.poll() is None:
            try:
                disk = os.open(folder / "disk", os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                time.sleep(0.005)
        yield disk
    finally:
        if disk is not None:
            os.close(disk)
        for point in mounts.mounted_under(folder):
            mounts.unmount(point)
        daemon.wait(timeout=processes.LONGEST_S)


def work(worker, database, commits, said):
    """The worker on the disk. Returns what is wrong with it."""
    # The name of the folder is not what the library promises.
    database.parent.mkdir()
    opened = os.open(database.parent.parent, os.O_RDONLY)
    os.fsync(opened)
    os.close(opened)
    with open(said, "wb", buffering=0) as out:
        out.write(b"begin\n")
        process = subprocess.Popen([worker, "mixed", database, str(commits)], stdout=out,
                                   stderr=out, stdin=subprocess.DEVNULL)
        try:
            code = process.wait(timeout=3 * processes.LONGEST_S)
        except subprocess.TimeoutExpired:
            return "the worker does not get on"
        finally:
            process.kill()
            process.wait()
    return None if code == 0 else f"the worker ended with {code}"


def record(name, root, block_log, worker, commits):
    """Lets a worker commit on a fresh file system. Returns the recording, or why there is none."""
    file, why = format_disk(name)
    if file is None:
        return None, why
    log = os.memfd_create("log")
    empty = content(file, SIZE[name])
    folder, mounted = root / "served", root / "mounted"
    folder.mkdir(exist_ok=True)
    mounted.mkdir(exist_ok=True)
    try:
        with served(block_log, folder, file, log) as disk:
            if disk is None:
                return None, "nothing can be served by FUSE"
            try:
                mounts.mount_file(disk, mounted, kind_of(name), MOUNT[name])
            except OSError as failure:
                return None, f"{kind_of(name)} cannot be mounted: {failure}"
            # What the worker says goes through the server too, and so is in order with the writes.
            try:
                failure = work(worker, mounted / "d" / "db", commits, folder / "said")
            finally:
                mounts.unmount(mounted)
        return Recording(name, empty, log, failure), None
    finally:
        os.close(file)
        os.close(log)
