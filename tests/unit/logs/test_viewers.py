"""Many viewers of one log, and logs that no one would print on purpose."""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor

import pytest

from trainyard.logs import viewers
from trainyard.logs.index import index_run
from trainyard.logs.live import read_log, tail
from trainyard.logs.viewers import shared_page
from trainyard.store import layout
from trainyard.store.objects import Objects

RUN = "run-0123456789abcdefghjkmn"


@pytest.fixture
def calls(objects, monkeypatch) -> list[str]:
    """Every call that reaches S3, by its operation."""
    made: list[str] = []
    objects._s3.meta.events.register("before-call.s3", lambda model, **_: made.append(model.name))
    monkeypatch.setattr(viewers, "KEPT_SECONDS", 30.0)
    return made


@pytest.fixture(autouse=True)
def nothing_known() -> None:
    viewers._pages.clear()
    viewers._reading.clear()


def test_fifty_viewers_cost_what_one_costs(objects: Objects, ship, calls: list[str]) -> None:
    ship(b"line\n" * 200, size=100)
    calls.clear()
    read_log(objects, RUN, 0, 500)
    one = list(calls)
    calls.clear()
    with ThreadPoolExecutor(10) as pool:
        pages = list(pool.map(lambda _: shared_page(objects, RUN, 0, 500), range(50)))
    assert sorted(calls) == sorted(one)
    assert {page.text for page in pages} == {"line\n" * 100}


def test_a_page_is_shared_for_a_moment_only(objects: Objects, ship, monkeypatch) -> None:
    monkeypatch.setattr(viewers, "KEPT_SECONDS", 0.0)
    ship(b"first\n")
    assert shared_page(objects, RUN, 0, 500).text == "first\n"
    ship(b"first\nsecond\n")
    assert shared_page(objects, RUN, 0, 500).text == "first\nsecond\n"


def test_what_was_read_is_not_kept_once_the_log_has_ended(objects: Objects, ship, calls: list[str]) -> None:
    ship(b"all\n")
    index_run(objects, RUN)
    assert shared_page(objects, RUN, 0, 500).end
    assert viewers._pages == {}
    assert viewers._reading == {}


@pytest.mark.parametrize("indexed", [False, True])
def test_a_line_of_fifty_megabytes_without_an_end(objects: Objects, ship, indexed: bool) -> None:
    log = b"before\n" + b"x" * (50 << 20) + b"\nepoch: 1 step: 1, loss is 0.5\nlast words"
    ship(log, size=4 << 20)
    if indexed:
        assert index_run(objects, RUN).lines == 4
        assert gzip.decompress(objects.get(layout.log_key(RUN))) == log
        assert b'"loss"' in objects.get(layout.metrics_key(RUN))
    page = read_log(objects, RUN, 30 << 20, 1000)
    assert (page.text, page.next_offset) == ("x" * 1000, (30 << 20) + 1000)
    assert tail(objects, RUN, 2).text.endswith("epoch: 1 step: 1, loss is 0.5\nlast words")
