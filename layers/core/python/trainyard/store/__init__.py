"""Where state lives: one table, one bucket, SSM parameters. AWS is the only implementation.

`state()` is what functions use: the three of them wired from the environment, on first use.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from trainyard.model.settings import settings
from trainyard.store.bus import Bus
from trainyard.store.objects import Objects
from trainyard.store.secrets import Secrets
from trainyard.store.table import Table


@dataclass(frozen=True)
class State:
    table: Table
    objects: Objects
    secrets: Secrets
    bus: Bus


@cache
def state() -> State:
    """This process's state, as its environment says."""
    known = settings()
    return State(Table(known.table), Objects(known.bucket), Secrets(known.secrets_prefix), Bus(known.bus))
