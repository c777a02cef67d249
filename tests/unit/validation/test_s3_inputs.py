"""Objects of other buckets as inputs: only what the operator allowed, pinned to their entity tags."""

from __future__ import annotations

import boto3
import pytest

from trainyard.model.settings import Settings
from trainyard.model.spec import Input
from trainyard.store import State
from trainyard.store.objects import Objects
from trainyard.validation import s3_inputs
from trainyard.validation.input_fault import InputFault
from trainyard.validation.s3_inputs import pin_s3

FILES = {"digits/train/a": b"a", "digits/train/b": b"bb", "digits/x.npz": b"x", "digits2/c": b"c", "other/d": b"d"}


@pytest.fixture
def lake(state: State, monkeypatch: pytest.MonkeyPatch) -> Objects:
    """A bucket of somebody else, of which `digits` is allowed."""
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="data-lake")
    lake = state.objects.of_bucket("data-lake")
    for key, content in FILES.items():
        lake.put(key, content)
    monkeypatch.setattr(s3_inputs, "settings", lambda: Settings(input_objects=["arn:aws:s3:::data-lake/digits/*"]))
    return lake


def refused(state: State, **source: str) -> InputFault:
    with pytest.raises(InputFault) as caught:
        pin_s3(state.objects, "data_url", Input.model_validate(source))
    return caught.value


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize(
    ("source", "paths", "is_file"),
    [
        ({"s3": "s3://data-lake/digits"}, ["train/a", "train/b", "x.npz"], False),
        ({"s3": "s3://data-lake/digits/"}, ["train/a", "train/b", "x.npz"], False),
        ({"s3": "s3://data-lake/digits", "path": "train"}, ["a", "b"], False),
        ({"s3": "s3://data-lake/digits/train/a"}, ["a"], True),
        ({"s3": "s3://data-lake/digits", "path": "x.npz"}, ["x.npz"], True),
    ],
)
def test_a_prefix_is_a_folder_and_an_object_a_file(
    state: State, source: dict[str, str], paths: list[str], is_file: bool
) -> None:
    pinned = pin_s3(state.objects, "data_url", Input.model_validate(source))
    assert ([file.path for file in pinned.files], pinned.is_file) == (paths, is_file)
    assert {file.bucket for file in pinned.files} == {"data-lake"}
    assert all(file.etag and file.sha256 is None for file in pinned.files)


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize(
    "address", ["s3://data-lake/digits2", "s3://data-lake/other", "s3://data-lake", "s3://lake/digits"]
)
def test_what_was_not_allowed_is_refused_and_told_apart(state: State, address: str) -> None:
    fault = refused(state, s3=address)
    assert (fault.rule_id, fault.part) == ("input-missing", "s3")
    assert "s3://data-lake/digits/" in fault.fix.en


def test_nothing_is_allowed_by_itself(state: State) -> None:
    assert "管理员" in refused(state, s3="s3://data-lake/digits").fix.zh


@pytest.mark.usefixtures("lake")
def test_what_is_not_there_is_a_finding(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(state, s3="s3://data-lake/digits/nothing").part == "path"
    monkeypatch.setattr(s3_inputs, "settings", lambda: Settings(input_objects=["arn:aws:s3:::gone/*"]))
    assert "does not let us read" in refused(state, s3="s3://gone/digits").message.en


def test_objects_that_changed_are_another_revision(state: State, lake: Objects) -> None:
    first = pin_s3(state.objects, "data_url", Input(s3="s3://data-lake/digits"))
    same = Input(s3="s3://data-lake/digits", revision=first.revision)
    assert pin_s3(state.objects, "data_url", same) == first
    lake.put("digits/train/a", b"z")
    assert refused(state, s3="s3://data-lake/digits", revision=first.revision).part == "revision"
    assert pin_s3(state.objects, "data_url", Input(s3="s3://data-lake/digits")).revision != first.revision


def test_names_that_leave_the_folder_are_refused(state: State, lake: Objects) -> None:
    lake.put("digits/../../etc/passwd", b"root")
    assert refused(state, s3="s3://data-lake/digits").rule_id == "input-content"


def test_the_setting_is_a_list() -> None:
    known = Settings.from_environment({"TRAINYARD_INPUT_OBJECTS": "arn:aws:s3:::a/b/*, arn:aws:s3:::c/*"})
    assert known.input_objects == ["arn:aws:s3:::a/b/*", "arn:aws:s3:::c/*"]
