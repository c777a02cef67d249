"""What an installation has of what can be asked for."""

from __future__ import annotations

from datetime import timedelta

from installation import installation

from trainyard.model.catalogue import Flavor, load_catalogue
from trainyard.model.installation import longest_timeout, missing
from trainyard.model.spec import RunSpec


def _flavor(name: str) -> Flavor:
    flavor = load_catalogue().flavor(name)
    assert flavor is not None
    return flavor


def _spec() -> RunSpec:
    return RunSpec(boot_file="train.py", framework="python-cpu", flavor="cpu")


def test_on_a_laptop_nothing_is_missing() -> None:
    assert missing(_flavor("h100x8")) is None
    assert longest_timeout() is None


def test_a_machine_larger_than_its_family_may_be_is_missing_and_says_why() -> None:
    with installation(job_queues={"t4": "arn"}, max_vcpus={"t4": 47, "l4": 0}):
        assert missing(_flavor("t4")) is None
        why = missing(_flavor("t4x4"))
        assert why is not None
        assert "48 vCPUs" in why.en
        assert "47" in why.en
        assert "48" in why.zh


def test_a_family_that_is_not_there_is_missing() -> None:
    with installation(job_queues={"t4": "arn"}):
        assert missing(_flavor("l4")) is not None


def test_a_run_that_asks_for_no_time_has_the_usual_or_what_it_may_have() -> None:
    assert _spec().timeout == timedelta(days=1)
    with installation(max_run_seconds=1800):
        assert _spec().timeout == _spec().evaluation.timeout == timedelta(minutes=30)
    with installation(max_run_seconds=864000):
        assert _spec().timeout == timedelta(days=1)
        assert _spec().evaluation.timeout == timedelta(hours=1)
