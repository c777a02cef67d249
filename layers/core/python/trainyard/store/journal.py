"""The journal: every change of a row, kept as objects. From it the table can be made again, row for row.

The table's stream is cut into batches by time; each becomes one object of JSON lines under `journal/`, named by its
first record. A batch that is delivered twice, or cut differently the second time, only repeats entries.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from trainyard.store import layout
from trainyard.store.objects import Objects
from trainyard.store.table import PutBack, Table

Item = dict[str, Any]
"""A row in DynamoDB's own notation, `{"pk": {"S": ...}, ...}`."""
# A stream keeps its records for a day, so an object may hold a record that is so much younger than its first.
_LONGEST_BATCH = timedelta(days=1)


@dataclass(frozen=True)
class Entry:
    """One change of one row."""

    pk: str
    sequence: int
    """Rises with every change of the same row."""
    at: datetime
    row: Item | None
    """As it was afterwards; None where it was removed."""
    before: str
    """Digest of the row before; empty where there was none."""


@dataclass
class Replayed:
    """What came of a replay, in rows."""

    outcomes: dict[PutBack, int] = field(default_factory=lambda: defaultdict(int))
    rows: set[str] = field(default_factory=set)
    """The keys of all rows that the journal knows, removed ones included."""


def keep(objects: Objects, records: Sequence[dict[str, Any]]) -> str:
    """Store a batch of the stream; returns its key. The same batch again writes the same object."""
    lines = [json.dumps(_line(record), separators=(",", ":")) for record in records]
    key = layout.journal_key(_time_of(records[0]), records[0]["eventID"])
    objects.put(key, gzip.compress("\n".join(lines).encode(), mtime=0), "application/gzip")
    return key


def entries(objects: Objects, since: datetime, until: datetime) -> Iterator[Entry]:
    """All changes of that time; those of one row may come out of order, and twice."""
    for stored in objects.find(layout.JOURNAL, start_after=layout.journal_key(since - _LONGEST_BATCH, "")):
        if stored.key > layout.journal_key(until, "~"):
            return
        for line in gzip.decompress(objects.get(stored.key)).splitlines():
            entry = _entry(json.loads(line))
            if since <= entry.at <= until:
                yield entry


def replay(objects: Objects, table: Table, since: datetime, until: datetime, *, write: bool = True) -> Replayed:
    """Bring every row to what it was last in that time.

    A row that is neither absent nor what it once was in that time has been changed since, and is left alone. Rows
    whose own time has run out are not put back. What is written says of itself that it is no news (`Table.put_back`).

    The journal is read twice, so that only keys and digests have to be remembered.
    """
    last: dict[str, int] = {}
    former: dict[str, set[str]] = defaultdict(set)
    for entry in entries(objects, since, until):
        last[entry.pk] = max(entry.sequence, last.get(entry.pk, 0))
        former[entry.pk] |= {entry.before, digest(entry.row)}
    done = Replayed(rows=set(last))
    now = int(datetime.now(UTC).timestamp())
    for entry in entries(objects, since, until):
        if last.get(entry.pk) != entry.sequence:
            continue
        del last[entry.pk]
        row = None if entry.row is None or _has_expired(entry.row, now) else entry.row
        known = former.pop(entry.pk)
        outcome = table.put_back(entry.pk, row, lambda item, known=known: digest(item) in known, write=write)  # type: ignore[misc]
        done.outcomes[outcome] += 1
    return done


def digest(row: Item | None) -> str:
    """The same for the same row, whether it was written by a function or put back; empty for none."""
    if row is None:
        return ""
    text = json.dumps(Table.without_mark(row), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _line(record: dict[str, Any]) -> dict[str, Any]:
    change = record["dynamodb"]
    return {
        "pk": change["Keys"]["pk"]["S"],
        "sequence": int(change["SequenceNumber"]),
        "at": _time_of(record).isoformat(),
        "row": Table.without_mark(change["NewImage"]) if "NewImage" in change else None,
        "before": digest(change.get("OldImage")),
    }


def _entry(line: dict[str, Any]) -> Entry:
    return Entry(line["pk"], line["sequence"], datetime.fromisoformat(line["at"]), line["row"], line["before"])


def _time_of(record: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(float(record["dynamodb"]["ApproximateCreationDateTime"]), UTC)


def _has_expired(row: Item, now: int) -> bool:
    return "expires" in row and int(row["expires"]["N"]) < now
