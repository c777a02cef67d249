"""How much a repository may store."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from trainyard.model.errors import QuotaExceeded
from trainyard.model.text import Text
from trainyard.store.layout import content_prefix
from trainyard.store.objects import Objects

# A push of many files is many batches in a row; without this each would list the repository again.
_KEPT_SECONDS = 60.0


@dataclass
class Quota:
    """Bytes that each repository may hold. Counted from what is stored, so the count cannot drift.

    Addresses that were handed out count for a minute in this process alone: two pushes at the same time may go over
    the limit together, the next one is refused.
    """

    objects: Objects
    limit: int
    """Bytes; 0: no limit."""
    _used: dict[str, tuple[float, int]] = field(default_factory=dict)

    def require_room(self, repository: str, size: int) -> None:
        """QuotaExceeded if `size` more bytes do not fit; otherwise they count as used from now on."""
        if not self.limit or not size:
            return
        counted_at, used = self._usage(repository)
        if used + size > self.limit:
            self._used.pop(repository, None)
            raise QuotaExceeded(
                Text(
                    en=f"{repository} holds {_gigabytes(used)} of at most {_gigabytes(self.limit)} GB and this push "
                    f"adds {_gigabytes(size)} GB. Remove large files that are not needed or ask the operator for more.",
                    zh=f"{repository} 已用 {_gigabytes(used)} GB，上限 {_gigabytes(self.limit)} GB，本次推送需要 "
                    f"{_gigabytes(size)} GB。请删除不需要的大文件，或联系管理员扩容。",
                )
            )
        self._used[repository] = (counted_at, used + size)

    def _usage(self, repository: str) -> tuple[float, int]:
        kept = self._used.get(repository)
        if kept is not None and time.monotonic() - kept[0] < _KEPT_SECONDS:
            return kept
        return time.monotonic(), sum(entry.size for entry in self.objects.find(content_prefix(repository)))


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.3g}"
