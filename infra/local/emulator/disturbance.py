"""Errors on purpose: a share of the functions' AWS calls fails, half of them before they took effect and half after."""

from __future__ import annotations

import random

SERVICES = frozenset({"dynamodb", "s3", "events", "ssm"})
"""Whose calls may fail."""


class Disturbance:
    """`share` of the calls, from 0 to 1; none until it is set."""

    def __init__(self, seed: int = 0) -> None:
        self.share = 0.0
        self.before = 0
        """Calls that were refused so far."""
        self.after = 0
        """Calls that took effect and were answered by an error all the same."""
        self._chance = random.Random(seed)  # noqa: S311 - nothing is hidden by it

    def strikes(self, caller: str, service: str) -> str:
        """What is to become of a call: "before", "after", or "" for nothing. `caller`: "(outside)" is left alone."""
        if caller == "(outside)" or service not in SERVICES or self._chance.random() >= self.share:
            return ""
        moment = self._chance.choice(("before", "after"))
        setattr(self, moment, getattr(self, moment) + 1)
        return moment
