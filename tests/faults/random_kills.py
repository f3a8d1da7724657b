#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Writers, readers and a compactor as processes on one file, killed at random and started again.

    random_kills.py WORKER [--kills N] [--pause SECONDS] [--seed N]

The accounts of a bank always have the same sum, in every snapshot of every reader. Each writer
counts its transfers in the database: what was acknowledged to it is there when it comes back, and
at most one transfer more. None of the processes ever ends by itself, so if one does it has found a
contradiction. In the end each of them must get on: no killed process may have left a lock.
"""

import collections
import random
import subprocess
import sys
import tempfile
import time

import processes

WRITERS, READERS = 3, 2


class Place:
    """A process that is killed and started again; what it says goes to a file without a name."""

    def __init__(self, worker, database, role, number):
        self.worker, self.database, self.role, self.number = worker, database, role, number
        self.acknowledged, self.lines_of_all, self.starts = 0, 0, 0
        self.process = None

    def start(self):
        self.starts += 1
        words = [self.worker, f"bank-{self.role}", self.database]
        if self.role == "write":
            words += [str(self.number), str(self.acknowledged)]
        words += [str(self.number * 1_000_003 + self.starts)]
        self.out = tempfile.TemporaryFile(mode="w+", dir=self.database.parent.parent)
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=self.out,
                                        stderr=subprocess.STDOUT)

    def said(self):
        self.out.seek(0)
        return self.out.read().splitlines()

    def kill(self):
        """Returns what is wrong, if anything is."""
        self.process.kill()
        code = self.process.wait()
        lines = self.said()
        self.out.close()
        self.lines_of_all += len(lines)
        self.acknowledged = max(self.acknowledged, processes.largest(lines, "ack"))
        return None if code == -9 else f"{self.role} {self.number} ended with {code}: {lines[-3:]}"


def audit(worker, database, places):
    counts = [str(each.acknowledged) for each in places if each.role == "write"]
    code, lines = processes.run([worker, "bank-audit", database] + counts)
    left = sorted(each.name for each in database.parent.iterdir())
    if code != 0 or lines != ["ok"]:
        return [f"the audit of everything ended with {code}: {lines}"]
    return [f"left behind: {left}"] if set(left) - {"db", "db.lock", "db.lock2"} else []


def all_get_on(places):
    """Each process that is alive must say something within some seconds."""
    wrong = []
    for each in places:
        until = time.monotonic() + processes.LONGEST_S
        while not each.said() and each.process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        if not each.said():
            wrong.append(f"{each.role} {each.number} does not get on")
    return wrong


def main():
    chosen = processes.arguments(__doc__, ("--kills", 300, "how many processes are killed"),
                                 ("--pause", 0.012, "seconds between kills, on average"))
    dice = random.Random(chosen.seed)
    kills, wrong, audits = collections.Counter(), [], 0
    with processes.Folder() as root:
        (root / "d").mkdir()
        database = root / "d" / "db"
        code, lines = processes.run([chosen.worker, "bank-found", database, str(WRITERS)])
        if code != 0:
            print(f"the bank was not founded: {lines}")
            return 1
        roles = [("write", i) for i in range(WRITERS)] + [("read", i) for i in range(READERS)]
        places = [Place(chosen.worker, database, *role) for role in roles + [("compact", 0)]]
        for each in places:
            each.start()
        while sum(kills.values()) < chosen.kills and not wrong:
            time.sleep(dice.expovariate(1 / chosen.pause))
            # Now and then all at once, as when the memory runs out; then everything is counted.
            everyone = dice.random() < 0.02
            for each in places if everyone else [dice.choice(places)]:
                wrong += filter(None, [each.kill()])
                kills[each.role] += 1
            if everyone:
                wrong += audit(chosen.worker, database, places)
                audits += 1
            for each in places:
                if each.process.returncode is not None:
                    each.start()
        wrong += all_get_on(places)
        for each in places:
            wrong += filter(None, [each.kill()])
        wrong += audit(chosen.worker, database, places)
        for each in wrong:
            print("WRONG", each)
        lines = collections.Counter()
        for each in places:
            lines[each.role] += each.lines_of_all
    print(f"kills: {sum(kills.values())} (" +
          ", ".join(f"{role} {count}" for role, count in sorted(kills.items())) + "); "
          f"{lines['write']} commits acknowledged, {lines['compact']} compactions, "
          f"{lines['read']} audits by readers, {audits + 1} of everything; wrong: {len(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
