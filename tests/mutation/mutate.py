#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Do the tests notice when a branch goes the wrong way? ./dev mutate runs this.

    mutate.py COVERAGE-BUILD [N] [--seed S] [--minutes M] [--only TEXT]

Each branch condition of format/ and store/ (as clang's coverage knows them) is replaced in a copy
of the tree by one that can be told, by the environment, to be its opposite, always true, always
false, or, where it compares, to have its bound moved by one. So everything is compiled once. Then
N mutants, drawn with a seed, are run one at a time through the groups of tests, the quickest
first, until one turns red. Prints those that none noticed; known.txt has those that make no
difference, each with its reason.
"""

import argparse
import collections
import concurrent.futures
import os
import pathlib
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "coverage"))
import coverage  # noqa: E402

KINDS = ("opposite", "always true", "always false", "bound moved")
MOVED = {" < ": " <= ", " <= ": " < ", " > ": " >= ", " >= ": " > "}
TARGETS = ("format_tests", "store_tests", "transaction_tests", "api_tests", "testing_tests",
           "crash_tests", "property_tests", "coppice_crash")
COPIED = ("include", "tests", "cmake", "fuzz", "tools", "examples", "docs", "CMakeLists.txt",
          "CMakePresets.json", "README.md", "dev")

Mutant = collections.namedtuple("Mutant", "number place kind text")


def conditions(build):
    """The places of all branch conditions, and their texts."""
    programs = [str(build / f"bin/{group}_tests") for group in coverage.GROUPS]
    source = coverage.Source()
    branches, _ = coverage.collect(coverage.export(build, programs), source)
    result = {}
    for place in sorted(branches):
        text = source.text(place)
        before = source.statement(place)[:place.begin[1] - 1]
        after = source.statement(place)[place.end[1] - 1:]
        # Not an expression: what a loop over a range does, a case, a variable that is declared.
        if (not place.header.startswith(("format/", "store/")) or text == ":"
                or text.startswith("case ") or before.endswith("switch (")
                or after.startswith(" =") or re.search(r"[^=!<>]=[^=]", text)):
            continue
        result[place] = text
    return result


def bound(text):
    """The comparison with its bound moved; nothing where there is none, or more than one."""
    found = [operator for operator in MOVED for _ in range(text.count(operator))]
    if len(found) != 1 or "&&" in text or "||" in text or "?" in text:
        return None
    return text.replace(found[0], MOVED[found[0]])


def mutated(header, places, numbers):
    """The text of a header with something around each of the conditions, which may be nested."""
    lines = (ROOT / "include/coppice" / header).read_text().splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    text = "".join(lines)
    at = {place: (starts[place.begin[0] - 1] + place.begin[1] - 1,
                  starts[place.end[0] - 1] + place.end[1] - 1) for place in places}

    def render(begin, end, inside):
        out, position = "", begin
        while inside:
            place = inside[0]
            first, last = at[place]
            within = [each for each in inside[1:] if at[each][1] <= last]
            inside = inside[1 + len(within):]
            own = render(first, last, within)
            number = numbers[place]
            other = bound(own) if not within else None
            whole = f"static_cast<bool>({own})"
            if other:
                whole = f"(::mutation::moved({number}) ? ({other}) : ({own}))"
            out += text[position:first] + f"::mutation::at({number}, {whole})"
            position = last
        return out + text[position:end]

    ordered = sorted(places, key=lambda place: (at[place][0], -at[place][1]))
    return render(0, len(text), ordered)


def prepare(found, numbers, folder):
    """Makes the copy of the tree and compiles it. Returns where the programs are."""
    tree = folder / "source"
    headers = collections.defaultdict(list)
    for place in found:
        headers[place.header].append(place)
    tree.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        if not (ROOT / name).is_dir():
            shutil.copy2(ROOT / name, tree / name)
            continue
        for path in (ROOT / name).rglob("*"):
            to = tree / path.relative_to(ROOT)
            if path.is_dir():
                to.mkdir(parents=True, exist_ok=True)
                continue
            header = os.path.relpath(path, ROOT / "include/coppice")
            content = path.read_bytes()
            if header in headers:
                content = mutated(header, headers[header], numbers).encode()
            # Unchanged files keep their times, so that a second run compiles little.
            if not to.exists() or to.read_bytes() != content:
                to.parent.mkdir(parents=True, exist_ok=True)
                to.write_bytes(content)
    build = folder / "build"
    flags = f"-std=c++20 -w -O1 -include {HERE / 'active.hpp'}"
    steps = (["cmake", "-S", str(tree), "-B", str(build), "-G", "Ninja", "-DCOPPICE_TOOLS=OFF",
              "-DCOPPICE_EXAMPLES=OFF", "-DCMAKE_BUILD_TYPE=None", f"-DCMAKE_CXX_FLAGS={flags}",
              "-DCMAKE_CXX_COMPILER=g++", "-DCMAKE_COMPILE_WARNING_AS_ERROR=OFF"],
             ["cmake", "--build", str(build), "-j", str(os.cpu_count()), "--target", *TARGETS])
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(done.stdout[-4000:] + done.stderr[-2000:])
    return build / "bin"


def ways(programs, header):
    """The commands that try a mutant, the quickest and most likely first."""
    tests = lambda group: [str(programs / f"{group}_tests")]  # noqa: E731
    crash = str(programs / "coppice_crash")
    first = ["format", "store"] if header.startswith("format/") else ["store", "format"]
    return [*map(tests, first), tests("transaction"), tests("api"),
            [crash, "exhaustive", "--transactions", "1", "--jobs", "1"],
            [crash, "random", "--histories", "300", "--jobs", "1"],
            tests("crash"), tests("testing"), tests("property")]


def turns_red(command, number):
    """Does it fail? Who takes far too long, or far too much memory, fails."""
    def limits():
        resource.setrlimit(resource.RLIMIT_CPU, (120, 120))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (6 << 30, 6 << 30))

    environment = dict(os.environ, COPPICE_MUTANT=str(number), RC_PARAMS="seed=1 max_success=100")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # some tests become another user
        environment["TMPDIR"] = folder
        own = subprocess.Popen(command, env=environment, cwd=folder, preexec_fn=limits,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               start_new_session=True)
        try:
            return own.wait(timeout=150) != 0
        except subprocess.TimeoutExpired:
            return True
        finally:
            try:
                os.killpg(own.pid, 9)  # also children that a test has left
            except ProcessLookupError:
                pass
            own.wait()


def read_known():
    return {tuple(field.strip() for field in fields): reason
            for _, fields, reason in coverage.entries(HERE / "known.txt")}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("number", type=int, nargs="?", default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=0, help="begin no more after so many")
    parser.add_argument("--only", default="", help="places that have this in their name")
    chosen = parser.parse_args()

    found = conditions(chosen.build.resolve())
    numbers = {place: i + 1 for i, place in enumerate(found)}
    every = []
    for place, text in found.items():
        loop = re.match(r"\s*(while|for|\} while)\b", coverage_line(place))
        for kind in range(4):
            # A loop that never ends is noticed, and takes long.
            if (kind == 3 and not bound(text)) or (loop and kind == 1):
                continue
            every.append(Mutant(4 * numbers[place] + kind, place, KINDS[kind], text))
    wanted = [each for each in every
              if chosen.only in f"{each.place.header}:{each.place.begin[0]}"]
    sample = random.Random(chosen.seed).sample(wanted, min(chosen.number, len(wanted)))
    print(f"{len(found)} conditions, {len(every)} mutants, {len(sample)} of them drawn with seed "
          f"{chosen.seed}", flush=True)

    begin = time.monotonic()
    programs = prepare(found, numbers, ROOT / "build/mutation")
    print(f"compiled in {time.monotonic() - begin:.0f} s", flush=True)
    for command in ways(programs, "format/"):
        if turns_red(command, 0):
            sys.exit(f"{' '.join(command)} fails without a mutant")

    begin = time.monotonic()

    def judge(mutant):
        if chosen.minutes and time.monotonic() - begin > 60 * chosen.minutes:
            return mutant, None
        for command in ways(programs, mutant.place.header):
            if turns_red(command, mutant.number):
                return mutant, pathlib.Path(command[0]).name
        return mutant, ""

    caught = collections.Counter()
    known = read_known()
    survivors = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for mutant, by in pool.map(judge, sample):
            name = (mutant.place.header, mutant.text, mutant.kind)
            if by is None:
                continue
            if by or name not in known:
                caught[by or "nobody"] += 1
            else:
                caught["makes no difference"] += 1
            if not by:
                reason = known.get(name)
                survivors.append(name)
                print(f"survived: {mutant.place.header}:{mutant.place.begin[0]}: {mutant.kind}: "
                      f"{mutant.text}" + (f"  (known: {reason})" if reason else ""), flush=True)
    tried = sum(caught.values())
    print(", ".join(f"{number} by {by}" for by, number in caught.most_common()))
    noticed = tried - caught["nobody"] - caught["makes no difference"]
    print(f"{noticed} of {tried} mutants noticed, {caught['makes no difference']} make no "
          f"difference, {caught['nobody']} survived, {time.monotonic() - begin:.0f} s")
    return 1 if caught["nobody"] else 0


def coverage_line(place):
    return (ROOT / "include/coppice" / place.header).read_text().splitlines()[place.begin[0] - 1]


if __name__ == "__main__":
    sys.exit(main())
