"""How far an attempt's log is stored, where others go on with it than the runner that keeps count."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from trainyard.store import layout
from trainyard.store.gzip_members import reader, unfolded
from trainyard.store.objects import Objects, StoredObject

MOST_CHUNK_BYTES = 64 << 20
"""Of one chunk, unfolded. Whoever writes one holds it in memory; the largest that is written has 5 MB."""


# Bucket and prefix of a log -> where its last chunk begins, as far as this process knows.
_last_seen: dict[tuple[str, str], int] = {}
_MOST_SEEN = 1000


def log_end(objects: Objects, run_id: str, attempt: int) -> int:
    """Up to which byte the log is stored. ValueError where the last chunk is none that we wrote.

    Whoever asks again and again lists only what has been stored since, and not tens of thousands of chunks.
    """
    prefix = layout.log_chunk_prefix(run_id, attempt)
    place = (objects.bucket, prefix)
    known = _last_seen.get(place, 0)
    start = layout.log_chunk_key(run_id, attempt, known - 1) if known else None
    last = _last(objects.find(prefix, start_after=start)) or _last(objects.find(prefix) if known else ())
    if last is None:
        return 0
    if len(_last_seen) >= _MOST_SEEN:
        _last_seen.clear()
    _last_seen[place] = layout.log_chunk_offset(last.key)
    return layout.log_chunk_offset(last.key) + _unfolded_size(objects, last.key)


def _last(entries: Iterable[StoredObject]) -> StoredObject | None:
    last = None
    for last in entries:  # noqa: B007
        pass
    return last


def _unfolded_size(objects: Objects, key: str) -> int:
    size = 0
    try:
        for piece in _unfolded(objects, key):
            size += len(piece)
            if size > MOST_CHUNK_BYTES:
                raise ValueError(f"{key} unfolds to more than {MOST_CHUNK_BYTES >> 20} MB")
    except zlib.error as error:
        raise ValueError(f"{key} is no chunk of a log: {error}") from error
    return size


def _unfolded(objects: Objects, key: str) -> Iterator[bytes]:
    """In pieces, so that no more than one is ever held."""
    member = reader()
    for packed in objects.stream(key):
        yield from unfolded(member, packed)
    if not member.eof:
        raise zlib.error("it is cut off")
