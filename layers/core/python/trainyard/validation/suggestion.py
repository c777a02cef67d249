"""The known word that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST = 80


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The nearest of `known`, or None where nothing is near. Upper and lower case, - and _ count as the same."""
    if len(word) > _LONGEST:
        return None
    by_plain = {_plain(candidate): candidate for candidate in known}
    found = get_close_matches(_plain(word), by_plain, n=1, cutoff=cutoff)
    return by_plain[found[0]] if found else None


def _plain(word: str) -> str:
    return word.lower().replace("-", "_")
