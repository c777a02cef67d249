"""Many viewers of one log, and logs that no one would print on purpose."""

from __future__ import annotations

import gzip
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from trainyard.logs import viewers
from trainyard.logs.index import index_run
from trainyard.logs.live import read_log, tail
from trainyard.logs.viewers import shared_page
from trainyard.store import layout
from trainyard.store.objects import Objects

RUN = "run-0123456789abcdefghjkmn"


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch) -> None:
    viewers.forget()
    monkeypatch.setattr(viewers, "KEPT_SECONDS", 30.0)


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


def test_who_stands_elsewhere_in_the_log_costs_nothing_either(objects: Objects, ship, calls: list[str]) -> None:
    """Nobody looks at the same moment as another, so everybody asks for another offset."""
    log = b"".join(b"line %5d\n" % number for number in range(30_000))
    ship(log, size=5000)
    calls.clear()
    shared_page(objects, RUN, len(log) - 20_000, 65536)
    one = list(calls)
    for behind in range(0, 20_000, 500):
        start = len(log) - behind
        assert shared_page(objects, RUN, start, 65536).text == log[start:].decode()
    # Which attempts there are is one list; where a chunk is looked for goes by steps, of which two are touched here.
    assert (one.count("ListObjectsV2"), one.count("GetObject")) == (1 + 1, 1 + 4)
    assert calls[len(one) :] == ["ListObjectsV2"]


def test_what_was_read_is_not_read_again_while_the_log_grows(objects: Objects, ship, calls, monkeypatch) -> None:
    monkeypatch.setattr(viewers, "KEPT_SECONDS", 0.0)
    offset, printed = 0, b""
    for number in range(20):
        printed += b"line %d\n" % number
        member = zlib.compressobj(6, zlib.DEFLATED, 31)
        chunk = member.compress(printed[offset:]) + member.flush()
        objects.put(layout.log_chunk_key(RUN, 1, offset), chunk)
        calls.clear()
        page = shared_page(objects, RUN, offset, 65536)
        assert page.text.encode() == printed[offset:]
        assert calls.count("GetObject") == 2, "the new chunk, and whether there is an index"
        offset = page.next_offset
        calls.clear()
        assert shared_page(objects, RUN, offset, 65536).text == ""
        assert calls.count("GetObject") == 1, "whether there is an index"


def test_a_page_is_shared_for_a_moment_only(objects: Objects, ship, monkeypatch) -> None:
    monkeypatch.setattr(viewers, "KEPT_SECONDS", 0.0)
    ship(b"first\n", size=6)
    assert shared_page(objects, RUN, 0, 500).text == "first\n"
    ship(b"first\nsecond\n", size=6)
    assert shared_page(objects, RUN, 0, 500).text == "first\nsecond\n"


def test_what_is_kept_has_a_limit(objects: Objects, ship, monkeypatch) -> None:
    monkeypatch.setattr(viewers, "_MOST_BYTES", 10_000)
    ship(b"line\n" * 2000, size=100)
    for offset in range(0, 10_000, 1000):
        assert len(shared_page(objects, RUN, offset, 1000).text) == 1000
    assert viewers._shared._bytes <= 10_000
    assert len(viewers._shared._values) <= 50
    assert viewers._shared._making.keys() == viewers._shared._values.keys()


def test_the_end_is_seen(objects: Objects, ship, monkeypatch) -> None:
    monkeypatch.setattr(viewers, "KEPT_SECONDS", 0.0)
    ship(b"all\n")
    assert not shared_page(objects, RUN, 0, 500).end
    index_run(objects, RUN)
    assert shared_page(objects, RUN, 0, 500).end


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
