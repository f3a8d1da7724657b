#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""docs/ancestors.md has every feature id once, with a status, and names only files that exist."""

import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent
ranges = {"D": [(1, 28)], "V": [(1, 19)], "A": [(1, 31)], "C": [(1, 27), (30, 46), (50, 63)]}
wanted = {
    f"{letter}{n}" for letter, spans in ranges.items() for a, b in spans for n in range(a, b + 1)
}

problems = []
seen = {}
for line in (root / "docs" / "ancestors.md").read_text().splitlines():
    row = re.match(r"\| ([DVAC]\d+) \| (.*?) \| (.*) \|$", line)
    if not row:
        continue
    name, status, text = row.groups()
    if name in seen:
        problems.append(f"{name} stands there twice")
    seen[name] = status
    if status not in ("here", "planned", "not meaningful"):
        problems.append(f"{name}: unknown status {status}")
    files = re.findall(r"\b(?:tests|include|docs|examples)/[\w./]*\w/?", text)
    if status == "here" and not files and "README" not in text:
        problems.append(f"{name}: here, but no test or file is named")
    for file in files:
        if not (root / file).exists():
            problems.append(f"{name}: no such file: {file}")
problems += [f"{name} is absent" for name in sorted(wanted - set(seen))]
problems += [f"{name} is not a known id" for name in sorted(set(seen) - wanted)]

for problem in problems:
    print(problem)
count = {s: list(seen.values()).count(s) for s in ("here", "planned", "not meaningful")}
print(f"{len(seen)} features: {count}")
sys.exit(1 if problems else 0)
