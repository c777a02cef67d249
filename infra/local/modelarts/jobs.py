"""Training jobs through all their phases."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

STAGES = ("scheduling", "preparing", "running", "end")
FINAL = ("Completed", "Failed", "Terminated", "Abnormal")
_STOP_SECONDS = 10.0


class Container(Protocol):
    """What carries a job out."""

    log: Path

    def prepare(self) -> None:
        """Fetch code and inputs. Raises OSError where they are not there."""

    def run(self) -> int:
        """Start the script and wait for its end; its exit code."""

    def stop(self) -> None:
        """End it, also before it was started."""

    def finish(self) -> None:
        """Bring outputs and log to where the job's description says."""


MakeContainer = Callable[[dict[str, Any], str], Container]
"""From a job's description and its id."""


@dataclass
class TrainingJob:
    id: str
    body: dict[str, Any]
    container: Container
    created: float = field(default_factory=time.time)
    phase: str = "Creating"
    secondary: str = "Creating"
    stages: list[str] = field(default_factory=list)
    started: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    message: str = ""
    stopping: threading.Event = field(default_factory=threading.Event)
    shown_as: tuple[str, str] | None = None
    """Phase and secondary phase to show instead: what happens to a job that nobody can tell the truth of."""
    events: list[str] = field(default_factory=list)

    def described(self) -> dict[str, Any]:
        """As ModelArts describes it."""
        phase, secondary = self.shown_as or (self.phase, self.secondary)
        seconds = (self.ended or time.time()) - self.started if self.started else 0.0
        tasks = [f"worker-{number}" for number in range(self.body["spec"]["resource"].get("node_count", 1))]
        status: dict[str, Any] = {
            "phase": phase, "secondary_phase": secondary, "duration": round(seconds * 1000), "tasks": tasks,
        }  # fmt: skip
        if self.started:
            status["start_time"] = round(self.started * 1000)
            record = {"start_at": round(self.started), "start_type": "init_or_rescheduled"}
            if self.ended:
                record |= {"end_at": round(self.ended), "end_reason": self.message}
            status["running_records"] = [record]
        if self.exit_code is not None:
            status["task_statuses"] = [
                {"task": task, "exit_code": self.exit_code, "message": self.message} for task in tasks
            ]
        metadata = {**self.body["metadata"], "id": self.id, "create_time": round(self.created * 1000)}
        # Not quite what was asked for comes back: the official models know no `auto_stop` in an answer.
        environments = self.body["algorithm"].get("environments")
        algorithm = {**self.body["algorithm"], "environments": [environments] if environments else []}
        spec = {name: value for name, value in self.body["spec"].items() if name not in ("auto_stop", "notification")}
        return {"kind": "job", "metadata": metadata, "status": status, "algorithm": algorithm, "spec": spec}


class Jobs:
    """All jobs. `beat`: seconds that each phase before the script takes; `on_end` hears of every end."""

    def __init__(
        self, make: MakeContainer, beat: float, on_end: Callable[[TrainingJob], None] = lambda _job: None
    ) -> None:
        self._make, self._beat, self._on_end = make, beat, on_end
        self._jobs: dict[str, TrainingJob] = {}
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def create(self, body: dict[str, Any]) -> TrainingJob:
        name = str(uuid4())
        job = TrainingJob(name, body, self._make(body, name))
        with self._lock:
            self._jobs[name] = job
            thread = threading.Thread(target=self._live, args=(job,), name=f"modelarts {name}", daemon=True)
            self._threads.append(thread)
        thread.start()
        return job

    def get(self, job_id: str) -> TrainingJob | None:
        return self._jobs.get(job_id)

    def named_like(self, part: str) -> list[TrainingJob]:
        """Newest first."""
        with self._lock:
            found = [job for job in self._jobs.values() if part in job.body["metadata"]["name"]]
        return sorted(found, key=lambda job: job.created, reverse=True)

    def stop(self, job: TrainingJob) -> bool:
        """False where it is too late."""
        if job.phase not in ("Creating", "Pending", "Running"):
            return False
        job.phase = job.secondary = "Terminating"
        job.stopping.set()
        job.container.stop()
        return True

    def delete(self, job: TrainingJob) -> bool:
        """False where it has not ended."""
        if job.phase not in FINAL:
            return False
        with self._lock:
            self._jobs.pop(job.id, None)
        return True

    def close(self) -> None:
        """End all of them and wait, for a bounded time."""
        for job in list(self._jobs.values()):
            self.stop(job)
        for thread in self._threads:
            thread.join(_STOP_SECONDS)

    def _live(self, job: TrainingJob) -> None:
        self._go_through(job)
        job.ended = time.time()
        with suppress(Exception):  # whoever waits for the news must not keep the job from ending
            self._on_end(job)

    def _go_through(self, job: TrainingJob) -> None:
        for phase, secondary in (("Creating", "Creating"), ("Pending", "Queuing")):
            if not self._enter(job, phase, secondary):
                return
        if not self._enter(job, "Running", "Running", STAGES[0]) or not self._enter(
            job, "Running", "Running", STAGES[1]
        ):
            return
        try:
            job.container.prepare()
        except OSError as error:
            self._end(job, "Failed", "Failed", f"the job could not be prepared: {error}")
            return
        job.started = time.time()
        job.stages.append(STAGES[2])
        code = -1 if job.stopping.is_set() else job.container.run()
        job.stages.append(STAGES[3])
        try:
            # ModelArts has uploaded the outputs before it says that a job is completed.
            job.container.finish()
        except OSError as error:
            self._end(job, "Failed", "Failed", f"the outputs could not be stored: {error}")
            return
        job.exit_code = code
        if job.stopping.is_set():
            self._end(job, "Terminated", "Terminated", "terminated by user")
        elif code:
            self._end(job, "Failed", "Failed", f"training job exited with code {code}")
        else:
            self._end(job, "Completed", "Completed", "")

    def _enter(self, job: TrainingJob, phase: str, secondary: str, stage: str = "") -> bool:
        """Stay in that phase for a beat; False if the job was stopped there."""
        if not job.stopping.is_set():
            job.phase, job.secondary = phase, secondary
            job.events.append(stage or phase)
            job.stages += [stage] if stage else []
        if job.stopping.wait(self._beat):
            self._end(job, "Terminated", "Terminated", "terminated by user")
            return False
        return True

    def _end(self, job: TrainingJob, phase: str, secondary: str, message: str) -> None:
        job.message = message
        job.ended = job.ended or time.time()
        job.phase, job.secondary = phase, secondary
        job.events.append(phase)
