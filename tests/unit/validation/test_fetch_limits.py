"""What git itself may take while a hostile repository is fetched: the kernel ends what wants more."""

from __future__ import annotations

import pytest
from unit.validation.git_rig import GitServer, Repository, git

from trainyard.hosts.contract import FetchAddress
from trainyard.validation.fetch import FetchRefused, fetched, limit_text
from trainyard.validation.object_database import LimitExceededError, Limits, ObjectDatabase

SMALL = Limits(memory_bytes=160 << 20)


def with_message(repository: Repository, size: int) -> str:
    """A commit with a message of `size` bytes, which packs well and which git holds in one piece."""
    commit = repository.commit({"train.py": "1\n"})
    head = git(repository.folder, "cat-file", "commit", commit).encode()
    written = ("hash-object", "-t", "commit", "-w", "--stdin")
    commit = git(repository.folder, *written, given=head + b"\n" + b"a" * size + b"\n")
    git(repository.folder, "update-ref", "refs/heads/main", commit)
    return commit


def test_a_pack_that_unfolds_to_more_memory_than_there_is_for_git_is_refused(git_server: GitServer) -> None:
    repository = git_server.repository("ada/lenet5")
    address = FetchAddress(git_server.url("ada/lenet5"))
    commit = with_message(repository, 1 << 10)
    with fetched(address, "main", SMALL) as (database, found):
        assert (found, [entry.path for entry in database.entries(found)]) == (commit, [b"train.py"])

    with_message(repository, 200 << 20)
    with pytest.raises(FetchRefused) as refused, fetched(address, "main", SMALL):
        pass
    assert git_server.bytes_sent < 2 << 20
    assert refused.value.kind == "limit"
    message, fix = limit_text("memory_bytes", SMALL)
    assert (refused.value.message, refused.value.fix) == (message, fix)
    assert "160 MB of memory" in message.en
    assert "160 MB 内存" in message.zh


def test_reading_is_bounded_too_and_only_where_it_is_asked_for(git_server: GitServer) -> None:
    repository = git_server.repository("ada/lenet5")
    commit = with_message(repository, 200 << 20)
    with (
        ObjectDatabase(repository.folder, SMALL) as database,
        pytest.raises(LimitExceededError, match="memory_bytes"),
    ):
        list(database.entries(commit))
    with ObjectDatabase(repository.folder, Limits(memory_bytes=0)) as database:
        assert [entry.path for entry in database.entries(commit)] == [b"train.py"]
