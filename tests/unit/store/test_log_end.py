"""Where a log ends, also where somebody made its last chunk to unfold without end."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainyard.store import State, layout
from trainyard.store.log_end import MOST_CHUNK_BYTES, log_end

RUN = "run-1"


def put(state: State, offset: int, packed: bytes) -> None:
    state.objects.put(layout.log_chunk_key(RUN, 1, offset), packed)


def test_no_log_ends_at_its_beginning(state: State) -> None:
    assert log_end(state.objects, RUN, 1) == 0


@given(st.integers(0, 3 << 20))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_ends_where_the_last_chunk_does(state: State, size: int) -> None:
    put(state, 0, gzip.compress(b"first", mtime=0))
    put(state, 5, gzip.compress(b"x" * size, 1))
    assert log_end(state.objects, RUN, 1) == 5 + size


def test_a_chunk_that_unfolds_without_end_takes_no_memory_and_is_refused(state: State) -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(2 * (MOST_CHUNK_BYTES >> 20))) + packer.flush()
    put(state, 0, bomb)
    assert len(bomb) < 1 << 20
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="unfolds to more than 64 MB"):
            log_end(state.objects, RUN, 1)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("damaged", [b"", b"no gzip", gzip.compress(b"x" * 100, mtime=0)[:-5]])
def test_what_is_no_chunk_is_refused(state: State, damaged: bytes) -> None:
    put(state, 0, damaged)
    with pytest.raises(ValueError, match=layout.log_chunk_key(RUN, 1, 0)):
        log_end(state.objects, RUN, 1)


def test_who_asks_again_is_told_of_what_came_since_also_after_a_removal(state: State) -> None:
    for number in range(3):
        put(state, 5 * number, gzip.compress(b"piece"))
        assert log_end(state.objects, RUN, 1) == 5 * number + 5
        assert log_end(state.objects, RUN, 1) == 5 * number + 5
    state.objects.delete([layout.log_chunk_key(RUN, 1, 10)])
    assert log_end(state.objects, RUN, 1) == 10
    state.objects.delete_prefix(f"runs/{RUN}/")
    assert log_end(state.objects, RUN, 1) == 0
