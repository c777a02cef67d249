"""The embedded stack's AWS Batch: its wire on a loopback port, its jobs as processes of this machine."""

import contextlib
import shutil
import tempfile
import threading
import time
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from infra.local.batch import events, launch, lifecycle, listing, scheduler, statefile, submission
from infra.local.batch.logs import LogShipper
from infra.local.batch.records import TERMINAL, Place, State, Wire
from infra.local.batch.refusal import Refusal, Throttled
from infra.local.batch.resources import Resources
from infra.local.batch.wire import Application, Operation

_LARGEST_BODY = 1024 * 1024  # bytes; the wire itself refuses SubmitJob above 30 KiB


class BatchServer:
    """An AWS Batch for unmodified clients: give its address to boto3 as AWS_ENDPOINT_URL_BATCH.

    It may be started once. With a state file, a new server over the same file goes on where this one stopped.
    """

    def __init__(
        self,
        *,
        images: Mapping[str, launch.Image] | None = None,
        launcher: launch.Launcher | None = None,
        platform_env: Mapping[str, str] | None = None,
        on_event: events.OnEvent | None = None,
        event_source: str = "aws.batch",
        logs_client: Any = None,
        state_file: Path | None = None,
        work_dir: Path | None = None,
        port: int = 0,
        place: Place | None = None,
        grace: float = 30.0,
        second: float = 1.0,
        submission_allowed: Callable[[], bool] | None = None,
        role_credentials: launch.RoleCredentials = launch.credentials_of_nobody,
    ) -> None:
        """images: how each image's command runs here; or launcher, which decides it all.

        platform_env: variables laid over every job's own (endpoints, credentials, region).
        on_event: gets each job state change in EventBridge's shape, in order, at least once (`events.to_event_bridge`).
        logs_client: boto3's `logs`; job output is shipped to /aws/batch/job when given.
        work_dir: holds `scratch/` (one folder per attempt, removed after it) and `logs/<job id>/<attempt>.log`.
        port: 0 for a free one. grace: seconds between SIGTERM and SIGKILL.
        second: how long one second of a job's timeout and of the grace takes; less than 1 only in tests.
        submission_allowed: asked, under the lock, at every SubmitJob; what it denies is throttled (see `Allowance`).
        role_credentials: variables for a job that has a role, from the role's ARN.
        Raises ValueError when the state file holds something else.
        """
        self._place = place or Place()
        self._port = port
        self._temporary = work_dir is None
        self._work_dir = work_dir or Path(tempfile.mkdtemp(prefix="batch-"))
        self._state: State = statefile.load(state_file)
        self._lock = threading.Condition(threading.RLock())
        self._saver = statefile.Saver(state_file, self._state, self._lock)
        self._shipper = LogShipper(logs_client) if logs_client is not None else None
        settings = scheduler.Settings(
            place=self._place,
            source=event_source,
            launcher=launcher or launch.from_images(images or {}),
            platform_env=dict(platform_env or {}),
            scratch=self._work_dir / "scratch",
            logs=self.logs_dir,
            grace=grace,
            second=second,
            role_credentials=role_credentials,
        )
        self._scheduler = scheduler.Scheduler(self._state, self._lock, self._saver, settings, self._shipper)
        self._deliverer = events.Deliverer(
            self._state.outbox, self._lock, on_event or _nobody_listens, self._saver.changed
        )
        self._submission_allowed = submission_allowed
        self._resources = Resources(self._state, self._place)
        self._http: _Http | None = None

    @property
    def logs_dir(self) -> Path:
        return self._work_dir / "logs"

    @property
    def endpoint(self) -> str:
        """The server's address. Raises RuntimeError before `start`."""
        if self._http is None:
            raise RuntimeError("not started")
        return self._http.address

    def start(self) -> str:
        """Serve and schedule; returns the endpoint's address, `http://127.0.0.1:port`."""
        self._http = _Http(Application(self._operations(), self._faults()), self._port)
        shutil.rmtree(self._work_dir / "scratch", ignore_errors=True)
        self._saver.start()
        if self._shipper:
            self._shipper.start()
        self._deliverer.start()
        self._scheduler.start()
        self._http.start()
        return self.endpoint

    def stop(self) -> None:
        """Kill every job's processes, deliver and save what is left, each for a bounded time. Twice is fine."""
        if self._http is None or self._http.stopped:
            return
        self._http.stop()
        self._scheduler.stop()
        self._deliverer.stop(patience=3.0)
        if self._shipper:
            self._shipper.stop(patience=3.0)
        self._saver.stop()
        if self._temporary:
            shutil.rmtree(self._work_dir, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self.stop()

    def log_path(self, job_id: str, attempt: int = 1) -> Path:
        """The file with stdout and stderr of a job's attempt (from 1); it exists once the attempt has started."""
        return scheduler.log_path(self.logs_dir, job_id, attempt)

    def reclaim(self, job_id: str) -> None:
        """Take the instance from under a running job, as a spot reclaim does. Raises Refusal for an unknown job."""
        with self._lock:
            self._scheduler.reclaim(self._state.job(job_id))

    def starve(self, compute_environment: str, *, starved: bool = True, reason: str = lifecycle.NO_CAPACITY) -> None:
        """As if AWS had no machine for this environment: what runs goes on, nothing new starts. Refusal if unknown.

        reason: what Batch says of that.
        """
        with self._lock:
            name = self._state.compute_environment(compute_environment)["computeEnvironmentName"]
            self._scheduler.starve(name, reason if starved else None)

    def wait_idle(self, timeout: float) -> bool:
        """Wait until every job has ended and every event is out; False when `timeout` seconds were not enough."""
        with self._lock:
            return self._lock.wait_for(
                lambda: not self._state.outbox and all(job.status in TERMINAL for job in self._state.jobs.values()),
                timeout=timeout,
            )

    def _operations(self) -> dict[str, Operation]:
        made = self._resources
        changing: dict[str, Operation] = {
            "CreateComputeEnvironment": made.create_compute_environment,
            "UpdateComputeEnvironment": made.update_compute_environment,
            "DeleteComputeEnvironment": made.delete_compute_environment,
            "CreateSchedulingPolicy": made.create_scheduling_policy,
            "UpdateSchedulingPolicy": made.update_scheduling_policy,
            "DeleteSchedulingPolicy": made.delete_scheduling_policy,
            "CreateJobQueue": made.create_job_queue,
            "UpdateJobQueue": made.update_job_queue,
            "DeleteJobQueue": made.delete_job_queue,
            "RegisterJobDefinition": made.register_job_definition,
            "TagResource": made.tag_resource,
            "SubmitJob": self._submit_job,
            "TerminateJob": self._ending(self._scheduler.terminate),
            "CancelJob": self._ending(self._scheduler.cancel),
        }
        reading: dict[str, Operation] = {
            "DescribeComputeEnvironments": made.describe_compute_environments,
            "DescribeSchedulingPolicies": made.describe_scheduling_policies,
            "ListSchedulingPolicies": made.list_scheduling_policies,
            "DescribeJobQueues": made.describe_job_queues,
            "DescribeJobDefinitions": made.describe_job_definitions,
            "ListTagsForResource": made.list_tags_for_resource,
            "DescribeJobs": lambda request: listing.describe_jobs(self._state, request),
            "ListJobs": lambda request: listing.list_jobs(self._state, request),
            "GetJobQueueSnapshot": lambda request: listing.queue_snapshot(
                self._state, self._scheduler.in_order, request
            ),
        }
        return {
            **{name: self._reads(operation) for name, operation in reading.items()},
            **{name: self._changes(operation) for name, operation in changing.items()},
        }

    def _faults(self) -> dict[str, Operation]:
        def reclaim(request: Wire) -> Wire:
            self.reclaim(str(request.get("job")))
            return {}

        def starve(request: Wire) -> Wire:
            reason = str(request.get("reason") or lifecycle.NO_CAPACITY)
            self.starve(str(request.get("environment")), starved=bool(request.get("starved", True)), reason=reason)
            return {}

        return {"reclaim": reclaim, "starve": starve}

    def _reads(self, operation: Operation) -> Operation:
        def perform(request: Wire) -> Wire:
            with self._lock:
                return operation(request)

        return perform

    def _changes(self, operation: Operation) -> Operation:
        """What the client is told has happened is saved before it is told."""

        def perform(request: Wire) -> Wire:
            with self._lock:
                answer = operation(request)
                self._scheduler.wake()
            self._saver.flush()
            return answer

        return perform

    def _submit_job(self, request: Wire) -> Wire:
        if self._submission_allowed is not None and not self._submission_allowed():
            raise Throttled
        detail = submission.submit(self._state, self._place, request).detail
        return {name: detail[name] for name in ("jobArn", "jobName", "jobId")}

    def _ending(self, end: Callable[[Any, str], None]) -> Operation:
        def perform(request: Wire) -> Wire:
            if not request["reason"].strip() or len(request["reason"]) > 1024:
                raise Refusal("reason must be given, with at most 1024 characters")
            end(self._state.job(request["jobId"]), request["reason"])
            return {}

        return perform


class _Http:
    """waitress in a thread, with an end."""

    def __init__(self, application: Application, port: int) -> None:
        import waitress.server

        self._sockets: dict[int, Any] = {}
        self._server = waitress.server.create_server(
            application,
            map=self._sockets,
            host="127.0.0.1",
            port=port,
            threads=8,
            ident=None,
            max_request_body_size=_LARGEST_BODY,
        )
        self.address = f"http://127.0.0.1:{self._server.effective_port}"
        self.stopped = False
        self._thread = threading.Thread(target=self._serve, name="batch-http", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _serve(self) -> None:
        from waitress import wasyncore

        while not self.stopped:
            wasyncore.loop(timeout=1.0, map=self._sockets, count=1)
        self._server.task_dispatcher.shutdown()
        wasyncore.close_all(self._sockets)

    def stop(self) -> None:
        self.stopped = True
        # Its loop may have looked at `stopped` by itself already and closed what would wake it.
        with contextlib.suppress(OSError):
            self._server.trigger.pull_trigger()
        self._thread.join(10.0)


class Allowance:
    """A token bucket that holds one second's worth: AWS takes 50 submissions a second of an account."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._left = per_second
        self._at = time.monotonic()

    def __call__(self) -> bool:
        """Whether one more call is allowed now. Callers hold the server's lock."""
        now = time.monotonic()
        self._left = min(self._per_second, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def _nobody_listens(_event: Wire) -> None:
    """The on_event of a server that was given none."""
