"""How far an attempt's log is stored, where others go on with it than the runner that keeps count."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from trainyard.store import layout
from trainyard.store.gzip_members import reader, unfolded
from trainyard.store.objects import Objects

MOST_CHUNK_BYTES = 64 << 20
"""Of one chunk, unfolded. Whoever writes one holds it in memory; the largest that is written has 5 MB."""


def log_end(objects: Objects, run_id: str, attempt: int) -> int:
    """Up to which byte the log is stored. ValueError where the last chunk is none that we wrote."""
    last = None
    for last in objects.find(layout.log_chunk_prefix(run_id, attempt)):  # noqa: B007
        pass
    return 0 if last is None else layout.log_chunk_offset(last.key) + _unfolded_size(objects, last.key)


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
