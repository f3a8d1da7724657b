#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Kills a process at its system calls, and fails each of them, with strace.

    fault_matrix.py WORKER [--sample N] [--minutes N] [--seed N]

A scenario is a state of the file (as a crash may have left it) and a job of the worker on it. Its
system calls are counted once, between the two marks that the worker makes. Then, at each
occurrence of each call: SIGKILL, and each errno once and from then on. Afterwards a fresh process
must find a whole commit, none older than what was acknowledged, a free lock, a clean check, must
commit once more and leave nothing behind. How the job itself ended is put in one of these kinds:

    done       all was done in spite of it: tried again, gone around, or of no consequence
    error      a call threw coppice::error and had changed nothing; the handle was used on
    refused    the database was not opened, or could not be read, with coppice::error
    poisoned   errc::sync_failed: that commit may be there or not, and nothing more was written
    killed     by the SIGKILL

Whatever is in none of them is UNEXPLAINED, and a failure of this test: another exception (also
bad_alloc, since no call that fails here is the only way to memory), another end of the process, no
end in 20 s, wrong data, a lost commit, a file or a descriptor left behind.
"""

import collections
import concurrent.futures
import os
import random
import re
import shutil
import signal
import sys
import time

import processes
from processes import run

ERRNOS = ("EIO", "ENOSPC", "EINTR", "EACCES", "ENOMEM", "EDQUOT", "EMFILE", "EROFS")
STATES = ("base", "unsynced", "unclosed", "torn", "no-page", "leftover")
JOBS = ("commit-sync", "commit-lazy", "commit-two", "compact", "read", "check")
SCENARIOS = [("nothing", "create")] + [(state, job) for state in STATES for job in JOBS]
KINDS = ("done", "error", "refused", "poisoned", "killed", "UNEXPLAINED")

# Calls between the marks that are not failed (they are killed at), each with the reason.
EXCLUDED = {
    "write": "the worker's own reports, coppice writes with pwrite64",
    "brk": "fails by an unchanged end of the heap, never by an errno",
    "futex": "the C library ends the process on an errno that the kernel never gives",
    "exit_group": "cannot fail",
}
MARKS = ("access", "faccessat", "faccessat2")


class Scenario:
    """A state of the file, a job, and the system calls that it makes."""

    def __init__(self, worker, root, state, job):
        self.worker, self.root, self.state, self.job = worker, root, state, job
        self.name = job if state in ("base", "nothing") else f"{job} after {state}"
        self.before, self.calls = collections.Counter(), collections.Counter()
        with self.folder() as folder:
            log = folder / "log"
            self.prepare(folder)
            code, lines = run(["strace", "-f", "-qq", "-o", log, worker, job, folder / "d" / "db"])
            if code != 0 or lines[-1] != "end":
                raise SystemExit(f"{self.name}: without any fault it ends with {code}: {lines}")
            counter = self.before
            for name, rest in re.findall(r"^\d+ +(\w+)\((.*)", log.read_text(errors="replace"),
                                         re.MULTILINE):
                if "/coppice-fault-begin" in rest:
                    counter = self.calls
                elif "/coppice-fault-end" in rest:
                    break
                elif name not in MARKS:
                    counter[name] += 1

    def folder(self):
        return processes.Folder(self.root)

    def prepare(self, folder):
        """Returns what the worker said of its commits."""
        (folder / "d").mkdir()
        _, lines = run([self.worker, "prepare", self.state, folder / "d" / "db"])
        if self.state in ("torn", "no-page"):
            run([self.worker, "disturb", self.state, folder / "d" / "db"])
        return lines

    def injections(self):
        """All of (call, occurrence, what), `what` being KILL, or an errno with or without +."""
        for call, count in sorted(self.calls.items()):
            for k in range(1, count + 1):
                yield self, call, k, "KILL"
                if call not in EXCLUDED:
                    for errno in ERRNOS:
                        yield self, call, k, errno
                        yield self, call, k, errno + "+"

    def inject(self, call, k, what):
        """Returns the kind of the outcome, or None if nothing was injected, and the story."""
        with self.folder() as folder:
            lines = self.prepare(folder)
            at = self.before[call] + k
            if what == "KILL":
                fault = f"signal=KILL:when={at}"
            elif what == "EINTR+":
                # Whoever is interrupted tries again; for ever would be for ever.
                fault = f"error=EINTR:when={at}..{at + 49}"
            else:
                fault = f"error={what.rstrip('+')}:when={at}{'+' if what.endswith('+') else ''}"
            log = folder / "log"
            # With the filter strace does not kill.
            quick = [] if what == "KILL" else ["--seccomp-bpf"]
            code, said = run(["strace", "-f", "-qq", *quick, "-o", log,
                              "-e", f"trace={call},?access,?faccessat,?faccessat2",
                              "-e", f"inject={call}:{fault}", self.worker, self.job,
                              folder / "d" / "db"])
            lines += said
            within = log.read_text(errors="replace").partition("/coppice-fault-begin")[2]
            if what == "KILL":
                fired = code == -signal.SIGKILL and within and "/coppice-fault-end" not in within
            else:
                fired = "(INJECTED)" in within.partition("/coppice-fault-end")[0]
            if not fired:
                return None, said + [f"ended with {code}"]
            kind = "killed" if what == "KILL" else self.kind_of(call, what, code, said, folder)
            well, audit = processes.audit(self.worker, folder / "d" / "db", lines)
            if not well:
                kind = "UNEXPLAINED"
            return kind, said + [f"ended with {code}, audit:"] + audit

    def kind_of(self, call, what, code, said, folder):
        """How a job ended by itself, one of whose calls failed."""
        words = [line.split() + ["", ""] for line in said]
        first = {word[0] for word in words}
        if code != 0 or first & {"wrong", "raw", "memory"} or said[-1:] != ["end"]:
            return "UNEXPLAINED"
        # What fails from then on fails the counting of the descriptors as well.
        if "open 0" not in said and call != "close" and not what.endswith("+"):
            return "UNEXPLAINED"
        left = os.listdir(folder / "d")
        if "db.compact" in left and self.state != "leftover" and call not in ("unlinkat", "statx"):
            return "UNEXPLAINED"
        if "unknown" in first:
            return "poisoned"
        if any(word[0] == "failed" and word[1] in ("open", "look") for word in words):
            return "refused"
        return "error" if "failed" in first else "done"


def print_table(results, calls):
    print("  ".join(f"{word:>{width}}" for word, width in
                    zip(("scenario", "calls", "fired", "not fired") + KINDS,
                        (28, 5, 6, 9) + tuple(max(6, len(kind)) for kind in KINDS))))
    total = collections.Counter()
    for name, kinds in list(results.items()) + [("all", None)]:
        kinds = kinds if kinds is not None else total
        fired = sum(kinds[kind] for kind in KINDS)
        row = [f"{name:>28}", f"{calls.get(name, sum(calls.values())):>5}", f"{fired:>6}",
               f"{kinds[None]:>9}"]
        row += [f"{kinds[kind]:>{max(6, len(kind))}}" for kind in KINDS]
        print("  ".join(row))
        if kinds is not total:
            total.update(kinds)
    return total


def work_off(picked, results, minutes):
    """Injects, in several threads, until all is done or the time is up."""
    until = time.monotonic() + minutes * 60 if minutes else float("inf")

    def inject(scenario, *injection):
        late = time.monotonic() > until
        return ("not begun", []) if late else scenario.inject(*injection)

    told = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = pool.map(lambda each: inject(*each), picked)
        for (scenario, *injection), (kind, story) in zip(picked, outcomes):
            results[scenario.name][kind] += 1
            if kind in (None, "UNEXPLAINED") and told < 20:
                told += 1
                print(kind or "not fired", "-", scenario.name, *injection)
                print("\n".join("    " + line for line in story))


def main():
    chosen = processes.arguments(__doc__, ("--sample", 0, "so many of them, chosen by the seed"),
                                 ("--minutes", 0.0, "so many as there is time for"),
                                 ("--only", "", "scenarios with this in their names"))
    if shutil.which("strace") is None or run(["strace", "-qq", "-o", "/dev/null", "true"])[0] != 0:
        processes.skip("strace is not there or may not trace")
    with processes.Folder() as root:
        scenarios = [Scenario(chosen.worker, root, *each) for each in SCENARIOS]
        scenarios = [each for each in scenarios if chosen.only in each.name]
        picked = [each for scenario in scenarios for each in scenario.injections()]
        used = sorted({call for each in scenarios for call in each.calls})
        print(f"{len(picked)} injections; system calls: " + " ".join(used))
        for call, why in EXCLUDED.items():
            if call in used:
                print(f"killed at, but not failed: {call}: {why}")
        random.Random(chosen.seed).shuffle(picked)
        if chosen.sample:
            picked = picked[:chosen.sample]
            print(f"of these {len(picked)}, chosen by seed {chosen.seed}")
        results = {each.name: collections.Counter() for each in scenarios}
        work_off(picked, results, chosen.minutes)
        total = print_table(results, {each.name: sum(each.calls.values()) for each in scenarios})
    if total["not begun"]:
        print(f"not begun, as the time was up: {total['not begun']}")
    print(f"unexplained: {total['UNEXPLAINED']} of {sum(total[kind] for kind in KINDS)} distinct "
          f"injections that fired; not fired: {total[None]}")
    return 1 if total["UNEXPLAINED"] or not sum(total[kind] for kind in KINDS) else 0


if __name__ == "__main__":
    sys.exit(main())
