"""Every kind of event is lost once, and the sweep mends what came of that."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from faults.way import CHECK, PROJECT, furnished, scenes
from faults.world import Step, World, rules

from trainyard.cli.main import run as cli
from trainyard.clients import client
from trainyard.compute.registry import backend
from trainyard.intake.unanswered import ask_again
from trainyard.model.run import Run
from trainyard.store import layout
from trainyard.tracking.sweep import sweep_runs

# Up to here the way is that of one run, to its verdict.
SCENES = 4
LOST = [
    ("validate_repo", "push.received"), ("enqueue_job", "run.admitted"), ("track_job", "Batch Job State Change"),
    ("index_logs", "run.finished"), ("evaluate_run", "run.indexed"),
]  # fmt: skip


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, str, Any]]:
    with furnished(tmp_path_factory.mktemp("lost")) as (made, token):
        yield made, token, made.snapshot()


def go(around: World, token: str, lost: tuple[str, str] | None) -> tuple[Run, Counter[str]]:
    """The run at its end. `lost`: the function and kind of event of which every message is lost until a sweep comes."""
    for scene in scenes(token)[:SCENES]:
        step = scene(around)
        around.pending.extend([step] if step else [])
        _settle(around, lost)
        if lost in LOST[:2]:  # without it there is no job that could go on
            _sweep(around)
    for _ in range(3):
        _sweep(around)
    (run,) = around.state.table.runs_of("demo/lenet5").rows
    return run, Counter(str(job.status) for job in around.batch._state.jobs.values())


def _settle(around: World, lost: tuple[str, str] | None) -> list[Step]:
    """What was lost."""
    dropped = []
    while around.pending:
        step = around.pending.popleft()
        if lost in ((step.function, step.event.get("detail-type")), (step.function, "*")):
            dropped.append(step)
        else:
            around.through(step)
    return dropped


def _sweep(around: World) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    sweep_runs(around.state, backend, later)
    ask_again(around.state, later)
    around.drain()
    _settle(around, None)


@pytest.mark.parametrize("lost", LOST)
def test_what_was_lost_is_mended(around: tuple[World, str, Any], lost: tuple[str, str]) -> None:
    made, token, start = around
    assert any(lost[1].startswith(kind.rstrip("*")) for kind in rules()[lost[0]])
    made.restore(start)
    run, jobs = go(made, token, lost)
    assert (run.state, run.logs.state, run.evaluation.verdict) == ("succeeded", "done", "passed")
    assert (jobs, made.dead, run.is_settled) == (Counter({"SUCCEEDED": 1}), [], True)
    heard = [one.headers["webhook-id"] for one in made.host.received if "webhook-id" in one.headers]
    assert len(heard) == len(set(heard)) == 2
    assert made.state.table.unsettled_runs().rows == []


@pytest.mark.parametrize("function", [function for function, _ in LOST])
def test_dead_letters_that_are_sent_back_come_to_the_same_end(around: tuple[World, str, Any], function: str) -> None:
    """The function fails all the time, until its dead-letter queue is redriven."""
    made, token, start = around
    made.restore(start)
    dead: list[Step] = []
    for scene in scenes(token)[:SCENES]:
        step = scene(made)
        made.pending.extend([step] if step else [])
        dead += _settle(made, (function, "*"))
        if function in ("validate_repo", "enqueue_job"):  # without it there is no job that could go on
            _redrive(made, function, dead)
    _redrive(made, function, dead)
    (run,) = made.state.table.runs_of(PROJECT).rows
    assert (run.state, run.logs.state, run.evaluation.verdict) == ("succeeded", "done", "passed")
    assert Counter(str(job.status) for job in made.batch._state.jobs.values()) == Counter({"SUCCEEDED": 1})
    assert (made.dead, run.is_settled) == ([], True)


def _redrive(made: World, function: str, dead: list[Step]) -> None:
    """As an operator does it; what comes out of the queue is delivered."""
    sqs = client("sqs")
    queue, letters = (sqs.create_queue(QueueName=f"trainyard-{function}{kind}")["QueueUrl"] for kind in ("", "-dead"))
    for step in dead:
        sqs.send_message(QueueUrl=letters, MessageBody=json.dumps(step.event))
    dead.clear()
    assert cli(["redrive"]) == 0
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            made.pending.append(Step(function, json.loads(message["Body"]), message["MessageId"]))
    _settle(made, None)


QUESTIONS: dict[str, tuple[int, Callable[[World], bool]]] = {
    "run.requested": (4, lambda around: around.state.table.runs_of(PROJECT).rows[0].state != "requested"),
    "check.requested": (8, lambda around: layout.check_key(CHECK) in around.objects()),
    "storage.asked": (9, lambda around: layout.storage_report_key(PROJECT) in around.objects()),
}
"""Scene that asks, and whether it was answered."""


@pytest.mark.parametrize("kind", QUESTIONS)
def test_a_question_that_was_lost_is_answered(around: tuple[World, str, Any], kind: str) -> None:
    made, token, start = around
    scene, is_answered = QUESTIONS[kind]
    made.restore(start)
    step = scenes(token)[scene](made)
    made.pending.extend([step] if step else [])
    _settle(made, ("validate_repo", kind))
    assert not is_answered(made)
    _sweep(made)
    assert is_answered(made)
    assert (made.dead, made.state.table.unanswered().rows) == ([], [])
    rows, objects = made.rows(), made.objects()
    ask_again(made.state, datetime.now(UTC) + timedelta(days=1))
    assert (made.rows(), made.objects()) == (rows, objects)


def test_a_wish_to_stop_that_was_lost_reaches_the_job(around: tuple[World, str, Any]) -> None:
    made, token, start = around
    made.restore(start)
    for number in (4, 5):
        step = scenes(token)[number](made)
        made.pending.extend([step] if step else [])
        _settle(made, ("enqueue_job", "run.stop_requested"))
    (job,) = made.batch._state.jobs.values()
    assert job.status == "RUNNABLE"
    for _ in range(2):
        _sweep(made)
    (run,) = made.state.table.runs_of(PROJECT).rows
    assert (job.status, run.state, made.dead) == ("FAILED", "stopped", [])


# Where the others are lost.
ELSEWHERE = {
    ("receive_push", "CodeCommit Repository State Change"): "unit/intake/test_missed.py",
    ("track_job", "Batch Job Queue Blocked"): "unit/tracking/test_waiting.py",
    ("report_status", "run.*"): "test_a_status_that_was_never_sent",
    ("enqueue_job", "run.stop_requested"): "test_a_wish_to_stop_that_was_lost_reaches_the_job",
}


def test_every_kind_of_event_is_lost_once() -> None:
    told = {(function, kind) for function, kinds in rules().items() for kind in kinds}
    assert told == {*LOST, *(("validate_repo", kind) for kind in QUESTIONS), *ELSEWHERE}


@pytest.mark.parametrize(("scene", "shown"), [(2, "running"), (3, "passed")])
def test_a_status_that_was_never_sent(around: tuple[World, str, Any], scene: int, shown: str) -> None:
    made, token, start = around
    made.restore(start)
    for number, happens in enumerate(scenes(token)[: scene + 1]):
        step = happens(made)
        made.pending.extend([step] if step else [])
        _settle(made, ("report_status", "*") if number == scene else None)
    assert shown not in made.statuses()[-1]
    _sweep(made)
    assert shown in made.statuses()[-1]
    told = len(made.host.received)
    _sweep(made)
    assert len(made.host.received) == told
