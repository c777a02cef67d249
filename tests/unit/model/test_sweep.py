"""Lists among the hyperparameters make one run of many trainings."""

import pytest
from pydantic import ValidationError

from trainyard.model.spec import RunSpec


def spec(**hyperparameters: object) -> RunSpec:
    return RunSpec.model_validate(
        {"boot_file": "a.py", "framework": "f", "flavor": "c", "hyperparameters": hyperparameters}
    )


def test_every_combination_is_a_training() -> None:
    sweep = spec(lr=[0.1, 0.01], epochs=3, net=["a", "b", "c"])
    assert (sweep.is_sweep, sweep.trainings) == (True, 6)
    assert sweep.combinations()[:2] == [{"lr": 0.1, "net": "a"}, {"lr": 0.1, "net": "b"}]
    assert RunSpec.model_validate_json(sweep.model_dump_json()) == sweep


def test_a_list_of_one_value_is_that_value() -> None:
    one = spec(lr=[0.1])
    assert (one.is_sweep, one.combinations(), one.hyperparameters) == (False, [], {"lr": 0.1})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"lr": []}, "at least 1"),
        ({"lr": [1, 1]}, "lists a value twice"),
        ({"a": list(range(101)), "b": list(range(100))}, "10100 combinations"),
        ({"a": ["x" * 99_999, "y"]}, "100000 bytes"),
        ({"a": "数" * 40_000}, "100000 bytes"),
        ({"a": ["x", "y\0"]}, "null byte"),
    ],
)
def test_what_is_no_sweep(given: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        spec(**given)
    assert spec(a=[1, 1.5, True]).trainings == 3
