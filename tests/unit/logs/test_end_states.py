"""However a run ends, its log is one indexed file, and the reason of a failure is on the run."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from builders import NOW, a_run

from trainyard.logs.index import LogIndex
from trainyard.logs.live import read_log
from trainyard.logs.run import index_logs
from trainyard.model.result import AttemptResult, Ending
from trainyard.model.run import FacetState, FailureReason, Run, RunState, StopRequest
from trainyard.model.text import Text
from trainyard.store import State, layout

RUN = "run-1"
STEP = "epoch: 1 step: 44, loss is 0.9\n"
TRACEBACK = (
    'Traceback (most recent call last):\n  File "/work/code/train.py", line 12, in <module>\n    train()\n'
    '  File "/env/lib/python3.11/site-packages/mindspore/train/model.py", line 1082, in train\n    step()\n'
)


def known(kind: str, *last_lines: str) -> FailureReason:
    """What tracking put on the run."""
    return FailureReason(kind=kind, message=Text(en=kind, zh=kind), last_lines=list(last_lines))


def ended(house: State, log: str | None, ending: Ending | None, attempt: int = 1, **run: Any) -> Run:
    """The run after `index_logs`; `ending` None: the attempt was gone before it could write its result."""
    result = {name: run.pop(name) for name in ("exit_code", "signal") if name in run}
    house.table.create_run(a_run(RUN, **({"state": RunState.FAILED, "attempt": attempt} | run)))
    if log is not None:
        house.objects.put(layout.log_chunk_key(RUN, max(attempt, 1), 0), gzip.compress(log.encode()))
    if ending is not None:
        document = AttemptResult(run_id=RUN, attempt=attempt, ending=ending, finished_at=NOW, **result)
        house.objects.put(layout.result_key(RUN, attempt), document.model_dump_json().encode())
    after = index_logs(house, RUN)
    assert after is not None
    assert after.logs.state is FacetState.DONE
    assert gzip.decompress(house.objects.get(layout.log_key(RUN))).decode() == (log or "")
    index = LogIndex.from_json(house.objects.get(layout.log_index_key(RUN)))
    assert (index.bytes, index.lines) == (len(log or ""), (log or "").count("\n"))
    page = read_log(house.objects, RUN, limit=1 << 20)
    assert (page.text, page.end) == (log or "", True)
    assert index_logs(house, RUN) == after
    return after


@pytest.mark.parametrize(
    ("words", "how", "kind"),
    [
        (f"{TRACEBACK}ValueError: labels must be int32\n", {"exit_code": 1}, "script"),
        (f"{TRACEBACK}torch.OutOfMemoryError: CUDA out of memory.\n", {"exit_code": 1}, "out_of_memory"),
        (f"{TRACEBACK}OSError: [Errno 28] No space left on device\n", {"exit_code": 1}, "no_space"),
        (f"{TRACEBACK}ValueError: In epoch: 1 step: 2, loss is NAN or INF\n", {"exit_code": 1}, "nan"),
    ],
)
def test_a_script_that_raised(state: State, words: str, how: Any, kind: str) -> None:
    run = ended(state, STEP + words, Ending.SCRIPT_FAILED, failure=known("script"), **how)
    assert run.failure is not None
    assert (run.failure.kind, run.failure.file, run.failure.line) == (kind, "/work/code/train.py", 12)
    assert words.splitlines()[-1] in run.failure.message.en
    assert run.failure.message.zh
    assert run.failure.last_lines[-1] == words.splitlines()[-1]


@pytest.mark.parametrize("how", [{"signal": 9, "exit_code": 137}, {"exit_code": 137}])
def test_a_script_that_was_killed(state: State, how: Any) -> None:
    run = ended(state, STEP, Ending.SCRIPT_FAILED, failure=known("script"), **how)
    assert run.failure is not None
    assert run.failure.kind == "killed"


def test_a_script_that_only_left_an_exit_code(state: State) -> None:
    run = ended(state, STEP, Ending.SCRIPT_FAILED, exit_code=3, failure=known("script"))
    assert run.failure == known("script", STEP.strip())


def test_setup_that_failed(state: State) -> None:
    failure = known("setup", "No solution found")
    run = ended(state, "installing mindspore\nNo solution found\n", Ending.SETUP_FAILED, failure=failure)
    assert run.failure == failure


def test_output_that_could_not_be_stored(state: State) -> None:
    run = ended(state, STEP, Ending.SHIPPING_FAILED, failure=known("platform"))
    assert run.failure is not None
    assert run.failure.kind == "platform"


@pytest.mark.parametrize("attempt", [0, 1])
def test_stopped_before_it_started(state: State, attempt: int) -> None:
    stop = StopRequest(by="ada", at=NOW)
    run = ended(state, None, None, attempt, state=RunState.STOPPED, stop=stop)
    assert (run.state, run.failure, run.logs.lines) == (RunState.STOPPED, None, 0)


def test_stopped_while_it_trained(state: State) -> None:
    # What a script says about the signal that stopped it is no failure.
    log = f"{STEP}{TRACEBACK}KeyboardInterrupt\n"
    assert ended(state, log, Ending.STOPPED, state=RunState.STOPPED).failure is None


def test_timed_out(state: State) -> None:
    failure = known("timeout", STEP.strip())
    run = ended(state, STEP, Ending.TIMED_OUT, state=RunState.TIMED_OUT, failure=failure)
    assert (run.failure, run.logs.lines) == (failure, 1)


def test_timed_out_without_a_result(state: State) -> None:
    run = ended(state, STEP, None, state=RunState.TIMED_OUT, failure=known("timeout"))
    assert run.failure == known("timeout", STEP.strip())


def test_the_host_was_lost(state: State) -> None:
    """The log ends in the middle, and an exception that the script had handled long before is not why."""
    log = f"{TRACEBACK}ConnectionError: once more\n" + STEP * 300
    run = ended(state, log, None, failure=known("host"))
    assert run.failure is not None
    assert (run.failure.kind, run.failure.last_lines[-1]) == ("host", STEP.strip())


def test_the_container_ran_out_of_memory(state: State) -> None:
    run = ended(state, STEP, None, failure=known("out_of_memory"))
    assert run.failure == known("out_of_memory", STEP.strip())


def test_the_first_attempts_result_says_nothing_about_the_second(state: State) -> None:
    """The host of the second attempt was lost before it printed anything."""
    first = AttemptResult(run_id=RUN, attempt=1, ending=Ending.SCRIPT_FAILED, exit_code=137, finished_at=NOW)
    state.objects.put(layout.result_key(RUN, 1), first.model_dump_json().encode())
    state.objects.put(layout.log_chunk_key(RUN, 1, 0), gzip.compress(STEP.encode()))
    state.table.create_run(a_run(RUN, state=RunState.FAILED, attempt=2, failure=known("host")))
    run = index_logs(state, RUN)
    assert run is not None
    assert run.failure is not None
    assert run.failure.kind == "host"


def test_success_after_a_handled_exception(state: State) -> None:
    log = f"{TRACEBACK}ValueError: skipped\n{STEP}"
    assert ended(state, log, Ending.SUCCEEDED, state=RunState.SUCCEEDED, exit_code=0).failure is None
