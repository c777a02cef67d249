"""Whatever a repository holds: no crash, no hang, no finding without a place. Rules are asked one by one, unguarded."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from trainyard.model.catalogue import load_catalogue
from trainyard.model.finding import Finding
from trainyard.model.spec import RunSpec
from trainyard.validation.arguments import accepted_arguments
from trainyard.validation.engine import check
from trainyard.validation.patterns import matches
from trainyard.validation.rules import all_rules
from trainyard.validation.rules.contract import EXAMPLE_SPEC, RepositoryRule, RunRule
from trainyard.validation.run_file.reading import NAMES, read_run_file
from trainyard.validation.script import MAX_TOTAL_BYTES
from trainyard.validation.snapshot import MAX_FOLDERS, MemorySnapshot
from trainyard.validation.view import RunView

SPEC = EXAMPLE_SPEC.replace("output: false", "output: true") + "    hyperparameters: {epochs: 10}\n    aim: true\n"
PARSER = "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--a')\nargs = parser.parse_args()\n"


def findings_of(files: Mapping[str, str | bytes], links: Mapping[str, str] | None = None) -> list[Finding]:
    """Every finding of every rule. The engine would log a rule that breaks and go on; here it must not break."""
    snapshot = MemorySnapshot(files, links)
    catalogue = load_catalogue()
    run_file = read_run_file(snapshot)
    specs = run_file.runs or {"run": RunSpec(boot_file="train.py", framework="mindspore-cpu", flavor="cpu")}
    views = [RunView(snapshot, name, spec, catalogue, run_file.path, run_file.document) for name, spec in specs.items()]
    found: list[Finding] = []
    for rule in all_rules():
        if isinstance(rule, RepositoryRule):
            found += rule.check(snapshot)
        elif isinstance(rule, RunRule):
            for view in views:
                found += rule.check(view)
    found += check(snapshot)
    for finding in found:
        assert finding.file in snapshot.entries or finding.file in NAMES
        assert finding.line is None or finding.line >= 1
        assert finding.message.en
        assert finding.fix.zh
        finding.model_dump_json()
    return found


DEEP = {
    "brackets": "x = " + "(" * 90_000,
    "closed brackets": "x = " + "(" * 5000 + ")" * 5000,
    "lists": "x = " + "[" * 60_000 + "]" * 60_000,
    "unary": "x = " + "-" * 150_000 + "1",
    "nots": "x = " + "not " * 40_000 + "1",
    "sums": "x = " + "1 + " * 40_000 + "1",
    "powers": "x = " + "1 ** " * 30_000 + "1",
    "calls": "x = f" + "()" * 60_000,
    "attributes": "x = a" + ".b" * 80_000,
    "lambdas": "x = " + "lambda: " * 20_000 + "1",
    "conditions": "x = " + "1 if a else " * 15_000 + "2",
    "elifs": "if a:\n    import b\n" + "elif a:\n    import b\n" * 8000,
    "indents": "".join(f"{' ' * depth}if a:\n" for depth in range(300)) + " " * 300 + "pass\n",
    "comparisons": "x = " + "1 < " * 40_000 + "1",
    "ands": "x = " + "a and " * 30_000 + "a",
    "f-strings": "x = " + "f'{" * 100 + "1" + "}'" * 100,
    "digits": "x = " + "9" * 100_000,
    "names": "import " + ", ".join(f"m{n}" for n in range(20_000)),
    "arguments": PARSER.replace("parser.add_argument('--a')\n", "parser.add_argument('--a')\n" * 5000),
    "decorators": "@a\n" * 50_000 + "def f(): pass\n",
    "null byte": "x = 1\n\0",
    "surrogate": "x = '\\ud800'\n",
    "quotes": "'" * 150_000,
    "backslashes": "\\\n" * 60_000,
    "form feeds": "\f" * 100_000,
    "full-width": "print（" * 20_000,
    "carriage returns": "x = 1\r" * 20_000,
    "assigned secrets": "password = 'a1b2c3d4e5f6g7h8'\n" * 5000,
    "almost addresses": "http://" + "a" * 190_000,
    "many addresses": "https://a:b" * 15_000,
    "almost keys": "AKIA" * 50_000,
    "private keys": "-----BEGIN " + "RSA " * 40_000 + "PRIVATE KEY-----",
}


@pytest.mark.parametrize("name", DEEP)
def test_hostile_code_ends_in_findings(name: str) -> None:
    findings_of({"trainyard.yaml": SPEC, "train.py": DEEP[name], "pip-requirements.txt": "mindspore\n"})


REQUIREMENTS = {
    "brackets": "a" + "[" * 100_000,
    "markers": "a; " + "(" * 50_000,
    "marker chain": "a; " + "os_name == 'x' or " * 8000 + "os_name == 'x'",
    "specifiers": "mindspore" + ",".join(["==2.7.0"] * 10_000),
    "lines": "mindspore\n" * 60_000,
    "continued": "a \\\n" * 60_000,
    "versions": "mindspore==" + "1." * 50_000,
    "digits": "mindspore==" + "9" * 100_000,
    "epochs": "mindspore==" + "1!" * 50_000,
    "arbitrary": "mindspore===anything\nmindvision===\u00e9\nnumpy===x\nopencv-python===y",
    "wildcards": "mindspore==2.*\nmindspore!=2.*\nmindvision==0.*\n",
    "addresses": "https://" + "a-" * 60_000 + ".whl",
    "comments": "#" * 190_000,
    "spaces": "mindspore" + " " * 190_000 + "--hash",
    "null": "mindspore\0==1",
}


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_hostile_requirements_end_in_findings(name: str) -> None:
    files = {"trainyard.yaml": SPEC, "train.py": "import mindspore\n", "pip-requirements.txt": REQUIREMENTS[name]}
    findings_of(files)


@pytest.mark.parametrize(
    "attributes",
    ["*" * 100_000 + " filter=lfs", "*a" * 240 + "b filter=lfs", "**/" * 100 + "x filter=lfs", "[" * 9000 + " filter=lfs",
     "* filter=lfs\n" * 5000, "\0 filter=lfs", '"a b" filter=lfs', "[!a-z]*?" * 50 + " filter=lfs"],
)  # fmt: skip
def test_hostile_attributes_end_in_findings(attributes: str) -> None:
    names = {f"{'a' * 60}/{'a' * 100}{n}": "x" for n in range(30)}
    findings_of({"trainyard.yaml": SPEC, "train.py": "", ".gitattributes": attributes, **names})


def test_hostile_names_end_in_findings() -> None:
    names = [
        "a" * 900,
        "/".join("a" * 40),
        "new\nline",
        "tab\t",
        "\x1b[2J",
        "\u202etxt.exe",
        "..",
        "con",
        "训练.py",
        " ",
    ]
    findings_of({"trainyard.yaml": SPEC, "train.py": "", **dict.fromkeys(names, "x")}, {"l": "120000", "s": "160000"})


def test_more_source_than_memory_holds_is_not_read_and_nothing_is_said_of_arguments() -> None:
    """A tree can take hundreds of times the memory of its text."""
    large = "x = 1\n" * 30_000
    modules = {f"m{n}.py": large for n in range(20)}
    files = {"trainyard.yaml": SPEC, "train.py": PARSER + "".join(f"import m{n}\n" for n in range(20)), **modules}
    snapshot = MemorySnapshot(files)
    run_file = read_run_file(snapshot)
    (view,) = [RunView.of_file(snapshot, name, run_file) for name in run_file.runs]
    assert sum(len(script.text) for script in view.scripts) <= MAX_TOTAL_BYTES
    assert not accepted_arguments(view.scripts).decided
    assert {one.rule for one in check(snapshot)} == set()


def test_folders_are_counted_only_as_far_as_memory_allows() -> None:
    deep = {"/".join(f"{n:05d}-{level}" for level in range(30)) + "/f": b"" for n in range(1500)}
    snapshot = MemorySnapshot({"trainyard.yaml": SPEC, "train.py": "", **deep})
    assert len(snapshot.folders) < MAX_FOLDERS + 31
    assert all(snapshot.is_folder(path.rpartition("/")[0]) for path in list(deep)[-3:])
    assert not snapshot.is_folder("01499")


def test_many_files_end_in_few_findings() -> None:
    files: dict[str, str | bytes] = {f"d{n % 50}/{n}.exe": b"MZ" for n in range(5000)}
    found = check(MemorySnapshot({"trainyard.yaml": SPEC, "train.py": PARSER, **files}))
    (last,) = [finding for finding in found if "from here on" in finding.message.en]
    assert "4950" in last.message.en
    assert len(found) < 60


@given(st.binary(max_size=400), st.binary(max_size=200), st.binary(max_size=200))
@hypothesis(max_examples=60)
def test_any_bytes_as_files(script: bytes, requirements: bytes, run_file: bytes) -> None:
    findings_of({"trainyard.yaml": SPEC, "train.py": script, "pip-requirements.txt": requirements})
    findings_of({"trainyard.yaml": run_file, "train.py": script, ".gitattributes": requirements})


WORDS = st.sampled_from(
    ["runs:", "\n  ", "\n    ", "a:", "lenet5:", "on:", "push:", "{", "}", "[", "]", ",", ": ", "inputs:", "data_url",
     "dataset:", "x/y", "1", "true", "~", '"', "'", "&a", "*a", "<<:", "- ", "hyperparameters:", "env:", "boot_file:",
     "train.py", "framework:", "mindspore-cpu", "flavor:", "cpu", "timeout:", "2h", "retries:", "99", "!x", "#", "|", ">",
     "evaluation:", "require:", "\t", "：", "../..", "\u0000", "😀", "code_dir:", "/etc", "aim:", "branches:"]
)  # fmt: skip


@given(st.lists(WORDS, max_size=40).map("".join))
@hypothesis(max_examples=150)
def test_anything_like_a_run_file(text: str) -> None:
    findings_of({"trainyard.yaml": text, "train.py": "print(1)\n"})


ANY_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*RunSpec.model_fields, "tiemout"]), ANY_VALUE, max_size=6))
@hypothesis(max_examples=150)
def test_a_run_of_any_values(fields: dict[str, object]) -> None:
    import json

    run = {"boot_file": "train.py", "framework": "python-cpu", "flavor": "cpu", **fields}
    text = json.dumps({"runs": {"a": run}}, allow_nan=False, default=str) if _is_json(run) else "{}"
    findings_of({"trainyard.yaml": text, "train.py": PARSER})


def _is_json(value: object) -> bool:
    import json

    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


@given(st.text("ab*?/[]!-.", max_size=60), st.text("ab/.", max_size=80))
@hypothesis(max_examples=200)
def test_any_pattern_is_decided(pattern: str, name: str) -> None:
    assert matches(pattern, name) in (True, False)


def test_hostile_patterns_are_decided_soon() -> None:
    name = "/".join(["a" * 60] * 15)
    for pattern in ("*a" * 240 + "b", "**/" * 160 + "b", "a**" * 160 + "b", "*" * 500, "[" * 500, "*?" * 249 + "b"):
        assert not matches(pattern, name) or set(pattern) <= {"*"}


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("main", "main", True), ("main", "mainly", False), ("release/*", "release/1", True),
        ("release/*", "release/1/2", False), ("release/**", "release/1/2", True), ("**", "a/b/c", True),
        ("train/**", "train/a/b.py", True), ("train/**", "trains/a", False), ("**/*.py", "a/b/c.py", True),
        ("**/*.py", "c.py", True), ("*.py", "a/c.py", False), ("rel**", "release/1/x", True), ("v?.[0-9]", "v1.2", True),
        ("a**z", "a/b/c/z", True), ("a**z", "a/b/c/y", False), ("/train/*", "train/x", True),
    ],
)  # fmt: skip
def test_patterns(pattern: str, name: str, fits: bool) -> None:
    assert matches(pattern, name) is fits


def test_a_broken_copy_of_a_good_repository_is_still_checked() -> None:
    good = {"trainyard.yaml": SPEC, "train.py": PARSER, "pip-requirements.txt": "mindspore==2.7.0\nnumpy<2\n"}
    chance = random.Random(7)
    for _ in range(150):
        files: dict[str, str | bytes] = dict(good)
        path = chance.choice(sorted(files))
        data = bytearray(good[path].encode())
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(data))
            data[at : at + chance.randint(0, 3)] = chance.choice([b"", b"\0", b"\xff", b"\n", b"{", b"\t", b"'", b": "])
        files[path] = bytes(data)
        findings_of(files)
