#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""The examples in README.md are examples/hello.cpp and a part of examples/power_cut.cpp, compiled
and run; links lead somewhere."""

import pathlib
import re
import sys
import textwrap

root = pathlib.Path(__file__).resolve().parent.parent
problems = []

blocks = re.findall(r"```cpp\n(.*?)```", (root / "README.md").read_text(), re.S)
printed = blocks[0] if blocks else ""
lines = (root / "examples" / "hello.cpp").read_text().splitlines(keepends=True)
while lines and lines[0].startswith("//"):
    lines.pop(0)
compiled = "".join(line for line in lines if "clang-format" not in line)
if printed != compiled:
    problems.append("the first example of README.md is not examples/hello.cpp")
if len(printed.splitlines()) > 17:
    problems.append(f"the example has {len(printed.splitlines())} lines")

part = blocks[1] if len(blocks) > 1 else "nothing"
if textwrap.indent(part, "    ") not in (root / "examples" / "power_cut.cpp").read_text():
    problems.append("the second example of README.md is not a part of examples/power_cut.cpp")

for document in [root / "README.md", root / "CHANGELOG.md", *sorted((root / "docs").glob("*.md"))]:
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", document.read_text(), flags=re.S)
    for target in re.findall(r"\]\(([^)#\s]+)", prose):
        if "://" not in target and not (document.parent / target).exists():
            problems.append(f"{document.relative_to(root)}: no such file: {target}")

for problem in problems:
    print(problem)
sys.exit(1 if problems else 0)
