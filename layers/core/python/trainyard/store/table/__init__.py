"""The table: one row for each run, push, repository, ..., the document as JSON beside what is indexed.

A file for each kind of row, with its key, its reads and its writes; `rows.py` is what they have in common.

| row                | file            | pk begins with        | index `by_project` | index `active`         |
|--------------------|-----------------|-----------------------|--------------------|------------------------|
| run                | runs.py         | `RUN#`                | of a project       | `run`, then `ended`    |
| report             | reports.py      | `REPORT#`             |                    |                        |
| push               | pushes.py       | `PUSH#`               | of a repository    | `asked`                |
| ref                | refs.py         | `REF#`                | of a repository    |                        |
| check              | checks.py       | `CHECK#`              | of a project       | `asked`                |
| storage            | inspections.py  | `STORAGE#`            | of a repository    | `asked`                |
| repository, listed | repositories.py | `REPOSITORY#` `LISTED#`| of owner and reader| `project` if it is one |
| token              | tokens.py       | `TOKEN#`              | of a user          |                        |
| user, identity     | users.py        | `USER#` `IDENTITY#`   |                    |                        |
| session            | sessions.py     | `SESSION#`            | of a user          |                        |
| lock               | locks.py        | `LOCK#`               | of a repository    |                        |
| count, mark        | counters.py     | `COUNT#` `MARK#`      |                    |                        |

Rows with `expires` are removed by DynamoDB itself some time after it.
"""

from __future__ import annotations

from trainyard.store.table.asked import AskedRows, row_of
from trainyard.store.table.checks import CheckRows
from trainyard.store.table.counters import CounterRows
from trainyard.store.table.cursors import Page, wrong_cursor
from trainyard.store.table.inspections import InspectionRows
from trainyard.store.table.locks import LockRows
from trainyard.store.table.pushes import MAX_RUNS_PER_PUSH, PushRows, push_key
from trainyard.store.table.refs import RefRows
from trainyard.store.table.reports import ReportRows
from trainyard.store.table.repositories import RepositoryRows, cursor_behind
from trainyard.store.table.restored import PutBack, RestoredRows, is_put_back
from trainyard.store.table.rows import AlreadyThereError, TooManyConflictsError
from trainyard.store.table.runs import RunRows, deleted_project, run_key
from trainyard.store.table.sessions import SessionRows
from trainyard.store.table.tokens import TokenRows
from trainyard.store.table.users import UserRows

__all__ = [
    "MAX_RUNS_PER_PUSH",
    "AlreadyThereError",
    "Page",
    "PutBack",
    "Table",
    "TooManyConflictsError",
    "cursor_behind",
    "deleted_project",
    "is_put_back",
    "push_key",
    "row_of",
    "run_key",
    "wrong_cursor",
]


class Table(
    RunRows,
    ReportRows,
    PushRows,
    RefRows,
    AskedRows,
    CheckRows,
    InspectionRows,
    RepositoryRows,
    TokenRows,
    UserRows,
    SessionRows,
    LockRows,
    CounterRows,
    RestoredRows,
):
    """Every read and write of rows."""
