"""Gzip members, unfolded within bounds: a few kilobytes may stand for gigabytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

PIECE_BYTES = 1 << 20
"""Memory taken by what is unfolded at a time, however much a member unfolds to."""
_GZIP = 31


def reader() -> zlib._Decompress:
    """For the next member."""
    return zlib.decompressobj(_GZIP)


def unfolded(member: zlib._Decompress, packed: bytes) -> Iterator[bytes]:
    """What more bytes of a member hold, in pieces of at most `PIECE_BYTES`. zlib.error where they are damaged."""
    piece = member.decompress(packed, PIECE_BYTES)
    while piece or member.unconsumed_tail:
        if piece:
            yield piece
        piece = member.decompress(member.unconsumed_tail, PIECE_BYTES)
