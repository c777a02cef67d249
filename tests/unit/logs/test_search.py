from __future__ import annotations

import pytest

from trainyard.logs.index import index_run
from trainyard.logs.search import Query, RunPage, one_run, search
from trainyard.model.errors import InvalidInput

RUN = "run-0123456789abcdefghjkmn"
OTHER = "run-1123456789abcdefghjkmn"
LINES = [
    "2026-01-31 12:00:00 INFO start of training",
    "epoch: 1 step: 44, loss is 0.5",
    "2026-01-31 12:00:05 WARNING Learning rate is high",
    "2026-01-31T12:00:09Z epoch: 2 step: 44, LOSS is nan",
    "ValueError: loss is NAN or INF",
    "last words without a line break, 失败",
]


@pytest.fixture(params=[False, True], ids=["live", "indexed"])
def runs(request, objects, ship):
    ship("\n".join(LINES).encode(), size=37)
    ship(b"other loss\n" * 3, size=20, run_id=OTHER)
    if request.param:
        index_run(objects, RUN)
        index_run(objects, OTHER)
    return objects


def _lines(objects, **query) -> list[int]:
    found = search(objects, one_run(RUN), Query(**query))
    assert found.cursor is None
    assert all(hit.text == LINES[hit.line - 1] for hit in found.hits)
    return [hit.line for hit in found.hits]


@pytest.mark.parametrize(
    ("query", "lines"),
    [
        ({"text": "loss"}, [2, 4, 5]),
        ({"text": "失败"}, [6]),
        ({"text": "a.b*"}, []),
        ({"regex": r"step: \d+, loss"}, [2]),
        ({"regex": r"(?i)loss is nan$"}, [4]),
        ({"regex": "^epoch"}, [2]),
        ({"regex": ""}, [1, 2, 3, 4, 5, 6]),
        ({"level": "error"}, [5]),
        ({"level": "warning"}, [3, 5]),
        ({"level": "info"}, [1, 3, 5]),
        ({"text": "loss", "level": "error"}, [5]),
        ({"text": "is", "regex": "nan|high"}, [3, 4]),
        ({"since": "2026-01-31T12:00:05"}, [3, 4, 5, 6]),
        ({"until": "2026-01-31 12:00:04"}, [1, 2]),
        ({"since": "2026-01-31", "until": "2026-01-31", "text": "loss"}, [2, 4, 5]),
        ({"since": "2026-02-01"}, []),
    ],
)
def test_what_is_found(runs, query, lines):
    assert _lines(runs, **query) == lines


@pytest.mark.parametrize("limit", [1, 100])
@pytest.mark.parametrize("budget", [(1 << 20) + 1, 1 << 21])
def test_going_on_from_the_cursor_finds_everything_once(runs, limit, budget):
    hits, cursor = [], None
    for _ in range(50):
        found = search(runs, lambda _: RunPage([RUN, OTHER], None), Query(text="loss"), cursor, limit, budget)
        assert len(found.hits) <= limit
        hits += found.hits
        cursor = found.cursor
        if cursor is None:
            break
    assert [(hit.run_id, hit.line) for hit in hits] == [
        (RUN, 2),
        (RUN, 4),
        (RUN, 5),
        (OTHER, 1),
        (OTHER, 2),
        (OTHER, 3),
    ]
    assert hits[-1].offset == 22


@pytest.mark.parametrize("regex", ["(", "(?=x)", r"(a)\1", "a" * 501, "(((a{1,900}){1,900}){1,900})"])
def test_an_expression_that_cannot_be_used_is_a_clear_error(objects, regex):
    with pytest.raises(InvalidInput) as error:
        search(objects, one_run(RUN), Query(regex=regex))
    assert "RE2" in error.value.message.zh


@pytest.mark.parametrize("cursor", ["x", "bnVsbA==", "WzEsMl0=", "WzksMCwxLCIiXQ==", "WzEsMiwwLDEsIiJd", "ÿ"])
def test_a_foreign_cursor_is_a_clear_error(objects, cursor):
    with pytest.raises(InvalidInput):
        search(objects, one_run(RUN), Query(text="x"), cursor)


def test_a_time_that_is_none_is_a_clear_error(objects):
    with pytest.raises(InvalidInput):
        search(objects, one_run(RUN), Query(since="yesterday"))


def test_an_expression_that_hangs_other_engines_does_not_hang(objects, ship):
    ship(b"a" * 100_000 + b"!\n", size=50_000)
    assert search(objects, one_run(RUN), Query(regex="^(a+)+$")).hits == []


def test_a_long_line_is_shown_cut(objects, ship):
    ship(b"x" * 3_000_000 + b" needle\n" + b"after\n", size=1 << 20)
    (hit,) = search(objects, one_run(RUN), Query(text="needle")).hits
    assert (hit.line, len(hit.text)) == (1, 1000)
    assert search(objects, one_run(RUN), Query(text="after")).hits[0].line == 2


def _listing(*pages):
    """A project's runs, newest first, in pages."""
    return lambda cursor: RunPage(pages[int(cursor or 0)], str(int(cursor or 0) + 1) if cursor != "1" else None)


def test_a_project_is_searched_page_by_page_while_its_list_changes(objects, ship):
    a, b, c, new = "run-c", "run-b", "run-a", "run-d"
    for run_id in (a, b, c, new):
        ship(f"needle in {run_id}\n".encode() * 2, run_id=run_id)
    first = search(objects, _listing([a, b], [c]), Query(text="needle"), None, limit=3)
    assert [hit.run_id for hit in first.hits] == [a, a, b]
    # Meanwhile a new run began and the one that the cursor stands in was deleted.
    rest = search(objects, _listing([new, a], [c]), Query(text="needle"), first.cursor)
    assert ([hit.run_id for hit in rest.hits], rest.cursor) == ([c, c], None)


def test_many_short_logs_are_bounded_too(objects, ship):
    ids = [f"run-{number}" for number in range(9, 0, -1)]
    for run_id in ids:
        ship(b"nothing\n", run_id=run_id)
    found, calls = search(objects, _listing(ids, []), Query(text="x"), None, budget=4 << 20), 1
    while found.cursor:
        found = search(objects, _listing(ids, []), Query(text="x"), found.cursor, budget=4 << 20)
        calls += 1
    assert calls > 2
