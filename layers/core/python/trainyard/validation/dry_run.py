"""A check without a run: the same findings as a request gets, before anything is submitted."""

from __future__ import annotations

from datetime import UTC, datetime

from trainyard.model.check import Check, CheckAnswer
from trainyard.model.finding import Finding
from trainyard.model.settings import settings
from trainyard.model.spec import RunSpec
from trainyard.store import State, layout
from trainyard.store.objects import ObjectMissingError
from trainyard.validation.checkout import Fetched, Unavailable, fetched_repository
from trainyard.validation.engine import documented, ordered
from trainyard.validation.listing import store_listing
from trainyard.validation.request import check_request
from trainyard.validation.rules.fetching import CommitUnavailable


def answer_check(state: State, check_id: str) -> CheckAnswer | None:
    """Answer a check that is still open; None if there is none of that id. A second delivery changes nothing.

    Raises:
        RemoteUnavailableError: the git host did not answer; deliver the event again.
        HostUnavailableError: the same of an image's registry.
    """
    check = state.table.check(check_id)
    if check is None:
        return None
    key = layout.check_key(check_id)
    try:
        answer = CheckAnswer.model_validate_json(state.objects.get(key))
    except ObjectMissingError:
        answer = _answer(state, check)
        state.objects.put(key, answer.model_dump_json().encode(), "application/json")
    state.table.mark_answered(check, datetime.now(UTC))
    return answer


def _answer(state: State, check: Check) -> CheckAnswer:
    repository = state.table.repository(check.project)
    if repository is None:
        return CheckAnswer(findings=[CommitUnavailable.unregistered()])
    try:
        with fetched_repository(state, repository, check.commit or check.ref or repository.default_branch) as fetched:
            store_listing(state, check.project, fetched.snapshot)
            findings = _findings(state, check, check.spec, fetched) if check.spec else []
            return CheckAnswer(commit=fetched.commit, findings=ordered(documented(findings, settings().public_url)))
    except Unavailable as unavailable:
        return CheckAnswer(findings=documented([unavailable.finding], settings().public_url))


def _findings(state: State, check: Check, spec: RunSpec, fetched: Fetched) -> list[Finding]:
    return check_request(state, fetched.snapshot, check.project, check.name, spec, spec, check.requested_by).findings
