from __future__ import annotations

import gzip
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trainyard.logs import left
from trainyard.logs.index import index_run
from trainyard.logs.live import load_index, read_lines, read_log
from trainyard.logs.series import SeriesArchive
from trainyard.model.metric import Metrics
from trainyard.model.result import AttemptResult, Ending
from trainyard.store import layout

RUN = "run-0123456789abcdefghjkmn"
TRAINING = b"".join(
    b"epoch: %d step: 44, loss is %f\nval accuracy: %f\n" % (epoch, 1 / epoch, 1 - 1 / epoch) for epoch in range(1, 11)
)


def _result(objects, ending: Ending, exit_code: int | None = None, signal: int | None = None) -> None:
    result = AttemptResult(
        run_id=RUN,
        attempt=1,
        ending=ending,
        exit_code=exit_code,
        signal=signal,
        finished_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    objects.put(layout.result_key(RUN, 1), result.model_dump_json().encode())


def test_one_pass_leaves_log_index_and_metrics_and_may_be_repeated(objects, ship):
    ship(TRAINING, size=64)
    first = index_run(objects, RUN)
    left = {entry.key: objects.get(entry.key) for entry in objects.find("runs/")}
    assert index_run(objects, RUN) == first
    assert {entry.key: objects.get(entry.key) for entry in objects.find("runs/")} == left
    assert (first.lines, first.bytes, first.metrics_groups, first.failure) == (20, len(TRAINING), 1, None)
    assert gzip.decompress(left[layout.log_key(RUN)]) == TRAINING
    metrics = Metrics.from_json(left[layout.metrics_key(RUN)])
    assert [point.value for point in metrics.groups[0].series["loss"]][-1] == 0.1
    assert [point.epoch for point in metrics.groups[0].series["val_accuracy"]] == list(range(1, 11))


def test_members_are_taken_over_as_they_are(objects, ship):
    ship(TRAINING, size=64)
    index_run(objects, RUN)
    chunks = [objects.get(entry.key) for entry in objects.find(layout.log_chunk_prefix(RUN, 1))]
    assert objects.get(layout.log_key(RUN)) == b"".join(chunks)


def test_an_attempt_begins_on_a_line_of_its_own(objects, ship):
    ship(b"killed in the midd", attempt=1)
    ship(b"again\n", attempt=2)
    assert index_run(objects, RUN).lines == 2
    assert read_log(objects, RUN).text == "killed in the midd\nagain\n"
    assert read_lines(objects, RUN, 2, 1).text == "again\n"


def test_a_damaged_chunk_costs_only_itself(objects, ship):
    ship(b"a" * 100 + b"\n" + b"b" * 100 + b"\n" + b"c" * 100 + b"\n", size=101)
    objects.put(layout.log_chunk_key(RUN, 1, 101), b"\x1f\x8bnot gzip")
    index_run(objects, RUN)
    log = gzip.decompress(objects.get(layout.log_key(RUN)))
    assert log.startswith(b"a" * 100)
    assert b"damaged" in log
    assert log.endswith(b"c" * 100 + b"\n")


def test_a_chunk_shipped_twice_under_two_offsets_counts_once(objects, ship):
    ship(b"0123456789", size=10)
    overlap = zlib.compressobj(6, zlib.DEFLATED, 31)
    objects.put(layout.log_chunk_key(RUN, 1, 5), overlap.compress(b"56789abc") + overlap.flush())
    index_run(objects, RUN)
    assert read_log(objects, RUN).text == "0123456789abc"


def test_a_huge_member_is_split_so_that_a_page_stays_short(objects, ship):
    log = b"x" * (9 << 20) + b"\nloss: 0.5\n"
    ship(log, size=len(log))
    summary = index_run(objects, RUN)
    assert summary.lines == 2
    assert len(load_index(objects, RUN).entries) >= 9
    assert read_lines(objects, RUN, 2, 1).text == "loss: 0.5\n"
    assert gzip.decompress(objects.get(layout.log_key(RUN))) == log


def test_the_reason_is_found_and_a_handled_exception_of_a_good_run_is_none(objects, ship):
    ship(b'Traceback (most recent call last):\n  File "/job/code/train.py", line 7, in <module>\nValueError: too bad\n')
    _result(objects, Ending.SCRIPT_FAILED, exit_code=1)
    failure = index_run(objects, RUN).failure
    assert failure is not None
    assert (failure.kind, failure.file, failure.line) == ("script", "/job/code/train.py", 7)
    assert failure.message.en == "ValueError: too bad"
    _result(objects, Ending.SUCCEEDED, exit_code=0)
    assert index_run(objects, RUN).failure is None


def test_killed_without_a_word(objects, ship):
    ship(b"epoch: 1 step: 1, loss is 0.1\n")
    _result(objects, Ending.SCRIPT_FAILED, signal=9)
    failure = index_run(objects, RUN).failure
    assert failure is not None
    assert failure.kind == "killed"
    assert failure.last_lines == ["epoch: 1 step: 1, loss is 0.1"]


def test_metrics_files_among_the_outputs_count_and_checkpoints_are_left_alone(objects, ship):
    ship(TRAINING)
    objects.put(layout.output_prefix(RUN) + "sub/metrics.jsonl", b'{"epoch": 1, "f1": 0.5}\n')
    objects.put(layout.output_prefix(RUN) + "lenet-1_44.ckpt", b"\0" * 1000)
    index_run(objects, RUN)
    (group,) = Metrics.from_json(objects.get(layout.metrics_key(RUN))).groups
    assert set(group.series) == {"loss", "val_accuracy", "f1"}


def test_what_was_tracked_with_aim_counts(objects, ship):
    pytest.importorskip("aimrocks")
    repository = Path(__file__).parents[2] / "data" / "aim"
    ship(b"no metrics here\n")
    for path in repository.rglob("*"):
        if path.is_file():
            objects.put_file(layout.aim_prefix(RUN) + path.relative_to(repository).as_posix(), path)
    index_run(objects, RUN)
    (group,) = Metrics.from_json(objects.get(layout.metrics_key(RUN))).groups
    assert group.parameters["lr"] == 0.01
    assert [point.epoch for point in group.series["val_accuracy"]] == [1, 2, 3]


def test_attempts_stand_in_their_order_also_the_tenth(objects, ship):
    for attempt in range(1, 11):
        if attempt != 3:
            ship(b"of %d\n" % attempt, attempt=attempt)
        objects.put(layout.owner_key(RUN, attempt), b"{}")
    # The run's row may have missed the last ones.
    index_run(objects, RUN, 8)
    printed = [1, 2, 4, 5, 6, 7, 8, 9, 10]
    assert read_log(objects, RUN).text.splitlines() == [f"of {attempt}" for attempt in printed]
    assert [number for number, _ in load_index(objects, RUN).attempts] == printed


def test_what_lies_beside_a_log_is_listed_once_and_not_where_the_runner_left_nothing(objects, ship, calls):
    ship(TRAINING)
    _result(objects, Ending.SUCCEEDED, exit_code=0)
    calls.clear()
    index_run(objects, RUN)
    assert calls.count("ListObjectsV2") == 1
    # Only after a good end the result is known to name all.
    objects.put(f"{layout.output_prefix(RUN)}metrics.json", b'{"told_by_a_file": 0.5}')
    _result(objects, Ending.SCRIPT_FAILED, exit_code=1)
    index_run(objects, RUN)
    assert b"told_by_a_file" in objects.get(layout.metrics_key(RUN))


def test_names_that_no_file_can_have_hide_nothing(objects, ship):
    pytest.importorskip("aimrocks")
    repository = Path(__file__).parents[2] / "data" / "aim"
    for path in repository.rglob("*"):
        if path.is_file():
            objects.put_file(layout.aim_prefix(RUN) + path.relative_to(repository).as_posix(), path)
    known = next(path for path in repository.rglob("*.sst")).relative_to(repository).as_posix()
    for name in (
        f"{known}/below",
        f"a/.aim/{'n' * 300}",
        f"a/.aim/{'n' * 300}/x",
        "a/.aim/../../../../etc/x",
        "a/.aim",
    ):
        objects.put(layout.aim_prefix(RUN) + name, b"x")
    ship(b"no metrics here\n")
    index_run(objects, RUN)
    found = Metrics.from_json(objects.get(layout.metrics_key(RUN)))
    assert "val_accuracy" in found.names()


def test_metrics_files_without_end_are_read_to_a_bound(objects, ship, monkeypatch):
    for number in range(8):
        objects.put(f"{layout.output_prefix(RUN)}{number}.csv", b"step,loss\n1,0.5\n")

    def read() -> int:
        return len(left._metrics_of_outputs(objects, RUN, SeriesArchive(objects, RUN)))

    assert read() == 8
    for bound, value in (("_MOST_LOOKED_AT", 3), ("_MOST_BYTES", 50), ("_MOST_SERIES", 3)):
        with monkeypatch.context() as patch:
            patch.setattr(left, bound, value)
            assert read() == 3
