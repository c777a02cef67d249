"""How a request finds what answers it, below a repository's `info/lfs/`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from trainyard.lfs.authorisation import Caller
from trainyard.lfs.quota import Quota
from trainyard.lfs.wire import Request
from trainyard.store import State


@dataclass(frozen=True)
class Call:
    """One request of somebody who may at least read the repository."""

    request: Request
    caller: Caller
    state: State
    quota: Quota
    place: dict[str, str]
    """The variable parts of the path."""


Act = Callable[[Call], dict[str, Any]]


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    pattern: re.Pattern[str]
    act: Act


ROUTES: list[Route] = []


def route(method: str, path: str) -> Callable[[Act], Act]:
    """Register the function below as what happens at `method path`."""
    pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))

    def register(act: Act) -> Act:
        ROUTES.append(Route(method, path, pattern, act))
        return act

    return register
