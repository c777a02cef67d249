"""Runs the rules over a commit. The same for a push, a request and a laptop."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from trainyard.model.catalogue import Catalogue
from trainyard.model.finding import Finding, Severity
from trainyard.model.text import Text
from trainyard.validation.rules import all_rules, rule
from trainyard.validation.rules.contract import RepositoryRule, RunRule
from trainyard.validation.run_file.problems import Problem
from trainyard.validation.run_file.reading import ReadRunFile, read_run_file
from trainyard.validation.snapshot import Snapshot
from trainyard.validation.view import RunView

MAX_FINDINGS_PER_RULE = 50
"""Nobody reads more of one kind; the rest is counted in one more finding."""
_MOST_COUNTED = 10_000
_NEEDS_WHOLE_RUN = {"argument-required"}
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CheckedCommit:
    """What concerns every run of a commit, and the runs that its run file describes."""

    run_file: ReadRunFile
    findings: list[Finding]
    """About the files of the commit, and the run file itself."""


def check(snapshot: Snapshot, catalogue: Catalogue | None = None, service: str | None = None) -> list[Finding]:
    """Everything that is wrong with the commit and all its runs, in the order of files and lines.

    `service`: root of the deployment that explains the rules, for each finding's `url`; None if there is none at hand.
    """
    checked = check_commit(snapshot)
    found = list(checked.findings)
    for name in checked.run_file.runs:  # one by one: a view keeps the trees of all its scripts
        found += check_run(RunView.of_file(snapshot, name, checked.run_file, catalogue))
    return documented(ordered(found), service)


def check_commit(snapshot: Snapshot) -> CheckedCommit:
    """The commit without its runs; where the run file is at fault, also what else would be wrong with them."""
    run_file = read_run_file(snapshot)
    found = [*(_noted(problem) for problem in run_file.problems), *check_repository(snapshot)]
    for name in run_file.partial:
        further = check_run(RunView.of_file(snapshot, name, run_file))
        # What a part that was left out may have provided is not missed.
        found += [finding for finding in further if finding.rule not in _NEEDS_WHOLE_RUN]
    return CheckedCommit(run_file, found)


def check_repository(snapshot: Snapshot) -> list[Finding]:
    """What concerns every run of the commit."""
    return [
        finding
        for each in all_rules()
        if isinstance(each, RepositoryRule)
        for finding in _bounded(each.id, each.check(snapshot))
    ]


def check_run(view: RunView) -> list[Finding]:
    """What concerns one run."""
    return [
        finding for each in all_rules() if isinstance(each, RunRule) for finding in _bounded(each.id, each.check(view))
    ]


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """By file, line and column, errors first where they share a place, each once."""
    once = dict.fromkeys(findings)
    return sorted(
        once,
        key=lambda finding: (
            finding.file,
            finding.line or 0,
            finding.column or 0,
            finding.severity is not Severity.ERROR,
            finding.rule,
        ),
    )


def documented(findings: Iterable[Finding], service: str | None) -> list[Finding]:
    """The findings with the address of their rule's explanation."""
    from trainyard.validation.rules.documentation import rule_address

    return [finding.model_copy(update={"url": rule_address(finding.rule, service)}) for finding in findings]


def _noted(problem: Problem) -> Finding:
    return rule(problem.rule).finding(problem.place, problem.message, problem.fix)


def _bounded(rule_id: str, found: Iterator[Finding]) -> list[Finding]:
    """The rule's first findings and, where there are more, one that says how many."""
    try:
        findings = list(islice(found, MAX_FINDINGS_PER_RULE))
        further = list(islice(found, _MOST_COUNTED))
    except Exception:
        # A rule that breaks is our fault, not the user's: it must not keep anybody from training.
        _logger.exception("rule %s failed", rule_id)
        return []
    if not further:
        return findings
    count = f"{len(further)}{'+' if len(further) == _MOST_COUNTED else ''}"
    last = further[0]
    more = last.model_copy(
        update={
            "message": Text(
                en=f"{last.message.en} There are {count} such places from here on.",
                zh=f"{last.message.zh} 从此处起共有 {count} 处同类问题。",
            )
        }
    )
    return [*findings, more]
