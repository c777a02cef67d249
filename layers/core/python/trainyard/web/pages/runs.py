"""A project's runs: newest first, filtered and searched within bounds, to be chosen for a comparison."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from trainyard.model.repository import Repository, RepositoryKind
from trainyard.model.run import Run, RunState
from trainyard.store import State
from trainyard.store.table import Page
from trainyard.web.pages.answers import PageAnswer
from trainyard.web.pages.routing import Visit, page
from trainyard.web.pages.shown import elapsed

RUNS_SHOWN = 50
RUNS_LOOKED_AT = 300
"""For one page of a filtered list; the next page goes on from there."""
_FILTERS = ("state", "branch", "name", "by", "q")


@dataclass(frozen=True)
class Line:
    """One run of the list."""

    run: Run
    branch: str
    started: datetime
    took: timedelta | None


@page("GET", "/projects/{owner}/{name}")
def show_runs(visit: Visit) -> PageAnswer:
    project = visit.repository()
    if project.kind is not RepositoryKind.PROJECT:
        return visit.redirect(f"/repositories/{project.full_name}")
    wanted = {name: visit.request.query.get(name, "").strip()[:100] for name in _FILTERS}
    found, looked_at = find_runs(visit.state, project, wanted, visit.request.query.get("cursor"))
    lines = [line_of(run) for run in found.rows]
    following = urlencode({**{name: value for name, value in wanted.items() if value}, "cursor": found.cursor or ""})
    return visit.page(
        "runs.html",
        project=project,
        lines=lines,
        wanted=wanted,
        filtered=any(wanted.values()),
        states=list(RunState),
        branches=sorted({line.branch for line in lines if line.branch}),
        names=sorted({line.run.name for line in lines}),
        people=sorted({line.run.requested_by for line in lines}),
        looked_at=looked_at,
        older=f"/projects/{project.full_name}?{following}" if found.cursor else None,
        first=not visit.request.query.get("cursor"),
        may_command=visit.may_command(project),
    )


def find_runs(state: State, project: Repository, wanted: dict[str, str], cursor: str | None) -> tuple[Page[Run], int]:
    """A page of the runs that fit, and how many were read for it: at most `RUNS_LOOKED_AT`."""
    if not any(wanted.values()):
        plain = state.table.runs_of(project.full_name, RUNS_SHOWN, cursor)
        return plain, len(plain.rows)
    fits, rows, looked_at = _fitting(wanted), [], 0
    while True:
        found = state.table.runs_of(project.full_name, 2 * RUNS_SHOWN, cursor)
        rows += [run for run in found.rows if fits(run)]
        looked_at += len(found.rows)
        cursor = found.cursor
        if cursor is None or len(rows) >= RUNS_SHOWN or looked_at >= RUNS_LOOKED_AT:
            return Page(rows, cursor), looked_at


def branch_of(run: Run) -> str:
    """The branch or tag as people call it."""
    return (run.ref or "").removeprefix("refs/heads/").removeprefix("refs/tags/")


def line_of(run: Run) -> Line:
    started, ended = run_times(run)
    return Line(run, branch_of(run), run.created_at, elapsed(started, ended))


def run_times(run: Run) -> tuple[datetime | None, datetime | None]:
    """When it began to run, and when it ended."""
    last = run.timeline[-1].at if run.timeline and run.state.is_final else None
    return run.reached(RunState.RUNNING), last


def _fitting(wanted: dict[str, str]) -> Callable[[Run], bool]:
    words = wanted["q"].casefold().split()

    def fits(run: Run) -> bool:
        description = run.spec.description if run.spec else ""
        all_of_it = f"{run.id} {run.name} {run.commit} {run.ref} {run.requested_by} {description}".casefold()
        return (
            wanted["state"] in ("", run.state.value)
            and wanted["branch"] in ("", branch_of(run))
            and wanted["name"] in ("", run.name)
            and wanted["by"] in ("", run.requested_by)
            and all(word in all_of_it for word in words)
        )

    return fits
