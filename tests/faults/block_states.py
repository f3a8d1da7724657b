#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""What a power cut may leave of real file systems: ext4, xfs and btrfs on a disk with a log.

    block_states.py WORKER BLOCK_LOG [--states N] [--commits N] [--minutes M] [--only NAME]

The worker commits in every way on a file system whose disk (block_log.cpp) remembers each write and
each flush. Between two flushes a power cut may leave any of the writes under way, and any sectors
of each: such disks are made and mounted, with all that the file system does itself to recover; then
a fresh process, in what it takes for another boot, must find what was acknowledged, whole, and go
on from it. Counted are disks that differ.
"""

import concurrent.futures
import itertools
import os
import random
import re
import signal
import sys
import threading
import time

import full_disk
import mounts
import processes
import recording

# How the states are shared out.
SHARES = {"ext4": 4, "ext4 at its loosest": 4, "xfs": 1, "btrfs": 1}
# Since when Linux mounts two disks with one btrfs on them at once.
LINUX_FOR_BTRFS = (6, 7)


def at_once(name, most):
    linux = tuple(int(digits) for digits in re.findall(r"\d+", os.uname().release)[:2])
    return 1 if name == "btrfs" and linux < LINUX_FOR_BTRFS else most


class Judge:
    """Makes states, one at a time, and asks what a fresh process finds in them."""

    def __init__(self, root, worker, at_once):
        self.root = root
        self.worker = worker
        self.free = list(range(at_once))

    def __call__(self, name, blocks, least, most):
        """Returns None if all is well, or what is not."""
        place = self.free.pop()
        file = os.memfd_create("state")
        try:
            return self._judge(self.root / f"state{place}", file, name, blocks, least, most)
        finally:
            os.close(file)
            self.free.append(place)

    def _judge(self, folder, file, name, blocks, least, most):
        recording.write_disk(file, recording.SIZE[name], blocks)
        folder.mkdir(exist_ok=True)
        try:
            mounts.mount_file(file, folder, recording.kind_of(name), recording.MOUNT[name])
        except OSError as failure:
            return f"{name} cannot be mounted: {failure}"
        try:
            words = [self.worker, "audit", folder / "d" / "db", str(least), str(most)]
            code, lines = processes.run(words)
        finally:
            mounts.unmount(folder)
        well = code == 0 and lines[-1].startswith("ok ")
        return None if well else f"audit {least} {most}: {lines}"


def states(of, dice, seen):
    """Distinct states of a recording, one of each epoch in each round: (epoch, what is there).

    @param seen sum -> the bounds with which a disk was judged, over all recordings
    """
    waiting = [(epoch, recording.choices(epoch, dice)) for epoch in of.epochs]
    while waiting:
        again = []
        dice.shuffle(waiting)
        for epoch, choices in waiting:
            new = next_new(epoch, choices, seen)
            if new is not None:
                again.append((epoch, choices))
                yield epoch, new
        waiting = again


def next_new(epoch, choices, seen):
    """The next choice that was not judged as strictly; None where there seems to be none."""
    for chosen in itertools.islice(choices, 60):
        total = recording.sum_with(epoch, recording.chosen_sectors(epoch, chosen))
        least, most = recording.bounds(epoch, chosen)
        before = seen.get(total, (-1, most + 1))
        if before[0] < least or before[1] > most:
            seen[total] = least, most
            return chosen
    return None


class Search:
    """Judges states of recordings, several at once."""

    def __init__(self, chosen, judge):
        self.judge = judge
        self.until = time.monotonic() + chosen.minutes * 60 if chosen.minutes else None
        self.keep = chosen.keep
        self.most_wrong = chosen.wrong
        self.at_once = chosen.at_once
        self.seen = {}
        self.judged = 0
        self.wrong = []
        self.dice = random.Random(chosen.seed)

    def over(self):
        return len(self.wrong) >= self.most_wrong or (self.until and time.monotonic() > self.until)

    def run(self, of, count):
        """Judges so many distinct states of a recording. Returns how many there were."""
        before = len(self.seen)
        source = states(of, self.dice, self.seen)
        most = at_once(of.name, self.at_once)
        with concurrent.futures.ThreadPoolExecutor(most) as pool:
            running = set()
            for epoch, chosen in source:
                running.add(pool.submit(self._one, of, epoch, chosen))
                if len(running) >= 2 * most:
                    running = self._collect(running, concurrent.futures.FIRST_COMPLETED)
                if len(self.seen) - before >= count or self.over():
                    break
            self._collect(running, concurrent.futures.ALL_COMPLETED)
        return len(self.seen) - before

    def _collect(self, running, when):
        done, running = concurrent.futures.wait(running, return_when=when)
        for each in done:
            found = each.result()
            self.judged += 1
            if found is not None:
                self.wrong.append(found)
        return running

    def _one(self, of, epoch, chosen):
        blocks = recording.disk_with(epoch, recording.chosen_sectors(epoch, chosen))
        found = self.judge(of.name, blocks, *recording.bounds(epoch, chosen))
        if found is None:
            return None
        there = [(i, "whole" if places is None else [at // recording.SECTOR for at in places])
                 for i, places in chosen]
        kept = self._keep(of, blocks)
        return (f"{of.name}, after flush {of.epochs.index(epoch)} of {len(of.epochs)}, of the "
                f"{len(epoch.writes)} writes under way these sectors: {there}{kept}: {found}")

    def _keep(self, of, blocks):
        """Keeps the disk of a state, if that is wanted: it can be mounted with -o loop."""
        if not self.keep:
            return ""
        path = os.path.join(self.keep, f"state-{of.name.replace(' ', '-')}-{os.getpid()}-"
                            f"{threading.get_ident()}-{time.monotonic_ns()}")
        with open(path, "wb") as file:
            recording.write_disk(file.fileno(), of.size, blocks)
        return f", kept as {path}"


def record_all(chosen, root):
    """What each file system that is here did."""
    result = []
    for name in SHARES:
        if chosen.only and name != chosen.only:
            continue
        of, why = recording.record(name, root, chosen.block_log, chosen.worker, chosen.commits)
        if of is None:
            print(f"without {name}: {why}")
        else:
            result.append(of)
    if not result:
        processes.skip("none of the file systems can be had")
    return result


def main():
    chosen = processes.arguments(
        __doc__, ("--states", 10000, "how many distinct states"),
        ("--commits", 150, "how many commits on each file system"),
        ("--minutes", 0.0, "ends after so long; 0: does not"),
        ("--at-once", 4, "how many at once: a mount waits more than it works"),
        ("--only", "", "one of " + ", ".join(SHARES)),
        ("--wrong", 10, "ends after so many states that are wrong"),
        ("--keep", "", "keeps the disks of wrong states in this folder"),
        programs=("worker", "block_log"))
    full_disk.in_a_namespace()
    for needed in ("/dev/fuse", "/dev/loop-control"):
        try:
            os.close(os.open(needed, os.O_RDWR))  # which loads what Linux has as a module
        except OSError as failure:
            processes.skip(str(failure))
    if not chosen.block_log.exists():
        processes.skip("there was no libfuse3 to build the disk with")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    started = time.monotonic()
    with mounts.Place() as root:
        recordings = record_all(chosen, root)
        mounts.another_boot(root)
        search = Search(chosen, Judge(root, chosen.worker, chosen.at_once))
        for of in recordings:
            if of.failure:
                search.wrong.append(f"{of.name}: {of.failure}: {of.lines[-3:]}")
        shares = sum(SHARES[of.name] for of in recordings)
        counts = {}
        for of in recordings:
            counts[of.name] = search.run(of, chosen.states * SHARES[of.name] // shares)
            print(f"{of.name}: {len(of.epochs)} times between two flushes, {counts[of.name]} "
                  f"distinct disks after {time.monotonic() - started:.0f} s")
    for each in search.wrong:
        print("WRONG", each)
    print("crash states of real file systems: " +
          ", ".join(f"{name} {count}" for name, count in counts.items()) +
          f"; {len(search.seen)} distinct disks, judged in {time.monotonic() - started:.0f} s; "
          f"{sum(of.acknowledged for of in recordings)} commits acknowledged in "
          f"{sum(of.writes for of in recordings)} writes and "
          f"{sum(of.flushes for of in recordings)} flushes; wrong: {len(search.wrong)}")
    return 1 if search.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
