"""What every git host can do for us, and the words it is said in.

A webhook is a hint: what `read` returns is only ever used to look the ref up again at the registered address.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from trainyard.model.repository import Repository

DESCRIPTION_LIMIT = 140
"""Characters of a status description that every host shows; GitHub refuses more."""


@dataclass(frozen=True)
class Ping:
    """The host asks whether somebody is there."""


@dataclass(frozen=True)
class PushedRef:
    """One branch or tag that now points to another commit; a force push looks the same."""

    ref: str
    """`refs/heads/...` or `refs/tags/...`."""
    before: str | None
    """None where the ref is new or the host does not tell."""
    after: str
    """The full commit id; of an annotated tag the commit that it stands for, where the host tells."""
    pusher: str
    delivery: str
    """The host's id of this delivery, empty where it has none or where the same delivery again gets another one."""


@dataclass(frozen=True)
class Pushed:
    refs: list[PushedRef]


@dataclass(frozen=True)
class Ignored:
    """A genuine delivery that starts nothing."""

    reason: str


Delivery = Ping | Pushed | Ignored


@dataclass(frozen=True)
class FetchAddress:
    """Where git fetches from. The credentials are in `headers`, never in the address, so that no log shows them."""

    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)


class CommitState(StrEnum):
    """The words of GitHub, which Gitea and Forgejo share; other hosts translate them."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
    """The training was judged and found wanting, or the script failed."""
    ERROR = "error"
    """It could not be judged."""


@dataclass(frozen=True)
class CommitStatus:
    sha: str
    state: CommitState
    context: str
    """A later status of the same context replaces an earlier one on the host's page."""
    description: str
    """At most `DESCRIPTION_LIMIT` characters."""
    target_url: str
    """Empty: none."""


class HostRefusedError(RuntimeError):
    """The host said no for good: the token is wrong, or it does not know the commit. Trying again does not help."""

    def __init__(self, host: str, status: int, answer: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{host} answered {status} {answer[:200]}".rstrip())
        self.status = status
        self.answer = answer
        self.headers = headers or {}
        """Names in lower case."""


class HostUnavailableError(RuntimeError):
    """The host did not answer, or not sensibly, in every one of a few tries. Try again later.

    `asked_seconds`: how long it asks to be left alone, 0 where it does not say.
    """

    def __init__(self, reason: str, asked_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.asked_seconds = asked_seconds


class GitHost(ABC):
    """One git host. It keeps no state; registry.py makes one of each and shares it."""

    name: str
    """As in the registry, in `Repository.host` and in the webhook's path."""
    needs_token: bool = True
    """Whether statuses can be reported only with a token that the user gave; else with our own rights."""
    compare_path: str = "/compare/{base}...{head}"
    """Of the page that shows what changed between two commits, behind the repository's own; empty: there is none."""

    @abstractmethod
    def verify(self, headers: Mapping[str, str], body: bytes, secret: str, now: datetime | None = None) -> None:
        """Return only if whoever sent this knows `secret`.

        `body`: the raw bytes as they arrived. Header names in any case. `now`: for hosts that sign a time; the
        present one if left out. Compares in constant time.

        Raises:
            Unauthenticated: the signature is missing, malformed, too old or wrong; always the same words.
        """

    @abstractmethod
    def read(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        """What a verified delivery says. A deleted ref and any event but a push are `Ignored`.

        Raises:
            InvalidInput: it is not what this host sends.
        """

    @abstractmethod
    def fetch_address(self, repository: Repository, token: str | None) -> FetchAddress:
        """Where and how git fetches the registered repository. `token`: `SECRET`, or `USER:SECRET` where a name counts.

        Raises:
            InvalidInput: the registered address is none that we fetch from.
        """

    @abstractmethod
    def default_branch(self, repository: Repository, token: str) -> str:
        """The repository's default branch, empty if the host does not tell. Proves that the token may read it.

        Raises:
            HostRefusedError: the token is wrong (401), or does not show it such a repository (403, 404).
            HostUnavailableError: it could not be reached now.
        """

    @abstractmethod
    def report_status(self, repository: Repository, token: str, status: CommitStatus) -> None:
        """Tell the host about a commit, with a few tries within 20 seconds.

        Telling the same twice is harmless.

        Raises:
            HostRefusedError: it will never take this status.
            HostUnavailableError: it could not be reached now.
        """

    def new_secret(self) -> str:
        """A new secret for a webhook, in the form that the host takes."""
        return secrets.token_hex(32)

    def create_webhook(self, repository: Repository, token: str, address: str, secret: str) -> bool:  # noqa: ARG002
        """Make the host send pushes to `address`, signed with `secret`. False where somebody has to do it by hand.

        Doing it again brings the same webhook up to date.

        Raises:
            HostRefusedError: the token may not do that.
            HostUnavailableError: it could not be reached now.
        """
        return False

    def remove_webhook(self, repository: Repository, token: str, address: str) -> None:  # noqa: B027 - where none was made
        """Take away the webhooks that go to `address`, and nothing else; whether there were any does not matter.

        Raises:
            HostRefusedError: the token may not do that.
            HostUnavailableError: it could not be reached now, or it took too long.
        """

    def compare_address(self, repository: Repository, base: str, head: str) -> str | None:
        """The page that shows what changed from the commit `base` to `head`; None where the host has none."""
        page = repository.clone_url.removesuffix(".git")
        if not self.compare_path or not page.startswith(("http://", "https://")):
            return None
        return page + self.compare_path.format(base=base, head=head)
