"""What was decided about a run is written: objects first, so that whoever reads the row finds them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from trainyard.model.finding import Finding, FindingCount
from trainyard.model.image import PinnedImage
from trainyard.model.money import Estimate
from trainyard.model.request import PinnedInput, RunRequest
from trainyard.model.settings import settings
from trainyard.model.spec import RunSpec
from trainyard.model.text import Text
from trainyard.store import State, layout, spending
from trainyard.validation.engine import documented, ordered


@dataclass(frozen=True)
class Code:
    """The commit's code, ready to be stored."""

    commit: str
    tree: str
    archive: Path


@dataclass(frozen=True)
class Decision:
    """A run's findings and, where none of them is an error, the inputs it will train on."""

    name: str
    findings: list[Finding]
    spec: RunSpec | None = None
    inputs: Sequence[PinnedInput] = ()
    image: PinnedImage | None = None

    @property
    def count(self) -> FindingCount:
        return FindingCount.of(self.findings)

    @property
    def admitted(self) -> bool:
        return self.spec is not None and self.count.errors == 0


@dataclass(frozen=True)
class Price:
    """What an admitted run may cost, and why it has to wait for somebody's approval, if it has to."""

    estimate: Estimate | None = None
    hold: Text | None = None


def price_of(state: State, project: str, decision: Decision, now: datetime, beside: float = 0.0) -> Price:
    """`beside`: US dollars of runs that are admitted together with this one."""
    if not decision.admitted:
        return Price()
    assert decision.spec is not None
    repository = state.table.repository(project)
    estimate = spending.estimate_of(state.table, project, decision.name, decision.spec)
    budget = repository.budget if repository else None
    return Price(estimate, spending.hold_of(state.table, project, budget, estimate, now, beside))


def findings_document(findings: list[Finding]) -> dict[str, object]:
    """The form in which findings are stored and printed."""
    count = FindingCount.of(findings)
    return {
        "findings": [finding.model_dump(mode="json") for finding in findings],
        "errors": count.errors,
        "warnings": count.warnings,
    }


def store_decision(state: State, run_id: str, project: str, decision: Decision, code: Code | None) -> None:
    """Write `findings.json` and, for an admitted run, its code and `request.json`. Doing it twice is harmless."""
    document = findings_document(ordered(documented(decision.findings, settings().public_url)))
    if decision.admitted:
        assert code is not None
        assert decision.spec is not None
        state.objects.put_file(layout.code_key(run_id), code.archive, "application/gzip")
        request = RunRequest(
            run_id=run_id,
            name=decision.name,
            project=project,
            commit=code.commit,
            tree=code.tree,
            spec=decision.spec,
            code_key=layout.code_key(run_id),
            image=decision.image,
            children=decision.spec.combinations(),
            inputs=[one for one in decision.inputs if one.stage == "training"],
            evaluation_inputs=[one for one in decision.inputs if one.stage == "evaluation"],
        )
        for pinned in decision.inputs:
            kind, _, repository = pinned.source.partition(" ")
            if kind in ("dataset", "model"):
                state.objects.put(layout.pinned_key(repository, run_id), b"")
        state.objects.put(layout.request_key(run_id), request.model_dump_json().encode(), "application/json")
    body = json.dumps(document, ensure_ascii=False).encode()
    state.objects.put(layout.findings_key(run_id), body, "application/json")
