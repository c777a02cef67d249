"""Identifiers: sortable by time, and reproducible where the same request may arrive twice."""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import datetime

# Crockford's base 32, lower case: no letter that is mistaken for a digit.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_CHARACTERS = 10
_RANDOM_CHARACTERS = 12
_RUN_ID = re.compile(rf"run-[{_ALPHABET}]{{{_TIME_CHARACTERS + _RANDOM_CHARACTERS}}}")


def new_run_id(at: datetime, seed: str | None = None) -> str:
    """An id for a training run: `run-` and 22 characters, sortable by `at` (milliseconds).

    With a `seed` (a push and the name of the run in its file) the same call gives the same id, so that an event
    delivered twice names the same run. It is a legal AWS Batch job name (<= 128) and ModelArts job name (<= 64).
    """
    milliseconds = int(at.timestamp() * 1000)
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8]) if seed else secrets.randbits(64)
    return f"run-{_encode(milliseconds, _TIME_CHARACTERS)}{_encode(number, _RANDOM_CHARACTERS)}"


def new_check_id() -> str:
    """An id that nobody can guess: whoever has it may read what was found."""
    return f"check-{secrets.token_hex(16)}"


def is_check_id(text: str) -> bool:
    return re.fullmatch(r"check-[0-9a-f]{32}", text) is not None


def is_run_id(text: str) -> bool:
    return _RUN_ID.fullmatch(text) is not None


def run_ids_in(text: str) -> list[str]:
    """Every id of a run that stands in `text`, once, in their order."""
    return list(dict.fromkeys(_RUN_ID.findall(text)))


def push_id(repository: str, ref: str, commit: str, delivery: str, number: int) -> str:
    """An id for a push: 32 hex digits. `number`: of pushes to the ref before it, as a commit may be pushed again."""
    parts = (repository, ref, commit, delivery, str(number))
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:32]


def _encode(number: int, characters: int) -> str:
    digits = []
    for _ in range(characters):
        number, digit = divmod(number, 32)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
