from __future__ import annotations

import gzip

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainyard.logs.index import index_run
from trainyard.logs.live import read_lines, read_log, tail
from trainyard.store import layout

RUN = "run-0123456789abcdefghjkmn"
LINES = [f"line {number} 你好\n" for number in range(1, 61)]
LOG = "".join(LINES).encode()


def _read_all(objects, limit: int, attempt: int | None = None) -> str:
    text, offset = "", 0
    for _ in range(10000):
        page = read_log(objects, RUN, offset, limit, attempt)
        text += page.text
        if page.end or page.next_offset == offset:
            return text
        offset = page.next_offset
    raise AssertionError("does not end")


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize("limit", [64, 1000, 65536])
def test_pages_give_the_whole_log_whatever_their_size(objects, ship, indexed, limit):
    ship(LOG, size=113)
    if indexed:
        index_run(objects, RUN)
    assert _read_all(objects, limit) == LOG.decode()


def test_a_live_reader_gets_only_what_is_new(objects, ship):
    ship(LOG[:500], size=50)
    first = read_log(objects, RUN)
    assert (first.offset, first.next_offset, first.end) == (0, 500, False)
    nothing = read_log(objects, RUN, first.next_offset)
    assert (nothing.text, nothing.next_offset, nothing.end) == ("", 500, False)
    ship(LOG[:600], size=50)
    assert read_log(objects, RUN, first.next_offset).text == LOG[500:600].decode(errors="ignore")


def test_a_run_without_any_log(objects):
    assert read_log(objects, RUN).text == ""
    assert tail(objects, RUN, 5).text == ""
    summary = index_run(objects, RUN)
    assert (summary.lines, summary.bytes, summary.failure, summary.metrics_groups) == (0, 0, None, 0)
    page = read_log(objects, RUN)
    assert (page.text, page.end) == ("", True)
    assert gzip.decompress(objects.get(layout.log_key(RUN))) == b""
    assert read_lines(objects, RUN, 1, 10).text == ""


@pytest.mark.parametrize("indexed", [False, True])
def test_offsets_go_on_over_attempts_and_attempts_can_be_read_alone(objects, ship, indexed):
    first, second, tenth = b"first\n" * 40, b"second\n" * 40, b"tenth\n" * 40
    ship(first, size=16)
    ship(second, size=16, attempt=2)
    ship(tenth, size=16, attempt=10)
    if indexed:
        index_run(objects, RUN)
    assert read_log(objects, RUN, len(first)).text.startswith("second\n")
    assert _read_all(objects, 50, attempt=2) == second.decode()
    page = read_log(objects, RUN, len(first) + len(second))
    assert page.text == tenth.decode()
    assert tail(objects, RUN, 2).text == "tenth\ntenth\n"
    assert tail(objects, RUN, 2).next_offset == len(first + second + tenth)


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize(("first", "count"), [(1, 1), (1, 60), (57, 3), (59, 10), (60, 1), (61, 5), (0, 2)])
def test_lines_by_number(objects, ship, indexed, first, count):
    ship(LOG, size=91)
    if indexed:
        index_run(objects, RUN)
    start = max(first, 1) - 1
    assert read_lines(objects, RUN, first, count).text == "".join(LINES[start : start + count])


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize("ending", ["", "no newline at the end"])
def test_tail(objects, ship, indexed, ending):
    ship(LOG + ending.encode(), size=91)
    if indexed:
        index_run(objects, RUN)
    assert tail(objects, RUN, 3).text == "".join([*LINES, ending][-3:] if ending else LINES[-3:])
    assert tail(objects, RUN, 10**6).text == LOG.decode() + ending


def test_a_chunk_longer_than_the_look_back_is_found_live(objects, ship):
    log = b"".join(b"%07d\n" % number for number in range(400_000))
    ship(log, size=3_000_000)
    assert read_log(objects, RUN, 2_900_000, 8).text == "0362500\n"
    assert read_log(objects, RUN, 3_100_000, 8).text == "0387500\n"
    assert read_log(objects, RUN, len(log)).text == ""


def test_a_page_of_an_indexed_log_is_one_short_read(objects, ship):
    log = b"".join(b"%07d\n" % number for number in range(400_000))
    ship(log, size=100_000)
    index_run(objects, RUN)
    reads = []
    whole = objects.get_range
    objects.get_range = lambda key, start, end: reads.append(end - start) or whole(key, start, end)
    try:
        assert read_lines(objects, RUN, 300_001, 2).text == "0300000\n0300001\n"
        assert read_log(objects, RUN, 8 * 390_000, 8).text == "0390000\n"
    finally:
        del objects.get_range
    packed = objects.size(layout.log_key(RUN))
    assert len(reads) == 2
    assert all(size < packed / 4 for size in reads)


@given(log=st.binary(max_size=300), size=st.integers(20, 90), limit=st.integers(30, 100), indexed=st.booleans())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_lose_nothing(objects, ship, log, size, limit, indexed):
    objects.delete_prefix("runs/")
    ship(log, size=size)
    if indexed:
        index_run(objects, RUN)
        assert gzip.decompress(objects.get(layout.log_key(RUN))) == log
    offset = 0
    for _ in range(len(log) + 2):
        page = read_log(objects, RUN, offset, limit)
        assert page.offset == offset
        if page.next_offset == offset:
            break
        offset = page.next_offset
    assert len(log) - offset <= (0 if indexed else 3)
