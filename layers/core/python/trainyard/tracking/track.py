"""A backend's word on a job, together with what the attempt itself left, moves the run forward."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from trainyard.compute.contract import ComputeBackend, JobEnd, JobStatus
from trainyard.model import lifecycle
from trainyard.model.catalogue import load_catalogue
from trainyard.model.lifecycle import JobPhase, Observation
from trainyard.model.money import Cost, cost
from trainyard.model.result import AttemptResult, Ending
from trainyard.model.run import FailureReason, Run, RunState
from trainyard.model.settings import settings
from trainyard.model.text import Text
from trainyard.store import State
from trainyard.store.layout import NodeSign, node_id, node_sign_key, result_key
from trainyard.store.objects import ObjectMissingError, Objects

_STATE_OF_ENDING = {
    Ending.SUCCEEDED: RunState.SUCCEEDED,
    Ending.SCRIPT_FAILED: RunState.FAILED,
    Ending.SETUP_FAILED: RunState.FAILED,
    Ending.SHIPPING_FAILED: RunState.FAILED,
    Ending.STOPPED: RunState.STOPPED,
    Ending.TIMED_OUT: RunState.TIMED_OUT,
    Ending.NODE_LOST: RunState.FAILED,
}
_FAILURES = {
    JobEnd.SCRIPT: (
        "script",
        Text(en="The job failed before it could say why.", zh="作业失败，且未能给出原因。"),
    ),
    JobEnd.STOPPED: (
        "platform",
        Text(en="The job was ended before it started.", zh="作业在启动前被终止。"),
    ),
    JobEnd.TIMED_OUT: ("timeout", Text(en="The time limit was reached.", zh="已达到时间上限。")),
    JobEnd.OUT_OF_MEMORY: (
        "out_of_memory",
        Text(
            en="The container ran out of memory. Choose a flavor with more, or a smaller batch size.",
            zh="容器内存不足。请选择内存更大的规格，或减小 batch size。",
        ),
    ),
    JobEnd.HOST: (
        "host",
        Text(
            en="The machine was lost or reclaimed. Run it again, or set `retries` so that this happens by itself.",
            zh="机器丢失或被回收。请重新运行，或设置 `retries` 以自动重试。",
        ),
    ),
    JobEnd.SETUP: (
        "setup",
        Text(en="The container could not be started.", zh="容器无法启动。"),
    ),
    JobEnd.NO_CAPACITY: (
        "capacity",
        Text(
            en="AWS had no machine of this flavor for as long as a run may wait; nothing was charged. Choose another "
            "flavor or `machines: spot_first`, or run it again later.",
            zh="在允许的等待时间内，AWS 没有该规格的机器；未产生费用。"
            "请换用其他规格或 `machines: spot_first`，或稍后重新运行。",
        ),
    ),
    JobEnd.BLOCKED: (
        "capacity",
        Text(
            en="The queue could not start it for as long as a run may wait; nothing was charged. Most often the "
            "account's EC2 quota is used up, which the operator can have raised; choose another flavor, or run it "
            "again later.",
            zh="在允许的等待时间内，队列无法启动该作业；未产生费用。最常见的原因是账号的 EC2 配额已用完，"
            "请管理员申请提高配额；也可换用其他规格，或稍后重新运行。",
        ),
    ),
    JobEnd.NOT_FETCHED: (
        "platform",
        Text(
            en="The training has ended, but what it left could not be brought back from Huawei Cloud.",
            zh="训练已结束，但输出未能从华为云取回。",
        ),
    ),
    JobEnd.IMPOSSIBLE: (
        "capacity",
        Text(
            en="No machine of this queue is large enough; nothing was charged. Choose a smaller flavor, or ask the "
            "operator to raise the maximum of vCPUs.",
            zh="该队列中没有足够大的机器；未产生费用。请选择更小的规格，或请管理员提高 vCPU 上限。",
        ),
    ),
    JobEnd.CHILDREN: (
        "children",
        Text(
            en="Not every training of the sweep succeeded; those that did are kept.",
            zh="超参搜索中并非所有训练都成功；成功的训练结果已保留。",
        ),
    ),
}


_ENDED = (JobPhase.SUCCEEDED, JobPhase.FAILED)
# Longer than the main machine needs to hear of a lost one, to store what its script left, and to end.
_HEARS_WITHIN = timedelta(minutes=15)
# Trainings of a sweep that is counted with every event, and how often a larger one is.
_COUNTED_AT_ONCE = 50
_COUNTED_EVERY = timedelta(seconds=10)


def track_job(state: State, status: JobStatus, at: datetime | None = None) -> Run | None:
    """Move the run of a job forward. None if no such run is known: a job that is not ours."""
    seen_at = at or datetime.now(UTC)
    run = state.table.run(status.run_id)
    if run is None or run.state.is_final:
        return run
    if status.doubtful:
        doubted = state.table.change_run(run.id, lambda known: lifecycle.doubt(known, status.job.id, seen_at))
        if doubted is None or doubted.doubts < lifecycle.LOOKS_BEFORE_LOST:
            return doubted
    if status.end in (JobEnd.NO_CAPACITY, JobEnd.BLOCKED):
        fallen = state.table.change_run(run.id, lambda known: lifecycle.fall_back(known, status.job.id, seen_at))
        if fallen is not None and fallen.fallback is not None:
            return fallen
    seen = _observation(status, seen_at, run, _result(state.objects, status))
    return state.table.change_run(status.run_id, lambda known: lifecycle.observe(known, seen), run)


def track_sweep(
    state: State,
    run: Run | None,
    status: JobStatus,
    backends: Callable[[str], ComputeBackend],
    at: datetime | None = None,
) -> Run | None:
    """What was heard of a sweep or of one of its trainings: its backend is asked how all of them stand.

    A sweep may have thousands of trainings and one row: of a large one the row is written every few seconds at most.
    The end of the whole is heard of itself alone, since what it cost is asked of every training.
    """
    now = at or datetime.now(UTC)
    if run is None or run.state.is_final or (status.child is not None and _is_fresh(run, now)):
        return run
    if status.child is None:
        seen = backends(status.job.backend).describe(status.job)
        return run if seen is None else track_job(state, seen, now)
    seen = backends(run.job.backend).glance(run.job) if run.job is not None else None
    return run if seen is None or seen.phase in _ENDED else track_job(state, seen, now)


def track_node(
    state: State, status: JobStatus, backends: Callable[[str], ComputeBackend], at: datetime | None = None
) -> Run | None:
    """What was heard of one machine of several: its failure ends the run, unless the whole job has ended anyhow.

    When the main machine ends, the others are ended with it, and events of both may be heard in any order. Of a host
    that was lost the main machine is told: it ends in a way that the backend tries again. Only where nothing comes of
    that for long the run is ended here.
    """
    now = at or datetime.now(UTC)
    run = state.table.run(status.run_id)
    if run is None or run.state.is_final or run.job is None or not status.node or status.phase is not JobPhase.FAILED:
        return run
    whole = backends(run.job.backend).describe(run.job)
    if whole is None or whole.attempt != status.attempt:
        return run
    if whole.phase in _ENDED:
        return track_job(state, whole, now)
    if state.objects.size(result_key(run.id, status.attempt)) is not None:
        return run
    if status.end is JobEnd.HOST and not _told_long_ago(state.objects, status, now):
        return run
    failure = _of_node(status, _result(state.objects, status, node_id(run.id, status.node)))
    return state.table.change_run(run.id, lambda known: lifecycle.lose_node(known, failure, now), run)


def _told_long_ago(objects: Objects, status: JobStatus, now: datetime) -> bool:
    """Tell the main machine that this one is lost, unless it was told."""
    assert status.node is not None
    key = node_sign_key(status.run_id, status.attempt, status.node, NodeSign.LOST)
    told_at = objects.modified(key)
    if told_at is None:
        objects.put(key, b"host", "text/plain")
    return told_at is not None and now - told_at > _HEARS_WITHIN


def _of_node(status: JobStatus, result: AttemptResult | None) -> FailureReason:
    failure = _failure(status, result)
    return failure.model_copy(
        update={
            "kind": "node",
            "message": Text(
                en=f"Machine {status.node} failed, and the others cannot go on without it. {failure.message.en}",
                zh=f"第 {status.node} 号机器失败，其他机器无法继续。{failure.message.zh}",
            ),
        }
    )


def _is_fresh(run: Run, now: datetime) -> bool:
    small = run.children is None or run.children.total <= _COUNTED_AT_ONCE
    return not small and now - run.updated_at < _COUNTED_EVERY


def _result(objects: Objects, status: JobStatus, place: str = "") -> AttemptResult | None:
    """What the attempt wrote at its end; None while it lasts, or if the machine was gone before it could.

    `place`: in place of the run's id in a key.
    """
    if status.phase not in _ENDED:
        return None
    try:
        return AttemptResult.model_validate_json(objects.get(result_key(place or status.run_id, status.attempt)))
    except ObjectMissingError:
        return None


def _observation(status: JobStatus, at: datetime, run: Run, result: AttemptResult | None) -> Observation:
    seen = Observation(
        job_id=status.job.id,
        attempt=status.attempt,
        phase=status.phase,
        at=at,
        waiting=status.waiting,
        blocked=status.blocked,
        started_at=status.started_at,
        cost=_cost(run, status),
        children=status.children,
    )
    if status.phase not in _ENDED:
        return seen
    ended_as = _final_state(status, run, result)
    failed = ended_as in (RunState.FAILED, RunState.TIMED_OUT)
    return seen.model_copy(
        update={
            "ended_as": ended_as,
            "exit_code": result.exit_code if result else status.exit_code,
            "failure": (_given_up(run) or _failure(status, result)) if failed else None,
        }
    )


def _cost(run: Run, status: JobStatus) -> Cost | None:
    flavor = load_catalogue().flavor(run.spec.flavor) if run.spec is not None else None
    if run.spec is None or flavor is None:
        return None
    return cost(run.spec, flavor, settings().region, status.seconds)


def _final_state(status: JobStatus, run: Run, result: AttemptResult | None) -> RunState:
    """The attempt knows best how it ended; without its word, a stop that was wished explains an end."""
    if status.phase is JobPhase.SUCCEEDED:
        return RunState.SUCCEEDED
    if _given_up(run) is not None:
        return RunState.FAILED
    if result is not None and result.ending is Ending.STOPPED and run.stop is None:
        # Nobody asked for it here: the backend ended it, for its time limit or because the machine went away.
        return RunState.TIMED_OUT if status.end is JobEnd.TIMED_OUT else RunState.FAILED
    if result is not None and result.ending is not Ending.SUCCEEDED:
        return _STATE_OF_ENDING[result.ending]
    if run.stop is not None:
        return RunState.STOPPED
    return RunState.TIMED_OUT if status.end is JobEnd.TIMED_OUT else RunState.FAILED


def _given_up(run: Run) -> FailureReason | None:
    """Why the platform itself ended it; None where it did not."""
    return run.stop.failure if run.stop is not None else None


def _failure(status: JobStatus, result: AttemptResult | None) -> FailureReason:
    kind, message = _FAILURES[status.end or JobEnd.SCRIPT]
    if result is None:
        words = f" ({status.reason})" if status.reason else ""
        return FailureReason(kind=kind, message=Text(en=message.en + words, zh=message.zh + words))
    if result.ending is Ending.SETUP_FAILED:
        kind = "setup"
    elif result.ending is Ending.TIMED_OUT:
        kind = "timeout"
    elif result.ending is Ending.SHIPPING_FAILED:
        kind = "platform"
    elif result.ending is Ending.NODE_LOST:
        kind = "host"
    kind = result.kind or kind
    # Of its machine the runner only saw that it had to stop.
    reason = None if result.ending is Ending.STOPPED else result.reason
    return FailureReason(kind=kind, message=reason or message, last_lines=result.last_lines)
