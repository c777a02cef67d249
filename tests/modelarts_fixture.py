"""ModelArts as the embedded stack plays it, with jobs that do what `PROGRAM` says, and carriers that carry nothing."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from infra.local.modelarts.server import ModelArtsServer
from trainyard.compute.contract import ComputeBackend, JobEnd, JobRequest, JobStatus, SubmissionRefusedError
from trainyard.compute.modelarts.backend import ModelArts, errand_of_carrier, run_of_carrier
from trainyard.compute.modelarts.client import ModelArtsClient
from trainyard.compute.modelarts.credentials import Credentials
from trainyard.compute.modelarts.place import Place
from trainyard.compute.modelarts.training import create_once, description
from trainyard.model.catalogue import Framework, load_catalogue
from trainyard.model.lifecycle import JobPhase
from trainyard.model.request import RunRequest
from trainyard.model.run import Job
from trainyard.model.spec import Machines, RunSpec
from trainyard.model.text import Text

AK, SK, PROJECT = "AKEXAMPLE", "secret-of-the-example", "77b6a44cba5143ab91d13ab9a8ff44fd"
ACCOUNT = f'{{"ak": "{AK}", "sk": "{SK}", "project_id": "{PROJECT}", "region": "cn-north-4"}}'
FLAVOR, ENGINE = "modelarts.kat1.xlarge.public", "mindspore_2.3.0-cann_8.0.rc1-py_3.9-euler_2.10.7-aarch64"
PROGRAMS = {"ok": "print('ok')", "fail": "raise SystemExit(3)", "sleep": "import time; time.sleep(60)"}


class Program:
    """A container that runs one of PROGRAMS."""

    def __init__(self, body: dict[str, Any], folder: Path, job_id: str) -> None:
        self.log = folder / f"{job_id}.log"
        self._program = PROGRAMS[body["algorithm"]["environments"].get("PROGRAM", "ok")]
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def prepare(self) -> None:
        pass

    def run(self) -> int:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen([sys.executable, "-c", self._program], stdout=log, stderr=log)
        if self._stopped:
            self._process.kill()
        return self._process.wait(90)

    def stop(self) -> None:
        self._stopped = True
        if self._process is not None:
            self._process.kill()

    def finish(self) -> None:
        pass


class Carriers(ComputeBackend):
    """Batch's part, in memory: `carry` is called in a thread for each job; what it raises fails the job."""

    name = "carriers"

    def __init__(self, carry: Callable[[JobRequest], None]) -> None:
        self._carry = carry
        self.jobs: dict[str, JobStatus] = {}
        self.submitted: list[JobRequest] = []
        self.threads: list[threading.Thread] = []

    def submit(self, request: JobRequest) -> Job:
        if request.queue != "cpu":
            raise SubmissionRefusedError(Text(en="not there; ask the operator", zh="请联系管理员"))
        self.submitted.append(request)
        job = Job(backend=self.name, id=f"carrier-{len(self.submitted)}", queue=request.queue)
        if request.run_id in self.jobs:
            return job
        self.jobs[request.run_id] = JobStatus(
            job=job, run_id=request.run_id, attempt=1, phase=JobPhase.RUNNING, started_at=datetime.now(UTC)
        )
        thread = threading.Thread(target=self._run, args=(request,), daemon=True)
        self.threads.append(thread)
        thread.start()
        return job

    def find_by_name(self, run_id: str, queue: str, machines: Machines = Machines.ON_DEMAND) -> Job | None:
        status = self.jobs.get(run_id)
        return status.job if status else None

    def describe(self, job: Job) -> JobStatus | None:
        return next((status for status in self.jobs.values() if status.job.id == job.id), None)

    def stop(self, job: Job, reason: str) -> None:
        for name, status in list(self.jobs.items()):
            if status.job.id == job.id and status.phase is JobPhase.RUNNING:
                self._become(name, JobPhase.FAILED, JobEnd.STOPPED, reason)

    def _run(self, request: JobRequest) -> None:
        try:
            self._carry(request)
        except Exception as error:
            self._become(request.run_id, JobPhase.FAILED, JobEnd.SCRIPT, str(error))
        else:
            if self.jobs[request.run_id].phase is JobPhase.RUNNING:
                self._become(request.run_id, JobPhase.SUCCEEDED)

    def _become(self, name: str, phase: JobPhase, end: JobEnd | None = None, reason: str = "") -> None:
        self.jobs[name] = self.jobs[name].model_copy(update={"phase": phase, "end": end, "reason": reason})


def client_of(server: ModelArtsServer, **changes: Any) -> ModelArtsClient:
    return ModelArtsClient(Credentials(lambda: ACCOUNT), server.endpoint, pauses=(0.01, 0.02), **changes)


def run_request(run_id: str = "run-1", inputs: list[Any] | None = None, **spec: Any) -> RunRequest:
    wanted = {
        "code_dir": "train", "boot_file": "train.py", "framework": "mindspore-ascend",
        "flavor": "ascend-910", **spec,
    }  # fmt: skip
    return RunRequest(
        run_id=run_id, name="lenet5", project="demo/lenet5", commit="a" * 40, spec=RunSpec.model_validate(wanted),
        code_key=f"runs/{run_id}/code.tar.gz", inputs=inputs or [],
    )  # fmt: skip


def job_body(run_id: str = "run-1", program: str = "ok", topic: str = "", **spec: Any) -> dict[str, Any]:
    """The body that our client would send for a small run."""
    catalogue = load_catalogue()
    framework = catalogue.framework("mindspore-ascend")
    flavor = catalogue.flavor("ascend-910")
    assert framework is not None
    assert flavor is not None
    framework = Framework.model_validate({**framework.model_dump(), "version": ENGINE})
    flavor = flavor.model_copy(update={"instance": FLAVOR})
    request = run_request(run_id, **{**spec, "env": {"PROGRAM": program, **spec.get("env", {})}})
    return description(request, framework, flavor, Place("obs-bucket", run_id), topic)


@contextmanager
def modelarts(folder: Path, **arguments: Any) -> Iterator[ModelArtsServer]:
    def make(body: dict[str, Any], job_id: str) -> Program:
        return Program(body, folder, job_id)

    with ModelArtsServer(make, keys={AK: SK}, project=PROJECT, beat=0.02, **arguments) as server:
        yield server


@contextmanager
def backend(folder: Path) -> Iterator[tuple[ModelArtsServer, ModelArts, Carriers]]:
    """The production backend on such a ModelArts; its first carrier only creates the job."""
    with modelarts(folder) as server:

        def carry(request: JobRequest) -> None:
            if not errand_of_carrier(request.run_id):
                program = request.environment.get("PROGRAM", "ok")
                timeout = request.timeout if request.timeout < timedelta(minutes=2) else timedelta(hours=1)
                body = job_body(run_of_carrier(request.run_id), program, timeout=timeout.total_seconds())
                create_once(client_of(server), body)

        carriers = Carriers(carry)
        yield server, ModelArts(client_of(server), carriers), carriers
        for thread in carriers.threads:
            thread.join(10)
