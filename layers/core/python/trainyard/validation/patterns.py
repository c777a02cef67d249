"""Shell patterns for branches, tags and paths: `*` stays within a folder, `**` crosses slashes."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from functools import lru_cache

MAX_LENGTH = 500
_MAX_MIXED = 3


def any_matches(patterns: Iterable[str], name: str) -> bool:
    return any(matches(pattern, name) for pattern in patterns)


def matches(pattern: str, name: str) -> bool:
    """Whether `name` fits `pattern`. In time linear in both but for a small factor, however hostile they are."""
    if len(pattern) > MAX_LENGTH:
        return False
    segments = name.split("/")
    return any(_fits(alternative, segments) for alternative in _alternatives(pattern))


@lru_cache(maxsize=512)
def _alternatives(pattern: str) -> tuple[tuple[re.Pattern[str] | None, ...], ...]:
    """The pattern by segments; None stands for `**`. `a**b` is `a*b` or `a*/**/*b`."""
    spellings = [pattern.removeprefix("/")]
    for _ in range(_MAX_MIXED):
        spellings = [written for spelling in spellings for written in _split_mixed(spelling)]
    return tuple(
        tuple(None if part == "**" else re.compile(fnmatch.translate(part)) for part in spelling.split("/"))
        for spelling in dict.fromkeys(spellings)
    )


def _split_mixed(spelling: str) -> list[str]:
    parts = spelling.split("/")
    for index, part in enumerate(parts):
        if "**" in part and part != "**":
            before, _, after = part.partition("**")
            within = "/".join([*parts[:index], f"{before}*{after}", *parts[index + 1 :]])
            across = "/".join([*parts[:index], f"{before}*", "**", f"*{after}", *parts[index + 1 :]])
            return [within, across]
    return [spelling]


def _fits(parts: tuple[re.Pattern[str] | None, ...], segments: list[str]) -> bool:
    # reachable[i]: the parts so far fit the first i segments.
    reachable = [True] + [False] * len(segments)
    for part in parts:
        following = [False] * len(reachable)
        if part is None:
            seen = False
            for index, reached in enumerate(reachable):
                seen = seen or reached
                following[index] = seen
        else:
            for index, segment in enumerate(segments):
                following[index + 1] = reachable[index] and part.match(segment) is not None
        reachable = following
    return reachable[-1]
