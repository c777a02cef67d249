"""Names of images: Docker's grammar with the registry written out, and which of them an operator's list covers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from trainyard.model.image import MAX_LENGTH, ImageReference, is_allowed
from trainyard.model.spec import RunSpec

HEX = "0123456789abcdef"
labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
registries = st.builds(
    lambda names, port: ".".join(names) + (f":{port}" if port else ""),
    st.lists(labels, min_size=2, max_size=4),
    st.one_of(st.none(), st.integers(1, 65535)),
)
paths = st.from_regex(r"[a-z0-9]{1,6}(([._]|__|-{1,3})[a-z0-9]{1,4}){0,2}", fullmatch=True)
repositories = st.lists(paths, min_size=1, max_size=4).map("/".join)
tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
digests = st.text(HEX, min_size=64, max_size=64).map("sha256:{}".format)
references = st.builds(
    lambda registry, repository, tag, digest, both: ImageReference(
        registry, repository, tag if both != 1 else None, digest if both != 0 else None
    ),
    registries, repositories, tags, digests, st.integers(0, 2),
)  # fmt: skip


@given(references)
def test_every_reference_is_read_back_as_it_is_written(reference: ImageReference) -> None:
    assert ImageReference.parse(str(reference)) == reference


@given(st.one_of(st.text(max_size=80), st.text("abz09AZ./:@-_ sha256\n", max_size=80)))
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    try:
        reference = ImageReference.parse(text)
    except ValueError:
        return
    assert str(reference).casefold() == text.casefold()
    assert text.isascii()
    assert len(text) <= MAX_LENGTH
    assert not set(text) & set(" \n\t?#%\\")
    assert ".." not in text.partition("/")[0]


@given(references, digests)
def test_pinning_keeps_the_tag_and_changes_the_digest(reference: ImageReference, digest: str) -> None:
    pinned = reference.pinned(digest)
    assert (pinned.name, pinned.tag, pinned.digest) == (reference.name, reference.tag, digest)
    assert ImageReference.parse(str(pinned)) == pinned


@pytest.mark.parametrize(
    "text",
    [
        "", "python", "python:3.12", "team/train:v1", "docker.io/python", "docker.io/Python:3", "docker.io//python:3",
        "docker.io/python:", "docker.io/python:-x", "docker.io/python:" + "a" * 129, "docker.io/python@sha256:abc",
        "docker.io/python@sha512:" + "0" * 128, "docker.io/python@sha256:" + "A" * 64, "docker.io/../etc:1",
        "docker.io/a/../b:1", "docker.io/.a:1", "docker.io/a_:1", "docker.io/a___b:1", "https://docker.io/python:3",
        "user@docker.io/python:3", "docker.io:0/a:1", "docker.io:99999/a:1", "docker.io:/a:1", "-a.io/b:1", "a..io/b:1",
        "docker.io/python:3\n", "docker.io/py\u0442hon:3", "[::1]:5000/a:1", "docker.io/" + "a" * 250 + ":1",
        "docker.io/python:3@", "docker.io/python:3@sha256:" + "0" * 63, "docker.io/a:1:2", "docker.io/a b:1",
    ],
)  # fmt: skip
def test_what_is_no_full_name_of_an_image(text: str) -> None:
    with pytest.raises(ValueError, match=r"image"):
        ImageReference.parse(text)


@pytest.mark.parametrize(
    ("allowed", "covers"),
    [
        (["ghcr.io"], True), (["GHCR.io"], True), ([" ghcr.io/team "], True), (["ghcr.io/team/train"], True),
        (["ghcr.io/team/"], True), (["docker.io", "ghcr.io/team"], True), ([], False), (["ghcr.io/te"], False),
        (["ghcr.io/team/trai"], False), (["ghcr.io/team/train/x"], False), (["ghcr.io:443"], False), (["io"], False),
        (["evil.ghcr.io"], False), (["*"], False), ([""], False),
    ],
)  # fmt: skip
def test_what_an_operators_list_covers(allowed: list[str], covers: bool) -> None:
    assert is_allowed(ImageReference.parse("ghcr.io/team/train:v1"), allowed) is covers


@given(references, st.data())
def test_a_prefix_never_covers_its_neighbours(reference: ImageReference, data: st.DataObject) -> None:
    parts = reference.repository.split("/")
    depth = data.draw(st.integers(0, len(parts)))
    entry = "/".join([reference.registry, *parts[:depth]])
    assert is_allowed(reference, [entry])
    assert not is_allowed(reference, [entry + "x"])


def spec(**given: str) -> RunSpec:
    return RunSpec.model_validate({"boot_file": "train.py", "flavor": "cpu", **given})


def test_a_run_stands_on_a_framework_or_an_image() -> None:
    assert spec(framework="python-cpu").ground == "python-cpu"
    assert spec(image="GHCR.io/team/train:v1").ground == "ghcr.io/team/train:v1"
    both = {"framework": "python-cpu", "image": "ghcr.io/team/train:v1"}
    for named in ({}, both, {"framework": "", "image": ""}):
        with pytest.raises(ValidationError, match="either a framework or an image") as refused:
            spec(**named)
        assert [fault["loc"] for fault in refused.value.errors()] == [("framework",)]


def test_a_wrong_image_is_told_once() -> None:
    with pytest.raises(ValidationError) as refused:
        spec(image="python")
    assert [fault["loc"] for fault in refused.value.errors()] == [("image",)]
