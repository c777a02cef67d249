"""What a rule is: a fault that can be found without running anything, told with its place and what to write instead.

A rule carries its own documentation and its examples, which the contract test runs. To add one: a class in the file of
its concern (or a new file), and one line in the registry of this folder.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, final

from trainyard.model.finding import Finding, Severity
from trainyard.model.text import Text
from trainyard.validation.redaction import without_secrets
from trainyard.validation.snapshot import Snapshot
from trainyard.validation.view import Place, RunView

EXAMPLE_SPEC = """\
runs:
  lenet5:
    boot_file: train.py
    framework: mindspore-cpu
    flavor: cpu
    output: false
"""


@dataclass(frozen=True)
class Example:
    """A small repository. Whatever it does not hold of `trainyard.yaml` and `train.py` is filled in, without fault."""

    files: Mapping[str, str | bytes] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    """Path to git's mode, for symbolic links and submodules."""
    line: int | None = None
    """Of a failing example: the line of the finding, where the example is there to show it."""
    without: tuple[str, ...] = ()
    """Files that are left out on purpose."""
    installation: Mapping[str, object] = field(default_factory=dict)
    """Settings of the installation, where the rule asks for them."""

    def tree(self) -> dict[str, str | bytes]:
        whole = {"trainyard.yaml": EXAMPLE_SPEC, "train.py": "print('training')\n", **self.files}
        return {path: content for path, content in whole.items() if path not in self.without}


class Rule(ABC):
    """One kind of fault. A rule keeps no state; an instance may check many repositories."""

    id: ClassVar[str]
    """Stable, in lower case with dashes: it is written into configuration and links."""
    title: ClassVar[Text]
    explanation: ClassVar[Text]
    """Why it matters and what to do, for the documentation page."""
    severity: ClassVar[Severity] = Severity.ERROR
    failing: ClassVar[tuple[Example, ...]] = ()
    passing: ClassVar[tuple[Example, ...]] = ()
    needs_platform: ClassVar[bool] = False
    """It looks at registered repositories and runs, so it is checked only after a push, and has no example tree."""

    @final
    @classmethod
    def finding(cls, place: Place, message: Text, fix: Text, severity: Severity | None = None) -> Finding:
        """What was found. Texts may quote the repository: what looks like a secret in them is hidden here."""
        return Finding(
            rule=cls.id,
            severity=severity or cls.severity,
            file=place.file,
            line=place.line,
            column=place.column,
            field=place.field,
            message=without_secrets(message),
            fix=without_secrets(fix),
        )


class RepositoryRule(Rule):
    """Looks at the commit as a whole; what it finds concerns every run."""

    @abstractmethod
    def check(self, snapshot: Snapshot) -> Iterator[Finding]:
        """Every fault, each with its place. Never raises on what a repository holds, and is bounded in time."""


class RunRule(Rule):
    """Looks at one run: its description, its script, its requirements."""

    @abstractmethod
    def check(self, view: RunView) -> Iterator[Finding]:
        """Every fault, each with its place. Never raises on what a repository holds, and is bounded in time."""


class NotedRule(Rule):
    """Its findings come from elsewhere: reading the run file or fetching and pinning, which cannot go on past them."""
