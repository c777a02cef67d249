"""The small text that git keeps in place of a Git LFS object. https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_BYTES = 1024
PREFIX = b"version https://git-lfs.github.com/spec/v1\n"
_OID = re.compile(r"^oid sha256:([0-9a-f]{64})$", re.MULTILINE)
_SIZE = re.compile(r"^size ([0-9]{1,15})$", re.MULTILINE)


@dataclass(frozen=True)
class Pointer:
    sha256: str
    size: int


def read_pointer(data: bytes) -> Pointer | None:
    """The pointer in a blob; None if the blob is anything else."""
    if len(data) >= MAX_BYTES or not data.startswith(PREFIX):
        return None
    text = data.decode(errors="replace")
    oid, size = _OID.search(text), _SIZE.search(text)
    return Pointer(oid[1], int(size[1])) if oid and size else None
