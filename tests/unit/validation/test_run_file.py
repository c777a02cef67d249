"""The run file beyond its rules' examples: short ways to write a trigger, and several faults at once."""

from __future__ import annotations

import pytest

from trainyard.validation.engine import check
from trainyard.validation.rules.contract import EXAMPLE_SPEC
from trainyard.validation.run_file.reading import read_run_file
from trainyard.validation.snapshot import MemorySnapshot
from trainyard.validation.trigger import started_by


@pytest.mark.parametrize(
    ("on", "starts"),
    [("push", True), ("[push]", True), ("{push: }", True), ("{push: {}}", True), ("{}", False), (None, True)],
)
def test_short_triggers_mean_any_push(on: str | None, starts: bool) -> None:
    text = EXAMPLE_SPEC + (f"    on: {on}\n" if on else "")
    (spec,) = read_run_file(MemorySnapshot({"trainyard.yaml": text})).runs.values()
    assert started_by(spec.on, "refs/heads/any", None) is starts


@pytest.mark.parametrize("on", ["pull_request", "[push, tag]", "1", "{pull: {}}"])
def test_other_triggers_are_refused(on: str) -> None:
    findings = check(MemorySnapshot({"trainyard.yaml": EXAMPLE_SPEC + f"    on: {on}\n", "train.py": ""}))
    assert [(one.line, one.severity.value) for one in findings] == [(7, "error")]


def test_a_fault_of_the_file_hides_none_of_the_code() -> None:
    text = EXAMPLE_SPEC + "    hyperparamters: {epochs: 3}\n    timeout: soon\n    inputs: {data_url: {datset: a/b}}\n"
    script = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--data', required=True)\np.parse_args()\nx = 1\n"
    files = {"trainyard.yaml": text, "train.py": script, "pip-requirements.txt": "mindspore==1.7.0\n"}
    found = {(one.rule, one.file, one.line) for one in check(MemorySnapshot(files))}
    assert found == {
        ("run-file-key", "trainyard.yaml", 7), ("run-file-value", "trainyard.yaml", 8),
        ("run-file-key", "trainyard.yaml", 9), ("argument-not-accepted", "trainyard.yaml", 9),
        ("argument-not-accepted", "trainyard.yaml", 2), ("wheel-python", "pip-requirements.txt", 1),
    }  # fmt: skip


def test_every_fault_is_told_at_once() -> None:
    text = "runs:\n  a b:\n    boot_file: train.sh\n    flavour: cpu\n    framework: 3\n    timeout: soon\n    retries: -1\n"
    found = {(one.rule, one.line) for one in check(MemorySnapshot({"trainyard.yaml": text, "train.sh": ""}))}
    assert found == {
        ("run-file-value", 2), ("run-file-value", 3), ("run-file-key", 4), ("run-file-value", 5),
        ("run-file-value", 6), ("run-file-value", 7),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "line", "column", "words"),
    [
        ("    hyperparameters:\n      epochs: 3\n      lr: [0.1, 0.1]\n", 8, 7, "twice"),
        ("    hyperparameters:\n      epochs: 3\n      lr: []\n", 9, 11, "is empty"),
        ("    hyperparameters:\n      epochs: 3\n      lr: [0.1, {a: 1}]\n", 9, 17, "lr.1` is no value"),
        ("    hyperparameters:\n      lr: {a: 1}\n", 8, 11, "lr` is no value"),
        ("    hyperparameters: {lr: [1, 2]}\n    machines: spot_first\n", 3, 5, "on-demand"),
        ("    hyperparameters: {lr: [1, 2]}\n    nodes: 2\n", 3, 5, "one machine"),
        ("    nodes: 2\n    machines: spot\n    retries: 1\n", 3, 5, "on-demand"),
        ("    nodes: 0\n", 7, 12, ">= 1"),
        ("    inputs: {data_url: {dataset: a/b, child: 1}}\n", 7, 24, "sweep"),
    ],
)
def test_faults_of_sweeps_and_nodes_stand_where_they_were_written(
    more: str, line: int, column: int, words: str
) -> None:
    found = check(MemorySnapshot({"trainyard.yaml": EXAMPLE_SPEC + more, "train.py": "print(1)\n"}))
    faults = [one for one in found if one.rule == "run-file-value"]
    assert [(one.line, one.column) for one in faults] == [(line, column)]
    assert words in faults[0].message.en
