"""A registered repository's commit, fetched for a check; what keeps it from being checked becomes a finding."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from trainyard.hosts.contract import FetchAddress
from trainyard.hosts.registry import host
from trainyard.model.errors import UserError
from trainyard.model.finding import Finding
from trainyard.model.repository import Repository
from trainyard.model.text import Text
from trainyard.store import State
from trainyard.store.secrets import host_token_name
from trainyard.validation.decision import Code
from trainyard.validation.fetch import FetchRefused, fetched, limit_text
from trainyard.validation.object_database import LimitExceededError, Limits, ObjectDatabase, UnreadableError
from trainyard.validation.rules.fetching import CommitUnavailable
from trainyard.validation.snapshot import CommitSnapshot
from trainyard.validation.view import Place


@dataclass(frozen=True)
class Fetched:
    """A commit that can be checked."""

    database: ObjectDatabase
    snapshot: CommitSnapshot
    commit: str
    address: FetchAddress

    def code(self) -> Code:
        """The archive of the commit, in the folder that is gone after the check."""
        archive = self.database.git_dir / "code.tar.gz"
        self.database.archive(self.commit, archive)
        return Code(self.commit, self.database.tree_id(self.commit), archive)


class Unavailable(Exception):
    """The commit cannot be checked; the finding says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message.en)
        self.finding = finding


@contextmanager
def fetched_repository(state: State, repository: Repository, revision: str) -> Iterator[Fetched]:
    """The commit that `revision` means at the registered address.

    Raises:
        Unavailable: it is not there, not readable, damaged or too large.
        RemoteUnavailableError: the host did not answer; try again later.
    """
    limits = Limits()
    try:
        token = state.secrets.get(host_token_name(repository.full_name))
        address = host(repository.host).fetch_address(repository, token)
        with fetched(address, revision, limits) as (database, commit):
            yield Fetched(database, CommitSnapshot(database, commit), commit, address)
    except FetchRefused as refused:
        raise _unavailable(refused.message, refused.fix) from None
    except UserError as error:
        fix = Text(en="Correct the registration of the repository.", zh="请更正该仓库的登记信息。")
        raise _unavailable(error.message, fix) from None
    except LimitExceededError as error:
        raise _unavailable(*limit_text(error.limit, limits)) from None
    except UnreadableError:
        raise _unavailable(
            Text(en="The repository holds damaged git objects.", zh="仓库中有损坏的 Git 对象。"),
            Text(en="Run `git fsck`, repair it and push again.", zh="请运行 `git fsck`，修复后重新推送。"),
        ) from None


def _unavailable(message: Text, fix: Text) -> Unavailable:
    return Unavailable(CommitUnavailable.finding(Place(), message, fix))
