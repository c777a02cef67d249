"""The scheduler: which job starts where and when, and what ends an attempt.

One lock guards the state; one thread looks for jobs that can start and for deadlines that have passed; each attempt
has a thread that starts its process and waits for its end.
"""

import heapq
import itertools
import logging
import os
import re
import signal
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from infra.local.batch import arrays, events, launch, lifecycle, nodes
from infra.local.batch.lifecycle import Outcome
from infra.local.batch.logs import LogShipper
from infra.local.batch.process import AttemptProcess, end_survivors
from infra.local.batch.records import NOT_YET_PLACED, ON_AN_INSTANCE, TERMINAL, Job, Place, State, Wire, now_ms
from infra.local.batch.statefile import Saver

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """second: how long one of Batch's seconds takes, in real ones; tests shorten it (timeouts, the grace period).

    grace: Batch seconds between SIGTERM and SIGKILL.
    """

    place: Place
    source: str
    launcher: launch.Launcher
    platform_env: Mapping[str, str]
    scratch: Path
    logs: Path
    grace: float = 30.0
    second: float = 1.0
    role_credentials: launch.RoleCredentials = launch.credentials_of_nobody


@dataclass
class _Running:
    """An attempt under way. why: how it is to end for a reason that isn't its own exit."""

    job: Job
    thread: threading.Thread | None = None
    process: AttemptProcess | None = None
    why: Outcome | None = None


@dataclass(order=True)
class _Deadline:
    at: float
    number: int
    act: Callable[[], None] = field(compare=False)


class Scheduler:
    """Runs the jobs of `state`. Whoever touches the state holds `lock`."""

    def __init__(
        self,
        state: State,
        lock: threading.Condition,
        saver: Saver,
        settings: Settings,
        shipper: LogShipper | None = None,
    ) -> None:
        self._shipper = shipper
        self._state = state
        self._lock = lock
        self._saver = saver
        self._settings = settings
        self._running: dict[str, _Running] = {}
        self._deadlines: list[_Deadline] = []
        self._numbers = itertools.count()
        # Compute environments that get no machine, and what Batch says of that.
        self._starved: dict[str, str] = {}
        self._stopping = False
        self._look_again = False
        self._thread = threading.Thread(target=self._run, name="batch-scheduler", daemon=True)
        # A made-up id in EC2's form: Batch names the instance in its reasons.
        self._instance = f"i-{uuid.uuid4().hex[:17]}"

    def start(self) -> None:
        """Settle what an earlier server left behind, then schedule."""
        with self._lock:
            for job in list(self._state.jobs.values()):
                if job.status in ON_AN_INSTANCE and not job.is_parent:
                    self._settle_interrupted(job)
                elif job.status == "RUNNABLE":
                    job.detail.pop("statusReason", None)  # found anew, so that its time limit runs again
            self._state.forget_old_jobs(now_ms())
        self._thread.start()

    def stop(self, patience: float = 10.0) -> None:
        """Kill every attempt and end all threads. Jobs stay as they are: the next start finds them interrupted."""
        with self._lock:
            self._stopping = True
            attempts = list(self._running.values())
            for each in attempts:
                if each.process:
                    each.process.signal(signal.SIGKILL)
            self._lock.notify_all()
        deadline = time.monotonic() + patience
        for thread in [self._thread, *(each.thread for each in attempts)]:
            if thread is not None and thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    def job_changed(self, job: Job) -> None:
        """Tell the world of the job's new state and look whether anything can start. Call with the lock held."""
        self._state.outbox.append(events.state_change(job, self._settings.place, self._settings.source))
        if job.is_main_node:
            self._main_node_changed(job)
        elif job.parent_id is not None and not job.is_node:
            self._child_changed(self._state.job(job.parent_id))
        self.wake()

    def _main_node_changed(self, main: Job) -> None:
        """Its job does what it does, and so do the other nodes where it ends or begins again."""
        job = self._state.job(main.parent_id or "")
        nodes.mirror(job, main)
        if job.status != main.status:
            lifecycle.move(job, main.status)
        self.job_changed(job)
        others = [each for each in self._state.children(job) if each is not main]
        if main.status in TERMINAL:
            for each in others:
                self._end_node(each)
        elif main.status == "RUNNABLE" and main.detail["attempts"]:
            for each in others:
                self._begin_node_again(each, len(main.detail["attempts"]))

    def _end_node(self, node: Job) -> None:
        attempt = self._running.get(node.job_id)
        if attempt is not None:
            self._interrupt(attempt, Outcome(nodes.MAIN_NODE_ENDED, final=True))
        elif node.status in NOT_YET_PLACED:
            self._end_waiting(node, nodes.MAIN_NODE_ENDED)

    def _begin_node_again(self, node: Job, attempts: int) -> None:
        attempt = self._running.get(node.job_id)
        if attempt is not None:
            self._interrupt(attempt, Outcome(nodes.MAIN_NODE_ENDED, again=True))
        elif node.status not in ON_AN_INSTANCE:
            nodes.begin_again(node, attempts)

    def _child_changed(self, parent: Job) -> None:
        ended = arrays.count(self._state, parent)
        if parent.status == "SUBMITTED":
            lifecycle.move(parent, "PENDING")
            self.job_changed(parent)
        if ended and parent.status not in TERMINAL:
            lifecycle.end_parent(parent, now_ms())
            self.job_changed(parent)

    def wake(self) -> None:
        """Something changed that scheduling depends on. Call with the lock held."""
        self._look_again = True
        self._saver.changed()

    def cancel(self, job: Job, reason: str) -> None:
        """CancelJob: ends a job that waits; leaves one that was placed, or has ended, alone."""
        if job.is_parent:
            for child in self._state.children(job):
                self.cancel(child, reason)
        elif job.status in NOT_YET_PLACED:
            job.detail["isCancelled"] = True
            self._end_waiting(job, reason)

    def terminate(self, job: Job, reason: str) -> None:
        """TerminateJob: ends a job in any state; the first reason stays."""
        if job.status in TERMINAL or job.stop_reason is not None:
            return
        job.detail["isTerminated"] = True
        if job.is_parent:
            job.stop_reason = reason
            for child in self._state.children(job):
                self.terminate(child, reason)
        elif job.status in NOT_YET_PLACED:
            self._end_waiting(job, reason)
        else:
            job.stop_reason = reason
            self._saver.changed()
            self._interrupt(self._running[job.job_id], Outcome(reason, final=True))

    def reclaim(self, job: Job) -> None:
        """What a spot reclaim does: the instance under a running job goes away. Nothing happens to other jobs."""
        attempt = self._running.get(job.job_id)
        if attempt is not None and attempt.why is None:
            self._interrupt(attempt, Outcome(lifecycle.host_lost(self._instance)))

    def starve(self, environment_name: str, reason: str | None) -> None:
        """AWS gives this environment no machine, for this `reason`; None: it does again. What runs on it goes on."""
        if reason is None:
            self._starved.pop(environment_name, None)
        else:
            self._starved[environment_name] = reason
        self.wake()

    def in_order(self, queue_name: str) -> list[Job]:
        """A queue's RUNNABLE jobs in the order in which they start; nodes whose main node runs come before all.

        First come, first served. With a scheduling policy: the share that uses the fewest vCPUs now, then priority.
        """
        waiting = [
            job
            for job in self._state.jobs.values()
            if job.queue_name == queue_name and job.status == "RUNNABLE" and self._may_start(job)
        ]
        if not self._state.queues[queue_name].get("schedulingPolicyArn"):
            return sorted(waiting, key=lambda job: (_comes_late(job), job.seq))
        used: dict[str, float] = {}
        for job in self._placed():
            if job.queue_name == queue_name:
                share = job.detail.get("shareIdentifier", "")
                used[share] = used.get(share, 0.0) + job.vcpus
        return sorted(
            waiting,
            key=lambda job: (
                _comes_late(job),
                used.get(job.detail.get("shareIdentifier", ""), 0.0),
                -job.detail.get("schedulingPriority", 0),
                job.seq,
            ),
        )

    # The scheduling thread.

    def _run(self) -> None:
        with self._lock:
            while not self._stopping:
                self._look_again = False
                self._act_on_deadlines()
                self._admit()
                self._place_jobs()
                until_next = self._deadlines[0].at - time.monotonic() if self._deadlines else None
                self._lock.wait_for(
                    lambda: self._look_again or self._stopping,
                    timeout=None if until_next is None else max(0.0, until_next),
                )

    def _act_on_deadlines(self) -> None:
        while self._deadlines and self._deadlines[0].at <= time.monotonic():
            heapq.heappop(self._deadlines).act()

    def _after(self, batch_seconds: float, act: Callable[[], None]) -> None:
        at = time.monotonic() + batch_seconds * self._settings.second
        heapq.heappush(self._deadlines, _Deadline(at, next(self._numbers), act))
        self._look_again = True
        self._lock.notify_all()

    def _admit(self) -> None:
        for job in self._state.jobs.values():
            if job.status == "SUBMITTED" and not job.is_parent:
                lifecycle.move(job, "RUNNABLE")
                self.job_changed(job)

    def _place_jobs(self) -> None:
        """Start what fits, the queues of higher priority first."""
        for queue in sorted(self._state.queues.values(), key=lambda queue: -queue["priority"]):
            while (found := self._next_start(queue)) is not None:
                self._begin(*found)

    def _next_start(self, queue: Wire) -> tuple[Job, str] | None:
        """The queue's next job and its compute environment, or None.

        The job at the front waits for room and those behind it wait for it, as in Batch. One that could never fit
        is told so and passed over, so that a mistake in one job doesn't hold up the rest.
        """
        environments = [
            self._state.compute_environment(each["computeEnvironment"]) for each in queue["computeEnvironmentOrder"]
        ]
        usable = [each for each in environments if each["state"] == "ENABLED"]
        for job in self.in_order(queue["jobQueueName"]):
            needed = self._needed(job)
            if all(needed > _capacity(each) for each in environments):
                self._block(job, queue, lifecycle.TOO_LARGE)
                continue
            names = [
                each["computeEnvironmentName"]
                for each in usable
                if needed <= _capacity(each) - self._used(each["computeEnvironmentName"])
            ]
            place = next((name for name in names if name not in self._starved), None)
            if place is not None:
                return job, place
            if names:
                self._block(job, queue, self._starved[names[0]])
            return None
        return None

    def _block(self, job: Job, queue: Wire, reason: str) -> None:
        """Nothing starts because of this job: say so once, and end it when the queue's time limit for that is over."""
        if job.detail.get("statusReason") == reason:
            return
        job.detail["statusReason"] = reason
        self._state.outbox.append(events.queue_blocked(job, self._settings.place, self._settings.source))
        self._saver.changed()
        cause = reason.partition(" - ")[0]
        for limit in queue.get("jobStateTimeLimitActions", []):
            if limit["reason"] == cause:
                self._after(limit["maxTimeSeconds"], lambda: self._give_up(job, reason))

    def _give_up(self, job: Job, reason: str) -> None:
        if job.status == "RUNNABLE" and job.detail.get("statusReason") == reason:
            self.cancel(job, lifecycle.canceled_by_limit(reason.partition(" - ")[0]))

    def _placed(self) -> list[Job]:
        return [each.job for each in self._running.values()]

    def _used(self, environment_name: str) -> float:
        return sum(self._needed(job) for job in self._placed() if job.environment_name == environment_name)

    def _needed(self, job: Job) -> float:
        """vCPUs. The main node takes the room of all nodes of its job, so that none of them waits for it later."""
        if not job.is_node:
            return job.vcpus
        return job.vcpus * self._state.job(job.parent_id or "").node_count if job.is_main_node else 0.0

    def _may_start(self, job: Job) -> bool:
        """False of what starts nothing itself, and of a node before its main node runs."""
        if job.is_parent:
            return False
        return not job.is_other_node or self._state.main_node(job).status == "RUNNING"

    def _begin(self, job: Job, environment_name: str) -> None:
        lifecycle.begin(job, environment_name)
        attempt = self._running[job.job_id] = _Running(job)
        self.job_changed(job)
        attempt.thread = threading.Thread(
            target=self._attempt, args=(attempt,), name=f"batch-{job.job_id}", daemon=True
        )
        attempt.thread.start()

    # An attempt's thread.

    def _attempt(self, attempt: _Running) -> None:
        with self._lock:
            job = attempt.job
            whole = self._state.job(job.parent_id or "") if job.is_node else None
            wanted = launch.spec(job, whole.detail["nodeProperties"] if whole else None)
        try:
            process = self._launch(attempt, wanted)
            outcome = Outcome(lifecycle.ENDED, exit_code=process.wait() if process else None)
        except launch.CannotLaunch as error:
            outcome = Outcome(lifecycle.NOT_STARTED, reason=str(error))
        except Exception as error:  # a launcher is foreign code; whatever it raises, the job must end
            log.exception("attempt %d of %s", wanted.attempt, wanted.job_id)
            outcome = Outcome(lifecycle.NOT_STARTED, reason=f"CannotStartContainerError: {error!r}")
        with self._lock:
            if not self._stopping:
                self._settle(attempt, outcome)

    def _launch(self, attempt: _Running, wanted: launch.JobSpec) -> AttemptProcess | None:
        """Start the process, unless an end was asked for before."""
        if attempt.job.detail["container"].get("secrets"):
            raise launch.CannotLaunch("ResourceInitializationError: the embedded Batch does not resolve secrets")
        start = self._settings.launcher(wanted)
        # ECS hands a role's credentials to the container.
        own = self._settings.role_credentials(wanted.role) if wanted.role else {}
        with self._lock:
            if attempt.why is not None or self._stopping:
                return None
        process = AttemptProcess(
            wanted,
            start,
            {**self._settings.platform_env, **own},
            self._settings.scratch / f"{re.sub('[:#]', '-', wanted.job_id)}-{wanted.attempt}",
            log_path(self._settings.logs, wanted.job_id, wanted.attempt),
        )
        with self._lock:
            attempt.process = process
            attempt.job.session = process.session
            if attempt.why is not None or self._stopping:
                process.signal(signal.SIGKILL)  # asked for while it started
            else:
                self._note_running(attempt)
        return process

    def _note_running(self, attempt: _Running) -> None:
        job = attempt.job
        definition = job.detail["jobDefinition"].rsplit("/", 1)[-1].partition(":")[0]
        lifecycle.run(job, now_ms(), f"{definition}/default/{uuid.uuid4().hex}")
        self.job_changed(job)
        if self._shipper:
            path = log_path(self._settings.logs, job.job_id, job.attempt)
            self._shipper.follow(job.detail["container"]["logStreamName"], path)
        seconds = job.detail.get("timeout", {}).get("attemptDurationSeconds")
        if seconds is not None:
            late = Outcome(lifecycle.TIMED_OUT, final=True)
            self._after(seconds, lambda: self._interrupt(attempt, late))

    def _settle(self, attempt: _Running, outcome: Outcome) -> None:
        job = attempt.job
        del self._running[job.job_id]
        if attempt.why is not None:
            # Of a host that is gone nobody learns the exit code.
            code = outcome.exit_code if attempt.why.final else None
            outcome = replace(attempt.why, exit_code=code, reason=outcome.reason)
        if self._shipper:
            self._shipper.finish(job.detail["container"].get("logStreamName", ""))
        lifecycle.end_attempt(job, outcome, now_ms())
        self.job_changed(job)

    # Ends from outside.

    def _interrupt(self, attempt: _Running, why: Outcome) -> None:
        """SIGTERM now, SIGKILL after the grace period. The first cause stays; an ended attempt is left alone.

        Only a final cause takes the place of one that is not: a job that is terminated while its host goes away must
        not be tried again.
        """
        if self._running.get(attempt.job.job_id) is not attempt:
            return
        if attempt.why is not None:
            attempt.why = why if why.final and not attempt.why.final else attempt.why
            return
        attempt.why = why
        if attempt.process is None:
            return  # its thread sees `why` before or after the start
        attempt.process.signal(signal.SIGTERM)
        self._after(self._settings.grace, lambda: self._kill(attempt))

    def _kill(self, attempt: _Running) -> None:
        if self._running.get(attempt.job.job_id) is attempt and attempt.process:
            attempt.process.signal(signal.SIGKILL)

    def _end_waiting(self, job: Job, reason: str) -> None:
        job.stop_reason = reason
        lifecycle.end_unplaced(job, reason, now_ms())
        self.job_changed(job)

    def _settle_interrupted(self, job: Job) -> None:
        """End the attempt that was under way when an earlier server stopped."""
        if job.session:
            end_survivors(job.session, job.job_id)
        if job.stop_reason is not None:
            outcome = Outcome(job.stop_reason, final=True)
        elif job.is_other_node:
            ended = self._state.main_node(job).status in TERMINAL
            outcome = Outcome(nodes.MAIN_NODE_ENDED, final=ended, again=not ended)
        else:
            outcome = Outcome(lifecycle.host_lost(self._instance))
        lifecycle.end_attempt(job, outcome, now_ms())
        self.job_changed(job)


def log_path(logs: Path, job_id: str, attempt: int) -> Path:
    """Where an attempt's stdout and stderr go."""
    return logs / job_id / f"{attempt}.log"


def _comes_late(job: Job) -> bool:
    """All but nodes that their main node waits for."""
    return not job.is_other_node


def _capacity(environment: Wire) -> float:
    """vCPUs that a compute environment may use at a time; an unmanaged one that doesn't say has this machine's."""
    most = environment.get("computeResources", {}).get("maxvCpus", environment.get("unmanagedvCpus"))
    return float(most if most is not None else os.cpu_count() or 1)
