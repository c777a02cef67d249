"""The rule's authors' mistakes count too: no good repository is refused."""

from __future__ import annotations

import pytest
from data.validation.good_repositories import REPOSITORIES, Files

from trainyard.model.finding import Severity
from trainyard.validation.engine import check
from trainyard.validation.snapshot import MemorySnapshot


def test_there_are_enough_of_them() -> None:
    assert len(REPOSITORIES) >= 40


@pytest.mark.parametrize("files", REPOSITORIES.values(), ids=REPOSITORIES)
def test_no_error_is_found(files: Files) -> None:
    found = check(MemorySnapshot(files))
    assert [(one.rule, one.file, one.line, one.message.en) for one in found if one.severity is Severity.ERROR] == []
