"""Refs as real git lists them, by both protocols, and answers that are none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from contracts.hosts.api_server import ApiServer
from contracts.hosts.host_contract import server  # noqa: F401
from hypothesis import given
from hypothesis import strategies as st
from unit.validation.git_rig import GitServer, git

from trainyard.hosts import refs
from trainyard.hosts.addresses import basic_authorization
from trainyard.hosts.contract import FetchAddress, HostRefusedError, HostUnavailableError
from trainyard.hosts.refs import list_refs
from trainyard.model.errors import InvalidInput


@pytest.fixture(params=["v2", "v0"])
def git_server(request: pytest.FixtureRequest, server: ApiServer, tmp_path: Path) -> Iterator[GitServer]:  # noqa: F811
    with GitServer(tmp_path / "git") as running:
        running.speaks_v2 = request.param == "v2"
        yield running


def test_branches_and_tags_with_their_commits(git_server: GitServer) -> None:
    repository = git_server.repository("ada/lenet5")
    first = repository.commit({"a": "1"})
    second = repository.commit({"a": "2"})
    branch = repository.commit({"b": "1"}, ref="refs/heads/feature/é")
    git(repository.folder, "update-ref", "refs/pull/1/head", first)
    git(repository.folder, "update-ref", "refs/tags/light", first)
    git(repository.folder, "tag", "-a", "-m", "x", "annotated", first)
    assert list_refs(FetchAddress(git_server.url("ada/lenet5"))) == {
        "refs/heads/main": second,
        "refs/heads/feature/é": branch,
        "refs/tags/light": first,
        "refs/tags/annotated": first,
    }


def test_a_repository_without_a_commit(git_server: GitServer) -> None:
    git_server.repository("ada/new")
    assert list_refs(FetchAddress(git_server.url("ada/new"))) == {}


def test_with_a_token_and_without(git_server: GitServer) -> None:
    commit = git_server.repository("ada/secret").commit({"a": "1"})
    git_server.token = "s3cret"
    address = git_server.url("ada/secret")
    with pytest.raises(HostRefusedError):
        list_refs(FetchAddress(address))
    signed_in = FetchAddress(address, basic_authorization("s3cret", "x-access-token"))
    assert list_refs(signed_in) == {"refs/heads/main": commit}


def test_nothing_there(git_server: GitServer) -> None:
    with pytest.raises(HostRefusedError):
        list_refs(FetchAddress(git_server.url("ada/none")))


def test_a_list_without_end_is_not_read(git_server: GitServer, monkeypatch: pytest.MonkeyPatch) -> None:
    git_server.repository("ada/lenet5").commit({"a": "1"})
    monkeypatch.setattr(refs, "MAX_BYTES", 100)
    with pytest.raises(HostUnavailableError):
        list_refs(FetchAddress(git_server.url("ada/lenet5")))


def test_only_where_a_fetch_may_go() -> None:
    for url in ("http://169.254.169.254/x", "file:///etc", "http://127.0.0.1/x"):
        with pytest.raises(InvalidInput):
            list_refs(FetchAddress(url))


@pytest.mark.parametrize(
    "answer",
    [b"", b"<html>", b"000", b"zzzz", b"0009x", b"0005x", b"001e# service=git-upload-pack\n0000", b"0008abcd0000"],
)
def test_an_answer_that_is_none(answer: bytes) -> None:
    try:
        assert refs._read_v0([line for line in refs._lines(answer) if not line.startswith("# ")]) == {}
    except HostUnavailableError:
        return
    assert answer.endswith(b"0000")


@given(
    st.one_of(
        st.binary(max_size=60), st.lists(st.binary(max_size=12)).map(lambda each: b"".join(map(refs._packet, each)))
    )
)
def test_a_hostile_answer_is_never_a_crash(answer: bytes) -> None:
    for read in (refs._read_v2, lambda lines: refs._read_v0(list(lines))):
        try:
            found = read(refs._lines(answer + b"0000"))
        except HostUnavailableError:
            continue
        assert all(name.startswith(("refs/heads/", "refs/tags/")) for name in found)
