"""What is wrong with a field is said in both languages, at the field, once."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from trainyard.intake.problems import fields_of
from trainyard.intake.submissions import SubmitRun
from trainyard.model.budget import Budget
from trainyard.model.text import Text

SPEC = {"boot_file": "train.py", "framework": "python-cpu", "flavor": "cpu"}
_ENGLISH_SENTENCE = re.compile(r"[A-Za-z]+ [a-z]+ [a-z]+")


def problems(model: type[BaseModel], document: Any) -> dict[str, Text]:
    with pytest.raises(ValidationError) as refused:
        model.model_validate(document)
    found = fields_of(refused.value, model=model)
    for text in found.values():
        assert not _ENGLISH_SENTENCE.search(text.zh), text.zh
    return found


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"flavour": "cpu"}, "spec.flavour", "Did you mean flavor?"),
        ({"evaluation": {"requires": {}}}, "spec.evaluation.requires", "Did you mean require?"),
        ({"wholly": 1}, "spec.wholly", "Remove it."),
        ({"processes": 0}, "spec.processes", "auto or a whole number from 1 to 64"),
        ({"processes": "many"}, "spec.processes", "auto or a whole number from 1 to 64"),
        ({"hyperparameters": {"lr": {"a": 1}}}, "spec.hyperparameters.lr", "or a list of these"),
        ({"hyperparameters": {"lr": [[1, 2]]}}, "spec.hyperparameters.lr.0", "text, a number"),
        ({"hyperparameters": {"lr": []}}, "spec.hyperparameters.lr", "at least one entry"),
        ({"hyperparameters": {"lr": list(range(10_001))}}, "spec.hyperparameters.lr", "At most 10000 entries"),
        ({"hyperparameters": {"lr": "x\0"}}, "spec", "null byte"),
        ({"inputs": {"a": {"dataset": "o/n", "revision": "x\0"}}}, "spec.inputs.a.revision", "control characters"),
        ({"inputs": {"a": {"run": "run-01m87t2xhnagb3dgsq7rdx", "child": 10_000}}}, "spec.inputs.a.child", "Less than"),
        ({"machines": "spott"}, "spec.machines", "'spot'"),
        ({"boot_file": "../train.py"}, "spec.boot_file", "may not contain `..`"),
        ({"env": {"THREADS": 1}}, "spec.env.THREADS", "in quotes"),
        ({"evaluation": {"scopes": {"momentum": ["high"]}}}, "spec.evaluation.scopes.momentum.0", "Write a number"),
        ({"retries": 10**30}, "spec.retries", "At most 9"),
    ],
)
def test_a_fault_is_told_once_at_its_field(changes: dict[str, object], field: str, words: str) -> None:
    found = problems(SubmitRun, {"name": "bad", "spec": {**SPEC, **changes}})

    assert list(found) == [field]
    assert words in found[field].en


@pytest.mark.parametrize("given", [-1, float("nan"), float("inf"), "5", True, [], 1e10])
def test_a_sum_that_is_none(given: object) -> None:
    assert list(problems(Budget, {"per_run_usd": given})) == ["per_run_usd"]


def test_words_to_choose_from_are_listed_in_chinese_as_well() -> None:
    found = problems(SubmitRun, {"name": "bad", "spec": {**SPEC, "priority": "urgent"}})

    assert found["spec.priority"].zh == "请选择：'low'、'normal'、'high'。"
