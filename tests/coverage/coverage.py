#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Which branches and conditions of the headers do the tests go through? ./dev coverage runs this.

    coverage.py BUILD [--no-run] [GROUP...]    BUILD was made by the preset coverage
    coverage.py --groups                       the groups that there are

Runs the groups of tests and counts, in what clang has noted down:

  branches  each condition has two outcomes; an outcome counts where any test has seen it
  MC/DC     each condition of a decision with && or || has to be seen to decide alone: two runs
            in which the other conditions change nothing and the decision turns with it

A header is a template, or inline in many programs: a place in it counts once, and what any
instantiation has seen counts. (For MC/DC both runs have to be of one instantiation.) Assertions
are compiled away; conditions that the compiler decides (`if constexpr`) are not branches, and
those that it writes itself (`= default`) are nobody's.

What is not covered of commit, recovery and decoding has to stand in reasons.txt beside this file,
each with its reason, and what stands there must not be covered: both are errors. Of the rest it
is listed.
"""

import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
INCLUDE = ROOT / "include/coppice"

GROUPS = ("format", "storage", "tree", "store", "transaction", "api", "testing", "property",
          "allocation", "crash", "concurrency")
EXPLORER = (["exhaustive", "--transactions", "2"], ["random", "--histories", "1500"])

# Commit, recovery and decoding: what the target is for.
CORE = ("format/", "store/recovery", "store/opened_file", "store/writer", "store/slot_keeper",
        "store/appender", "store/published", "store/takeover", "store/image", "store/revision")
REST = ("store/", "tree/", "transaction/", "storage/")

# Assertions, what the compiler decides, and what it writes.
NOT_OURS = re.compile(r"COPPICE_ASSERT|constexpr|= default;")

Place = collections.namedtuple("Place", "header begin end")


def run(build, groups):
    """Runs the tests with their notes in one folder. Returns the programs."""
    folder = build / "profiles"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.profraw"):
        old.unlink()
    (folder / "ran").touch()  # ./dev mutate looks whether a header is newer
    environment = dict(os.environ, LLVM_PROFILE_FILE=str(folder / "%m.profraw"))
    jobs = [([str(build / f"bin/{group}_tests")], group) for group in groups]
    if "crash" in groups:
        jobs += [([str(build / "bin/coppice_crash"), *way], f"crash {way[0]}") for way in EXPLORER]
    for command, name in jobs:
        begin = time.monotonic()
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True,
                              errors="replace", check=False)
        print(f"{name:20} {time.monotonic() - begin:5.0f} s", flush=True)
        if done.returncode != 0:
            print(done.stdout[-3000:], done.stderr[-1000:])
            sys.exit(f"{name}: the tests fail")
    return list(dict.fromkeys(command[0] for command, _ in jobs))


def export(build, programs):
    notes = sorted(str(each) for each in (build / "profiles").glob("*.profraw"))
    merged = str(build / "profiles/all.profdata")
    subprocess.run(["llvm-profdata-19", "merge", "-sparse", *notes, "-o", merged], check=True)
    objects = [word for program in programs[1:] for word in ("-object", program)]
    text = subprocess.run(["llvm-cov-19", "export", programs[0], *objects,
                           f"-instr-profile={merged}"], capture_output=True, check=True).stdout
    return json.loads(text)["data"][0]["functions"]


class Source:
    """The text of the headers, by place."""

    def __init__(self):
        self.lines = {}

    def text(self, place):
        lines = self.lines.setdefault(
            place.header, (INCLUDE / place.header).read_text().splitlines())
        (row, column), (last_row, last_column) = place.begin, place.end
        if last_row > len(lines):
            return ""
        if row == last_row:
            return lines[row - 1][column - 1:last_column - 1]
        parts = [lines[row - 1][column - 1:], *lines[row:last_row - 1],
                 lines[last_row - 1][:last_column - 1]]
        return " ".join(part.strip() for part in parts)

    def statement(self, place):
        return self.lines[place.header][place.begin[0] - 1]


def collect(functions, source):
    """Returns the outcomes seen of each branch, and the conditions of each decision."""
    branches = {}
    decisions = {}
    for function in functions:
        headers = [os.path.relpath(name, INCLUDE) for name in function["filenames"]]
        own = headers[0]
        conditions = collections.defaultdict(list)
        for row, column, last_row, last_column, yes, no, file, _, kind in function["branches"]:
            place = Place(headers[file], (row, column), (last_row, last_column))
            if not wanted(place.header):
                continue
            text = source.text(place)
            if not text or NOT_OURS.search(source.statement(place)):
                continue
            seen = branches.setdefault(place, [False, False])
            seen[0] |= yes > 0
            seen[1] |= no > 0
            if kind == 6 and headers[file] == own:
                conditions[own].append(place)
        for row, column, last_row, last_column, _, _, shown in function["mcdc_records"]:
            place = Place(own, (row, column), (last_row, last_column))
            if not wanted(own) or not re.search(r"&&|\|\|", source.text(place)):
                continue  # one of a macro
            inside = sorted({each for each in conditions[own]
                             if place.begin <= each.begin and each.end <= place.end})
            if len(inside) != len(shown):
                continue  # an assertion
            known = decisions.setdefault(place, {each: False for each in inside})
            for each, covered in zip(inside, shown):
                known[each] |= covered
    return branches, decisions


def wanted(header):
    return header.startswith(CORE) or header.startswith(REST)


def entries(path):
    """Reads a file of entries: three fields parted by bars, and indented below them a reason.
    Yields the number of the line and the four."""
    fields, number, reason = None, 0, ""
    for at, line in enumerate([*path.read_text().splitlines(), "end"], 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line[0].isspace():
            reason += " " + line.strip()
            continue
        if fields is not None:
            yield number, fields, reason.strip()
        # A condition may hold || itself: the bars that part the fields stand alone.
        fields, number, reason = re.split(r"\s\|\s", line), at, ""


def read_reasons():
    reasons = collections.Counter()
    maybe = set()
    wrong = []
    for number, fields, reason in entries(HERE / "reasons.txt"):
        if len(fields) != 3 or not reason:
            wrong.append(f"reasons.txt:{number}: not header | condition | what, and a reason")
            continue
        header, text, what = (field.strip() for field in fields)
        key = (header, text, what.removeprefix("maybe "))
        reasons[key] += 1
        if what != key[2]:
            maybe.add(key)
    return reasons, maybe, wrong


def main():
    arguments = sys.argv[1:]
    if arguments == ["--groups"]:
        print(*GROUPS)
        return 0
    build = pathlib.Path(arguments.pop(0)).resolve()
    again = "--no-run" not in arguments
    groups = [each for each in arguments if not each.startswith("--")] or list(GROUPS)
    programs = run(build, groups) if again else [
        str(build / f"bin/{group}_tests") for group in groups] + [str(build / "bin/coppice_crash")]
    source = Source()
    branches, decisions = collect(export(build, programs), source)

    reasons, maybe, wrong = read_reasons()
    left = reasons.copy()
    table = collections.defaultdict(lambda: [0] * 6)
    places = []

    def count(place, what, covered, column):
        row = table[place.header]
        row[column + 1] += 1
        if covered:
            row[column] += 1
            return
        key = (place.header, source.text(place), what)
        if left[key] > 0:
            left[key] -= 1
            row[4 + column // 2] += 1
            return
        places.append((place.header, place.begin, f"{what:5} {source.text(place)}"))

    for place, seen in sorted(branches.items()):
        for what, covered in zip(("true", "false"), seen):
            count(place, what, covered, 0)
    for decision, conditions in sorted(decisions.items()):
        for place, covered in conditions.items():
            count(place, "mcdc", covered, 2)
    if len(groups) == len(GROUPS):
        wrong += [f"reasons.txt: this is covered, or is not there: {' | '.join(key)}"
                  for key, number in left.items() if number > 0 and key not in maybe]
    report(table, places, wrong)
    return 1 if wrong or any(each[0].startswith(CORE) for each in places) else 0


def report(table, places, wrong):
    def share(part, whole):
        return f"{100 * part / whole if whole else 100:6.2f} %"

    def line(name, row):
        print(f"{name:32} {row[0]:6}/{row[1]:6} {share(row[0], row[1])} {row[2]:6}/{row[3]:6} "
              f"{share(row[2], row[3])} {row[4]:6} {row[5]:6}")

    print(f"\n{'header':32} {'outcomes':>13}          {'MC/DC':>13}             with a reason")
    for name, of in (("commit, recovery, decoding", CORE), ("the rest", REST)):
        sums = [0] * 6
        for header, row in sorted(table.items()):
            if header.startswith(CORE) != (of is CORE):
                continue
            sums = [a + b for a, b in zip(sums, row)]
            line(header, row)
        line(name.upper(), sums)
        print()
    for header, (row, column), what in sorted(places):
        print(f"not covered: {header}:{row}:{column}: {what}")
    for each in wrong:
        print(each)
    core = sum(each[0].startswith(CORE) for each in places)
    print(f"not covered without a reason: {core} in commit, recovery and decoding, "
          f"{len(places) - core} in the rest; {len(wrong)} wrong lines in reasons.txt")


if __name__ == "__main__":
    sys.exit(main())
