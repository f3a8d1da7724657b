#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Checks the source tree against the rules of the project.

    tidy_test.py [ROOT]        checks the tree at ROOT (the tree this file is in)
    tidy_test.py --self-test   breaks each rule in a tree of its own and sees it caught

The rules: the floors of include/coppice (which header may include which), how a header begins,
how long lines, headers and function bodies are, a test file for each header, the namespace of the
build switches, no leftovers.
"""

import pathlib
import re
import statistics
import sys
import tempfile

# ---- the tables: what a new header may need --------------------------------------------------

# The floor of each header directly in include/coppice. An include points to a lower floor, or to
# the same floor in the same folder. Floors 4 and 5 are the reading and the writing half of "4".
FILE_FLOORS = {
    "assert.hpp": 0,
    "bytes.hpp": 0,
    "commit_id.hpp": 0,
    "commit_outcome.hpp": 0,
    "error.hpp": 0,
    "options.hpp": 0,
    "statistics.hpp": 0,
    "tell.hpp": 0,
    "version.hpp": 0,
    "cursor.hpp": 4,
    "diff.hpp": 4,
    "destroy.hpp": 4,
    "feed.hpp": 4,
    "salvage.hpp": 4,
    "entry.hpp": 4,
    "history.hpp": 4,
    "range.hpp": 4,
    "snapshot.hpp": 4,
    "pending_commit.hpp": 4,
    "await.hpp": 4,
    "transaction.hpp": 5,
    "database.hpp": 6,
    "follower.hpp": 7,
    "coppice.hpp": 8,
    "testing.hpp": 8,
}

# The floor of each folder. Two folders on one floor may not include each other.
FOLDER_FLOORS = {
    "format": 1,
    "storage": 1,
    "tree": 2,
    "store": 3,
    "transaction": 4,
    "typed": 7,
    "log": 7,
    "documents": 7,
    "testing": 7,
}

# Headers without a test file at the mirrored path, each with the reason.
WITHOUT_TEST = {
    "coppice.hpp": "includes the others and has nothing of its own",
    "testing.hpp": "includes another and has nothing of its own",
    "version.hpp": "macros alone; CMake reads it, every build proves it",
    "assert.hpp": "one macro that ends the process",
    "storage/concepts.hpp": "concepts alone: static assertions beside every model",
    "storage/file_storage.hpp": "tests/storage/file_medium_test.cpp goes through it",
    "storage/live_page.hpp": "two constants and a check: tests/storage/file_lock_test.cpp",
    "storage/lock_file.hpp": "tests/storage/file_lock_test.cpp is of the whole lock",
    "storage/lock_registry.hpp": "tests/storage/file_lock_test.cpp is of the whole lock",
    "storage/memory_storage.hpp": "tests/storage/memory_medium_test.cpp is of both",
    "storage/path_resolution.hpp": "tests/storage/file_medium_test.cpp is of both",
    "storage/writer_lock.hpp": "tests/storage/file_lock_test.cpp is of the whole lock",
    "destroy.hpp": "tests/database_test.cpp removes databases",
    "store/appended_commit.hpp": "tests/store/writer_test.cpp goes through it",
    "store/tenure.hpp": "tests/store/writer_test.cpp, tests/concurrency/group_commit_test.cpp",
}

MAX_COLUMNS = 100
MAX_HEADER_LINES = 400
MAX_BODY_LINES = 70

SOURCE_FOLDERS = (".ci", "bench", "cmake", "examples", "fuzz", "include", "tests", "tools")
SOURCE_SUFFIXES = (".hpp", ".cpp", ".h", ".py", ".sh", ".cmake", ".in", ".txt")
ROOT_FILES = ("CMakeLists.txt", "dev", ".clang-tidy")
BODY_FOLDERS = ("bench", "include", "tools", "examples")

# Written in halves, since this file is checked too.
LEFTOVERS = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
SPDX = "SPDX-License-Identifier: BSL-1.0"


# ---- reading C++ -----------------------------------------------------------------------------

NOT_CODE = re.compile(
    r"""//[^\n]*(?:\\\n[^\n]*)*                      # a comment to the end of the line
      | /\*.*?\*/                                    # a comment in between
      | \b(?:u8|u|U|L)?R"(?P<tag>[^()\\\s]*)\(.*?\)(?P=tag)"   # a raw string
      | (?:\bu8|\bu|\bU|\bL)?"(?:\\.|[^"\\\n])*"     # a string
      | (?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'          # a character, and not 1'000
    """,
    re.VERBOSE | re.DOTALL,
)


def blank(match):
    """What stands for text that is not code: as many lines, a word where a literal was."""
    text = match.group(0)
    word = "" if text.startswith(("//", "/*")) else "0"
    return word + "\n" * text.count("\n")


def without_literals(text):
    return NOT_CODE.sub(blank, text)


DIRECTIVE = re.compile(r"^[ \t]*#[^\n]*(?:\\\n[^\n]*)*", re.MULTILINE)


def without_directives(code, first_branch_only):
    """Blanks preprocessor lines; where asked also everything from an #else or #elif on."""
    if first_branch_only:
        lines, skipping = [], []
        joined = code.replace("\\\n", "\\\0")
        for line in joined.split("\n"):
            word = re.match(r"\s*#\s*(\w+)", line)
            word = word.group(1) if word else ""
            if word.startswith("if"):
                skipping.append(False)
            elif word in ("else", "elif") and skipping:
                skipping[-1] = True
            elif word == "endif" and skipping:
                skipping.pop()
            hide = any(skipping) and not word
            lines.append("\0" * line.count("\0") if hide else line)
        code = "\n".join(lines).replace("\\\0", "\\\n").replace("\0", "\n")
    return DIRECTIVE.sub(blank, code)


def matching_braces(code):
    """The closing place of each opening brace, or nothing where they do not match."""
    closing, stack = {}, []
    for at, char in enumerate(code):
        if char == "{":
            stack.append(at)
        elif char == "}":
            if not stack:
                return None
            closing[stack.pop()] = at
    return None if stack else closing


TYPE_OR_NAMESPACE = re.compile(r"\b(namespace|class|struct|union|enum|extern)\b")
NO_PARAMETERS = re.compile(r"\[\[.*?\]\]|\balignas\s*\([^()]*\)", re.DOTALL)
ANGLES = re.compile(r"<[^<>]*>")


def kind_of_brace(head, after):
    """'scope', 'body' or 'value', from the text before a brace and the character after it."""
    head = head.strip()
    if head.endswith(("=", ",", "(", "return")) or re.search(r"\bconcept\b", head):
        return "value"
    # A type or a namespace has no parameter list after its keyword; what is in <>, in alignas
    # and in attributes does not count.
    plain = NO_PARAMETERS.sub("", head)
    while ANGLES.search(plain):
        plain = ANGLES.sub("", plain)
    keyword = TYPE_OR_NAMESPACE.search(plain)
    if keyword and ")" not in plain[keyword.start():]:
        return "scope"
    if ")" not in plain:
        return "value"
    member_initialiser = re.search(r"\)[^()]*?(?<!:):(?!:)", plain)
    if member_initialiser and re.search(r"\w$", plain) and after in (",", "{"):
        return "value"
    return "body"


def function_bodies(text):
    """Yields (line of the opening brace, lines between the braces) of every function body."""
    literals_gone = without_literals(text)
    code = without_directives(literals_gone, False)
    closing = matching_braces(code)
    if closing is None:
        code = without_directives(literals_gone, True)
        closing = matching_braces(code)
    if closing is None:
        yield 1, None
        return
    at, head_start = 0, 0
    while at < len(code):
        char = code[at]
        if char == "{":
            end = closing[at]
            rest = code[end + 1:].lstrip()
            kind = kind_of_brace(code[head_start:at], rest[:1])
            if kind == "scope":
                head_start = at + 1
            else:
                if kind == "body":
                    opened, closed = code.count("\n", 0, at) + 1, code.count("\n", 0, end) + 1
                    yield opened, max(0, closed - opened - 1)
                    head_start = end + 1
                at = end
        elif char in ";}":
            head_start = at + 1
        elif char == ":" and re.search(r"\b(public|private|protected)\s*$", code[:at][-12:]):
            head_start = at + 1
        at += 1


# ---- the rules -------------------------------------------------------------------------------


class Tree:
    """A source tree and what was found wrong with it."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.findings = []
        self.headers = sorted((self.root / "include" / "coppice").rglob("*.hpp"))

    def report(self, path, line, text):
        self.findings.append(f"{path.relative_to(self.root)}:{line}: {text}")

    def sources(self):
        for name in ROOT_FILES:
            if (self.root / name).is_file():
                yield self.root / name
        for folder in SOURCE_FOLDERS:
            for path in sorted((self.root / folder).rglob("*")):
                if "__pycache__" in path.parts or "corpus" in path.parts or not path.is_file():
                    continue
                if path.suffix in SOURCE_SUFFIXES or folder == ".ci":
                    yield path

    # -- every source

    def check_lines(self):
        for path in self.sources():
            lines = path.read_text(encoding="utf-8").split("\n")
            if not any(SPDX in line for line in lines[:3]):
                self.report(path, 1, f"no line '{SPDX}' at the top")
            for number, line in enumerate(lines, 1):
                if len(line) > MAX_COLUMNS:
                    self.report(path, number, f"{len(line)} columns, {MAX_COLUMNS} are allowed")
                leftover = LEFTOVERS.search(line)
                if leftover:
                    self.report(path, number, f"a leftover: {leftover.group(0)}")

    def check_bodies(self):
        for folder in BODY_FOLDERS:
            for path in sorted((self.root / folder).rglob("*.[hc]pp")):
                for line, length in function_bodies(path.read_text(encoding="utf-8")):
                    if length is None:
                        self.report(path, line, "the braces do not match, or this script errs")
                    elif length > MAX_BODY_LINES:
                        self.report(path, line, f"a function body of {length} lines, "
                                                f"{MAX_BODY_LINES} are allowed")

    # -- every header

    def check_headers(self):
        for path in self.headers:
            text = path.read_text(encoding="utf-8")
            lines = text.splitlines()
            name = path.relative_to(self.root / "include").as_posix()
            if len(lines) > MAX_HEADER_LINES:
                self.report(path, 1, f"{len(lines)} lines, {MAX_HEADER_LINES} are allowed")
            if lines[:1] != [f"// {SPDX}"]:
                self.report(path, 1, f"the first line is not '// {SPDX}'")
            if "#pragma once" not in lines[:5]:
                self.report(path, 1, "no #pragma once in the first five lines")
            if not any(line.startswith(f"// {name}:") for line in lines[:5]):
                self.report(path, 1, f"no '// {name}: ...' in the first five lines")
            for number, line in enumerate(without_literals(text).split("\n"), 1):
                if re.search(r"\bstd::(cout|cerr|clog)\b", line):
                    self.report(path, number, "a library does not write to the terminal")

    def check_tests(self):
        for path in self.headers:
            name = path.relative_to(self.root / "include" / "coppice")
            test = self.root / "tests" / name.with_name(name.stem + "_test.cpp")
            if name.as_posix() in WITHOUT_TEST:
                if test.exists():
                    self.report(path, 1, "has a test: take it out of WITHOUT_TEST")
            elif not test.exists():
                self.report(path, 1, f"has no test {test.relative_to(self.root)}")

    # -- floors

    def floor(self, name):
        """The floor and the folder of a header named as in its #include, without coppice/."""
        folder = name.rpartition("/")[0]
        top = name.partition("/")[0]
        if not folder:
            return FILE_FLOORS.get(name), ""
        return FOLDER_FLOORS.get(top), top

    def check_floors(self):
        graph = {}
        for path in self.headers:
            name = path.relative_to(self.root / "include" / "coppice").as_posix()
            own_floor, own_folder = self.floor(name)
            if own_floor is None:
                self.report(path, 1, "has no floor: add it to the tables in tests/tidy_test.py")
            graph[name] = []
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                include = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
                if not include:
                    continue
                if include.group(1) == '"':
                    self.report(path, number, "an include with quotes: write <coppice/...>")
                if not include.group(2).startswith("coppice/"):
                    continue
                other = include.group(2)[len("coppice/"):]
                graph[name].append(other)
                if other.startswith("testing") and not name.startswith("testing"):
                    self.report(path, number, f"includes coppice/{other}, which is for tests alone")
                if not (self.root / "include" / "coppice" / other).exists():
                    self.report(path, number, f"includes coppice/{other}, which is not there")
                    continue
                floor, folder = self.floor(other)
                if floor is None or own_floor is None:
                    continue
                if not (floor < own_floor or (floor == own_floor and folder == own_folder)):
                    self.report(path, number, f"floor {own_floor} ({name}) includes floor {floor} "
                                              f"({other})")
        self.check_cycles(graph)
        self.check_abi(graph)

    def check_abi(self, graph):
        """Who names the namespace of the build switches includes what defines it, so that the name
        is the same whatever a program includes first."""

        def reaches(name, seen):
            if name == "version.hpp":
                return True
            seen.add(name)
            return any(reaches(other, seen) for other in graph.get(name, ()) if other not in seen)

        for path in self.headers:
            name = path.relative_to(self.root / "include" / "coppice").as_posix()
            text = path.read_text(encoding="utf-8")
            if "COPPICE_ABI" in without_literals(text) and not reaches(name, set()):
                self.report(path, 1, "names COPPICE_ABI and does not include coppice/version.hpp")

    def check_cycles(self, graph):
        done, path = set(), []

        def visit(name):
            if name in path:
                cycle = " -> ".join(path[path.index(name):] + [name])
                self.report(self.root / "include" / "coppice" / name, 1, f"a cycle: {cycle}")
                return
            if name in done:
                return
            path.append(name)
            for other in graph.get(name, ()):
                visit(other)
            path.pop()
            done.add(name)

        for name in sorted(graph):
            visit(name)

    def check(self):
        self.check_lines()
        self.check_bodies()
        self.check_headers()
        self.check_tests()
        self.check_floors()
        return self.findings


# ---- the test of the test --------------------------------------------------------------------

TOP = f"// {SPDX}\n#pragma once\n// coppice/%s: a header.\n"
NONSENSE = '// { "\nchar const a = \'{\';\nchar const* b = "{{";\nchar const* c = R"({)";\n'
INT = "    int const x = 1'000;\n"
GOOD = {
    "include/coppice/bytes.hpp": TOP % "bytes.hpp" + NONSENSE,
    "include/coppice/error.hpp": TOP % "error.hpp" + "#include <coppice/bytes.hpp>\n",
    "include/coppice/format/node.hpp": TOP % "format/node.hpp" + "#include <coppice/error.hpp>\n",
    "include/coppice/storage/file.hpp": TOP % "storage/file.hpp" + (
        "namespace a {\nclass b : public c<int> {\n  public:\n"
        "    explicit b(int x) : y_{x}, z_(x) {\n" + INT * 70 + "    }\n"
        "    int y_{0};\n};\n"
        "int const table[] = {\n" + "    1,\n" * 90 + "};\n"
        "#if defined(A)\nint f() {\n#else\nint g() {\n#endif\n    return 1;\n}\n"
        "} // namespace a\n"),
    "include/coppice/coppice.hpp": TOP % "coppice.hpp" + "#include <coppice/format/node.hpp>\n",
    "tests/bytes_test.cpp": f"// {SPDX}\n",
    "tests/error_test.cpp": f"// {SPDX}\n",
    "tests/format/node_test.cpp": f"// {SPDX}\n",
    "tests/storage/file_test.cpp": f"// {SPDX}\n",
    "tools/tool.cpp": f"// {SPDX}\nint main() {{}}\n",
}

NODE = "include/coppice/format/node.hpp"
LONG = INT * 71
# Each violation: what it is, the file it is in, the text added to that file, the finding.
VIOLATIONS = (
    ("a long line", NODE, "// " + "x" * 98 + "\n", "101 columns"),
    ("a long header", NODE, "// x\n" * 400, "404 lines"),
    ("a long function", NODE, "int f(int) {\n" + LONG + "}\n", "function body of 71"),
    ("a long template", NODE, "template <class T> requires (A<T>)\nint f(T) noexcept {\n" + LONG +
     "}\n", "function body of 71"),
    ("a long member", NODE, "namespace n { struct s final : b {\n  private:\n"
     "    auto f() const -> std::vector<int> {\n" + LONG + "    }\n};\n}\n", "function body of 71"),
    ("a long constructor", NODE, "struct s {\n    s(int a) : b_{a}, c_{a} {\n" + LONG +
     "    }\n};\n", "function body of 71"),
    ("a long operator", NODE, "struct s {\n    bool operator()(int a) {\n" + LONG + "    }\n};\n",
     "function body of 71"),
    ("a long function that returns a struct", NODE, "struct s f(int a) {\n" + LONG + "}\n",
     "function body of 71"),
    ("a long main", "tools/tool.cpp", "int g() {\n" + LONG + "}\n", "function body of 71"),
    ("braces that do not match", NODE, "void f() {\n", "braces do not match"),
    ("an include upwards", "include/coppice/bytes.hpp", "#include <coppice/format/node.hpp>\n",
     "floor 0 (bytes.hpp) includes floor 1"),
    ("format that includes storage", NODE, "#include <coppice/storage/file.hpp>\n",
     "floor 1 (format/node.hpp) includes floor 1"),
    ("storage that includes format", "include/coppice/storage/file.hpp",
     "#include <coppice/format/node.hpp>\n", "floor 1 (storage/file.hpp) includes floor 1"),
    ("an umbrella used from below", NODE, "#include <coppice/coppice.hpp>\n", "includes floor 8"),
    ("an umbrella that includes what is for tests", "include/coppice/coppice.hpp",
     "#include <coppice/testing.hpp>\n", "which is for tests alone"),
    ("a cycle", "include/coppice/bytes.hpp", "#include <coppice/error.hpp>\n", "a cycle: bytes"),
    ("an include of nothing", NODE, "#include <coppice/none.hpp>\n", "which is not there"),
    ("quotes", NODE, '#include "endian.hpp"\n', "an include with quotes"),
    ("a header without a floor", "include/coppice/other.hpp", TOP % "other.hpp", "has no floor"),
    ("a folder without a floor", "include/coppice/o/o.hpp", TOP % "o/o.hpp", "has no floor"),
    ("no test", "include/coppice/tree/find.hpp", TOP % "tree/find.hpp",
     "has no test tests/tree/find_test.cpp"),
    ("no licence line", "include/coppice/tree/a.hpp",
     "#pragma once\n// coppice/tree/a.hpp: a.\n", "the first line is not"),
    ("no licence line in a tool", "tools/other.cpp", "int x;\n", "at the top"),
    ("no pragma", "include/coppice/tree/a.hpp", f"// {SPDX}\n// coppice/tree/a.hpp: a.\n",
     "no #pragma once"),
    ("another name", "include/coppice/tree/a.hpp", TOP % "tree/b.hpp",
     "no '// coppice/tree/a.hpp: ...'"),
    ("a leftover", "tools/tool.cpp", "// TO" "DO later\n", "a leftover: TO" "DO"),
    ("a namespace that is not defined", NODE, "namespace coppice::inline COPPICE_ABI {}\n",
     "does not include coppice/version.hpp"),
    ("std::cout", NODE, "inline void f() { std::cout << 1; }\n", "write to the terminal"),
    ("std::cerr", NODE, "inline void f() { std::cerr << 1; }\n", "write to the terminal"),
)
# The same for what must not be found.
HARMLESS = (
    ("std::cout in a comment", NODE, "// std::cout\n"),
    ("a body of 70 lines", NODE, "int f(int) {\n" + INT * 70 + "}\n"),
    ("a long class", NODE, "class c {\n" + "    int f() { return 1; }\n" * 90 + "};\n"),
    ("a long enum", NODE, "enum class e : int {\n" + "    a,\n" * 90 + "};\n"),
    ("a long template class", NODE, "template <class T>\n    requires(sizeof(T) > 1)\nclass c "
     "final : d<T> {\n" + "    int f() { return 1; }\n" * 90 + "};\n"),
    ("a class with a function in its base", NODE, "class c : public f<void(int)> {\n" +
     "    int f() { return 1; }\n" * 90 + "};\n"),
    ("a long aligned class", NODE, "struct alignas(64) c {\n" + "    int f;\n" * 90 + "};\n"),
    ("a long concept", NODE, "template <class T>\nconcept c = requires(T t) {\n" +
     "    t.f();\n" * 90 + "};\n"),
)


def findings_of(changes):
    with tempfile.TemporaryDirectory() as root:
        files = dict(GOOD)
        for name, text in changes:
            files[name] = files.get(name, "") + text
        for name, text in files.items():
            path = pathlib.Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return Tree(root).check()


def self_test():
    failed = 0
    for what, changes, wanted in [("a good tree", [], None)] + [
        (what, [(name, text)], wanted) for what, name, text, wanted in VIOLATIONS
    ] + [(what, [(name, text)], None) for what, name, text in HARMLESS]:
        found = findings_of(changes)
        good = any(wanted in each for each in found) if wanted else not found
        print(f"{'ok    ' if good else 'FAILED'} {what}: {'; '.join(found) or 'nothing found'}")
        failed += not good
    print(f"{failed} failed")
    return 1 if failed else 0


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    root = arguments[0] if arguments else pathlib.Path(__file__).resolve().parent.parent
    tree = Tree(root)
    findings = tree.check()
    for finding in findings:
        print(finding)
    lengths = [len(path.read_text(encoding="utf-8").splitlines()) for path in tree.headers]
    if lengths:
        print(f"{len(lengths)} headers, {sum(lengths)} lines, median "
              f"{statistics.median(lengths):.0f}, longest {max(lengths)}")
    print(f"{len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
