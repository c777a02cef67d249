"""The schema that editors use says what the model says, of every field, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from data.validation.good_repositories import FOLDERS, REPOSITORIES
from jsonschema import Draft202012Validator

from trainyard.model.catalogue import load_catalogue
from trainyard.validation.document import read_document
from trainyard.validation.rules import rule
from trainyard.validation.rules.contract import EXAMPLE_SPEC
from trainyard.validation.run_file.reading import NAMES
from trainyard.validation.schema import run_file_schema

VALIDATOR = Draft202012Validator(run_file_schema())


def fields(node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        for name, value in node.get("properties", {}).items():
            yield name, value
        for value in node.values():
            yield from fields(value)
    elif isinstance(node, list):
        for value in node:
            yield from fields(value)


def test_it_is_a_schema_and_describes_every_field() -> None:
    Draft202012Validator.check_schema(run_file_schema())
    described = dict(fields(run_file_schema()))
    assert {"runs", "boot_file", "inputs", "on", "branches", "timeout", "require", "revision"} <= set(described)
    assert [name for name, value in described.items() if not value.get("description")] == []


def test_frameworks_and_flavors_are_those_of_the_catalogue() -> None:
    run = run_file_schema()["$defs"]["RunSpec"]["properties"]
    usable = [entry.name for entry in load_catalogue().frameworks if not entry.retired]
    assert [choice["const"] for choice in run["framework"]["anyOf"]] == usable


@pytest.mark.parametrize("files", [*FOLDERS.values(), *REPOSITORIES.values()], ids=[*FOLDERS, *REPOSITORIES])
def test_every_good_run_file_fits(files: Mapping[str, str | bytes]) -> None:
    text = next(files[path] for path in NAMES if path in files)
    data = text.encode() if isinstance(text, str) else text
    assert [error.message for error in VALIDATOR.iter_errors(read_document(data).value)] == []


@pytest.mark.parametrize(
    "text", [example.files["trainyard.yaml"] for example in rule("run-file-key").failing if example.files]
)
def test_an_unknown_key_does_not(text: str) -> None:
    assert not VALIDATOR.is_valid(read_document(text.encode()).value)


@pytest.mark.parametrize(
    ("more", "fits"),
    [
        ("    timeout: 2h\n    retries: 3\n", True),
        ("    timeout: 7200\n", True),
        ("    retries: 10\n", False),
        ("    env: {OMP_NUM_THREADS: 1}\n", False),
        ("    inputs: {data_url: {dataset: digits}}\n", False),
        ("    hyperparameters: {lr: 0.1, name: x, amp: true}\n", True),
        ("    hyperparameters: {sizes: [[1], 2]}\n", False),
    ],
)
def test_values_are_refused_while_typing(more: str, fits: bool) -> None:
    assert VALIDATOR.is_valid(read_document((EXAMPLE_SPEC + more).encode()).value) is fits
