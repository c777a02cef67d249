"""Ascend through ModelArts.

ModelArts reads and writes OBS only, so a run takes three steps, and one name leads through all of them: the run's id.

    carrier `run-...` on Batch      S3 -> OBS, then creates the training job `run-...`
    training job on ModelArts       the user's script
    carrier `run-...-out` on Batch  OBS -> S3, the result as every run leaves it, and what lies in OBS is removed

The first carrier is what `submit` submits: that it is one, and that it is found again, is Batch's part of the contract;
that it creates one training job is `training.create_once`. The second is submitted by whoever sees the training's end.
Should two see it at the same moment, the later carrier finds the earlier one's claim and leaves. Where the first one
failed, `run-...-clear` removes what it had brought to OBS.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from typing import Any

from trainyard.compute.contract import ComputeBackend, JobEnd, JobRequest, JobStatus, SubmissionRefusedError
from trainyard.compute.modelarts.client import ModelArtsClient
from trainyard.compute.modelarts.credentials import Credentials, stored_parameter
from trainyard.compute.modelarts.states import Seen, seen, timeout_of
from trainyard.model.lifecycle import JobPhase
from trainyard.model.money import GRACE
from trainyard.model.run import Job
from trainyard.model.settings import settings
from trainyard.model.spec import Machines
from trainyard.model.text import Text

CARRIER = "carrier"
"""Name of the carriers' job definition."""
OUT, CLEAR = "-out", "-clear"
"""What the names of further carriers end in."""
_VCPUS, _MEMORY_MIB = 2, 4096
# A terabyte at 50 MB/s takes six hours.
_CARRIER_TIMEOUT = timedelta(hours=12)
_CARRIER_TRIES = 3

_BEING_SENT = Text(
    en="Its code and data are on their way to Huawei Cloud. Nothing is charged for Ascend machines meanwhile.",
    zh="代码和数据正在传输到华为云，期间不产生昇腾机器费用。",
)
_WAITING = Text(
    en="ModelArts has it and looks for a free Ascend machine. Nothing is charged while it waits.",
    zh="ModelArts 已接收作业，正在等待空闲的昇腾机器，等待期间不计费。",
)
_BEING_FETCHED = Text(
    en="The script has ended; what it left is on its way back from Huawei Cloud.",
    zh="脚本已结束，输出正在从华为云取回。",
)


class ModelArts(ComputeBackend):
    """`carriers`: the backend that runs the carriers."""

    name = "modelarts"
    must_be_asked = True
    carries_nodes = True

    def __init__(self, client: ModelArtsClient | None = None, carriers: ComputeBackend | None = None) -> None:
        self._given_client, self._given_carriers = client, carriers

    @cached_property
    def _client(self) -> ModelArtsClient:
        return self._given_client or our_client()

    @cached_property
    def _carriers(self) -> ComputeBackend:
        if self._given_carriers is not None:
            return self._given_carriers
        from trainyard.compute.aws_batch import AwsBatch

        return AwsBatch()

    def submit(self, request: JobRequest) -> Job:
        # Asked before anything is carried: what the account does not offer would be refused only after hours.
        self._require(request)
        self._carriers.submit(_carrier(request.run_id, request.owner, request.queue, request.environment))
        return self._job(request.run_id, request.queue)

    def find_by_name(self, run_id: str, queue: str, machines: Machines = Machines.ON_DEMAND) -> Job | None:  # noqa: ARG002
        # Batch forgets what ended a week ago, ModelArts does not.
        carried = self._carriers.find_by_name(run_id, queue)
        if carried is not None:
            return self._job(run_id, queue)
        return self._job(run_id, queue) if self._client.find(run_id) else None

    def describe(self, job: Job) -> JobStatus | None:
        training = self._training(job)
        if training is None:
            return self._before_training(job)
        return self._status(job, self._look(training))

    def attend(self, job: Job) -> JobStatus | None:
        training = self._training(job)
        if training is None:
            status = self._before_training(job)
            if status is not None and status.phase is JobPhase.FAILED and status.started_at is not None:
                self._send_once(job, CLEAR)
            return status
        now = self._look(training)
        if now.has_ended and not now.doubtful:
            self._send_once(job, OUT)
        limit = timeout_of(training)
        if now.phase is JobPhase.RUNNING and limit is not None and now.seconds > limit + GRACE.total_seconds():
            # The boot file keeps the time limit; this is for one that cannot.
            self._client.stop(training["metadata"]["id"])
        return self._status(job, now)

    def nodes_of(self, job: Job, indexes: Sequence[int]) -> list[JobStatus]:
        """ModelArts starts and ends its machines together: each stands where the job does."""
        status = self.describe(job)
        return [status.model_copy(update={"node": index}) for index in indexes] if status else []

    def live_log(self, job: Job, offset: int, node: int = 0) -> bytes:
        training = self._training(job)
        if training is None or training["status"].get("phase") not in ("Running", "Terminating"):
            return b""
        preview = self._client.log_preview(training["metadata"]["id"], f"worker-{node}")
        return fresh_lines(preview, offset) if preview else b""

    def stop(self, job: Job, reason: str) -> None:
        carried = self._carriers.find_by_name(job.id, job.queue)
        if carried is not None:
            self._carriers.stop(carried, reason)
        # Also after the carrier was stopped: it may just have created the job.
        for training in self._client.find(job.id):
            self._client.stop(training["metadata"]["id"])

    def _require(self, request: JobRequest) -> None:
        flavors = {flavor["flavor_id"] for flavor in self._client.flavors()}
        engines = {engine["engine_version"] for engine in self._client.engines()}
        for what, wanted, known in (
            ("flavor", request.instance, flavors),
            ("engine", request.version, engines),
        ):
            if wanted not in known:
                raise SubmissionRefusedError(_not_offered(what, wanted))

    def _training(self, job: Job) -> dict[str, Any] | None:
        found = self._client.find(job.id)
        return found[0] if found else None

    def _look(self, training: dict[str, Any]) -> Seen:
        running = training["status"].get("phase") == "Running"
        return seen(training, self._client.stages(training["metadata"]["id"]) if running else None)

    def _send_once(self, job: Job, errand: str) -> None:
        """Two at the same moment may both do it: the later carrier finds nothing to do."""
        if self._carriers.find_by_name(job.id + errand, job.queue) is None:
            self._carriers.submit(_carrier(job.id + errand, job.id, job.queue, {}))

    def _before_training(self, job: Job) -> JobStatus | None:
        carried = self._carriers.find_by_name(job.id, job.queue)
        status = self._carriers.describe(carried) if carried is not None else None
        if status is None:
            return None
        ended = status.phase is JobPhase.FAILED
        # One that has carried everything and created the job, which shows in a moment, is on its way as well.
        return JobStatus(
            job=self._job(job.id, job.queue),
            run_id=job.id,
            attempt=1,
            phase=JobPhase.FAILED if ended else JobPhase.QUEUED,
            end=status.end if ended else None,
            exit_code=status.exit_code if ended else None,
            reason=status.reason if ended else "",
            started_at=status.started_at if ended else None,
            waiting=None if ended else _BEING_SENT,
        )

    def _status(self, job: Job, now: Seen) -> JobStatus:
        status = JobStatus(
            job=self._job(job.id, job.queue),
            run_id=job.id,
            attempt=1,
            phase=now.phase,
            end=now.end,
            exit_code=now.exit_code,
            reason=now.reason,
            started_at=now.started_at,
            waiting=_WAITING if now.phase is JobPhase.QUEUED else None,
            seconds=now.seconds * now.machines if now.has_ended else 0.0,
            doubtful=now.doubtful,
        )
        if not now.has_ended or now.doubtful:
            return status
        return status.model_copy(update=self._homecoming(job))

    def _homecoming(self, job: Job) -> dict[str, Any]:
        """What the carrier that fetches the outputs changes: until it has ended, the run has not."""
        carried = self._carriers.find_by_name(job.id + OUT, job.queue)
        status = self._carriers.describe(carried) if carried is not None else None
        if status is None or status.phase not in (JobPhase.SUCCEEDED, JobPhase.FAILED):
            return {"phase": JobPhase.RUNNING, "end": None, "exit_code": None, "waiting": _BEING_FETCHED}
        if status.phase is JobPhase.FAILED:
            return {"phase": JobPhase.FAILED, "end": JobEnd.NOT_FETCHED, "reason": status.reason}
        return {}

    def _job(self, run_id: str, queue: str) -> Job:
        return Job(backend=self.name, id=run_id, queue=queue)


def our_client() -> ModelArtsClient:
    """ModelArts as this installation's settings say. RuntimeError where they say nothing of it."""
    known = settings()
    if not known.huawei_account:
        raise RuntimeError("this function is not told of ModelArts: TRAINYARD_HUAWEI_ACCOUNT is empty")
    return ModelArtsClient(Credentials(stored_parameter(known.huawei_account)), known.modelarts_endpoint)


def run_of_carrier(job_name: str) -> str:
    """The run that a Batch job of that name belongs to; the name itself for a job that is no further carrier."""
    return job_name.removesuffix(errand_of_carrier(job_name))


def errand_of_carrier(job_name: str) -> str:
    """OUT, CLEAR or "" for the first one, which has the run's own name."""
    return next((errand for errand in (OUT, CLEAR) if job_name.endswith(errand)), "")


def fresh_lines(preview: dict[str, Any], offset: int) -> bytes:
    """Whole lines behind `offset` of a log, of which a preview holds the last megabytes.

    b"" where it begins only behind `offset`: the second carrier has the whole log and fills what is missing.
    """
    content = str(preview.get("content") or "").encode()
    begin = int(preview.get("full_size") or 0) - int(preview.get("current_size") or 0)
    if len(content) != int(preview.get("current_size") or 0) or not begin <= offset:
        return b""
    return content[offset - begin : content.rfind(b"\n") + 1]


def _carrier(name: str, owner: str, queue: str, environment: dict[str, str]) -> JobRequest:
    return JobRequest(
        run_id=name,
        owner=owner,
        queue=queue,
        job_definition=CARRIER,
        vcpus=_VCPUS,
        memory_mib=_MEMORY_MIB,
        timeout=_CARRIER_TIMEOUT,
        retries=_CARRIER_TRIES - 1,
        environment=environment,
    )


def _not_offered(what: str, name: str) -> Text:
    return Text(
        en=f"The account at ModelArts has no {what} {name!r}. Choose another flavor or framework, or ask the operator.",
        zh=f"ModelArts 账号不提供 {name!r}（{what}）。请选择其他规格或框架，或联系管理员。",
    )
