"""Pushes that no webhook told of: a project's refs are compared with what they were, and with what was told.

GitHub never sends a lost webhook again, so somebody has to look. Whatever is found goes the way of every push; whether
it starts a run is for the commit's trainyard.yaml to say.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from aws_lambda_powertools import Logger

from trainyard.hosts.contract import HostRefusedError, HostUnavailableError, PushedRef
from trainyard.hosts.refs import list_refs
from trainyard.hosts.registry import host
from trainyard.intake.pushes import record_found_push
from trainyard.model.errors import InvalidInput, UserError
from trainyard.model.repository import Repository
from trainyard.store import State, layout
from trainyard.store.objects import ObjectMissingError
from trainyard.store.secrets import host_token_name
from trainyard.store.table import Page

logger = Logger()
PROJECTS_AT_ONCE = 40
"""In one sweep; the next one goes on behind them. This bounds what many projects cost."""
PUSHES_AT_ONCE = 20
"""Of one project in one sweep; the others are found by the next."""
SECONDS = 120.0
"""After these no other project is begun."""
_THREADS = 8


@dataclass
class MissedPushes:
    """What one sweep did."""

    projects: int = 0
    """Whose refs were looked at."""
    unreachable: int = 0
    """Of those, whose host did not answer or refused."""
    found: int = 0
    """Pushes that nobody had told of."""


def find_missed_pushes(state: State, clock: Callable[[], float] = time.monotonic) -> MissedPushes:
    """Look at the next projects, a few at the same time."""
    deadline = clock() + SECONDS
    page = _next_projects(state)

    def look(project: Repository) -> int | None:
        return 0 if clock() > deadline else _look(state, project)

    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(look, page.rows))
    return MissedPushes(len(found), found.count(None), sum(number or 0 for number in found))


def watch_from_nothing(state: State, repository: Repository) -> None:
    """The repository was made just now: its very first push may be missed, too."""
    state.objects.put(layout.refs_key(repository.full_name), b"{}", "application/json", if_absent=True)


def _next_projects(state: State) -> Page[Repository]:
    """Where the last sweep stopped it goes on, so that every project has its turn however many there are."""
    key = layout.refs_cursor_key()
    try:
        cursor = json.loads(state.objects.get(key))["cursor"]
    except ObjectMissingError:
        cursor = None
    try:
        page = state.table.projects(PROJECTS_AT_ONCE, cursor)
    except InvalidInput:  # written by an older version, for another index
        page = state.table.projects(PROJECTS_AT_ONCE)
    if page.cursor != cursor:
        # Before anything is looked at: a project that ends this function must not end the next one, too.
        state.objects.put(key, json.dumps({"cursor": page.cursor}).encode(), "application/json")
    return page


def _look(state: State, project: Repository) -> int | None:
    """How many missed pushes were found in one project; None where its host did not tell its refs."""
    try:
        return _compare(state, project, _refs(state, project))
    except (HostRefusedError, HostUnavailableError, UserError) as error:
        logger.info("refs not listed", extra={"project": project.full_name, "reason": str(error)})
        return None


def _compare(state: State, project: Repository, refs: dict[str, str]) -> int:
    known = _last_seen(state, project)
    moved = {} if known is None else {name: commit for name, commit in refs.items() if known.get(name) != commit}
    taken = dict(list(moved.items())[:PUSHES_AT_ONCE])
    found = sum(_take(state, project, name, (known or {}).get(name), commit) for name, commit in taken.items())
    seen = {name: commit for name, commit in refs.items() if name in taken or name not in moved}
    # What was moved and not taken stays as it was known, so that the next sweep finds it.
    seen |= {name: known[name] for name in moved if known and name not in taken and name in known}
    if seen != known:
        state.objects.put(
            layout.refs_key(project.full_name), json.dumps(seen, sort_keys=True).encode(), "application/json"
        )
    return found


def _last_seen(state: State, project: Repository) -> dict[str, str] | None:
    """None where nobody has looked yet: what was there before a project was connected, nobody missed."""
    try:
        seen: dict[str, str] = json.loads(state.objects.get(layout.refs_key(project.full_name)))
    except ObjectMissingError:
        return None
    return seen


def _refs(state: State, project: Repository) -> dict[str, str]:
    token = state.secrets.get(host_token_name(project.full_name))
    return list_refs(host(project.host).fetch_address(project, token))


def _take(state: State, project: Repository, name: str, before: str | None, commit: str) -> bool:
    """Record the push unless it was told of; a webhook that comes late finds it recorded."""
    evidence = {"found_by": "sweep", "repository": project.full_name, "ref": name, "before": before, "after": commit}
    pushed = PushedRef(name, before, commit, pusher="", delivery="")

    def is_there() -> bool:
        return _refs(state, project).get(name) == commit

    push = record_found_push(
        state, project.full_name, pushed, json.dumps(evidence).encode(), datetime.now(UTC), is_there
    )
    if push is not None:
        logger.info("missed push", extra={"project": project.full_name, "ref": name, "push": push})
    return push is not None
