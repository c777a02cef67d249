"""A run as a training job of ModelArts: what is asked for, and that it is asked for once."""

from __future__ import annotations

import math
import time
from typing import Any

from trainyard.compute.contract import SubmissionRefusedError
from trainyard.compute.modelarts.client import ModelArtsClient, ModelArtsError, UnansweredError
from trainyard.compute.modelarts.place import BOOT_FILE, REPORT_ARGUMENT, Place
from trainyard.compute.modelarts.states import TIMEOUT_VARIABLE
from trainyard.model.catalogue import Flavor, Framework
from trainyard.model.money import GRACE
from trainyard.model.request import RunRequest
from trainyard.model.spec import AIM_ARGUMENT, OUTPUT_ARGUMENT, Scalar
from trainyard.model.text import Text

ENGINE = "Ascend-Powered-Engine"
NOTIFIED = ["JobCompleted", "JobFailed", "JobTerminated"]
MAX_VARIABLES = 100
# How soon a job that was made shows in a search is nowhere promised.
_LOOKS, _LOOK_SECONDS = 4, 2.0


def description(
    request: RunRequest, framework: Framework, flavor: Flavor, place: Place, topic: str = ""
) -> dict[str, Any]:
    """The body of the call that creates the job. `topic`: SMN topic that hears of its end; "": none.

    SubmissionRefusedError where ModelArts could not be given what the run wants.
    """
    spec = request.spec
    if spec.processes not in ("auto", 1, flavor.accelerators):
        raise SubmissionRefusedError(_processes(flavor.accelerators))
    outputs = [name for name, wanted in ((OUTPUT_ARGUMENT, spec.output), (AIM_ARGUMENT, spec.aim)) if wanted]
    job: dict[str, Any] = {
        "kind": "job",
        "metadata": {"name": request.run_id, "description": f"{request.project} {request.name}"[:256]},
        "algorithm": {
            "code_dir": place.url(place.code),
            "boot_file": place.url(place.code + BOOT_FILE),
            "engine": {"engine_name": ENGINE, "engine_version": framework.version},
            "parameters": [
                {"name": name, "value": _word(value)}
                for name, value in spec.hyperparameters.items()
                if not isinstance(value, list)
            ],
            "inputs": [
                {"name": pinned.argument, "remote": {"obs": {"obs_url": place.url(place.input(pinned.argument))}}}
                for pinned in request.inputs
            ],
            "outputs": [
                {"name": name, "remote": {"obs": {"obs_url": place.url(place.output(name))}}}
                for name in (*outputs, REPORT_ARGUMENT)
            ],
            "environments": environment(request),
        },
        "spec": {
            "resource": {"flavor_id": flavor.instance, "node_count": spec.nodes},
            "log_export_path": {"obs_url": place.url(place.log)},
            "auto_stop": {"time_unit": "HOURS", "duration": _hours(request)},
        },
    }
    if spec.retries:
        job["metadata"]["annotations"] = {"fault-tolerance/job-retry-num": str(spec.retries)}
    if topic:
        job["spec"]["notification"] = {"topic_urn": topic, "events": NOTIFIED}
    return job


def environment(request: RunRequest) -> dict[str, str]:
    """The script's variables. SubmissionRefusedError for more than ModelArts takes."""
    wanted = request.spec.env
    if len(wanted) > MAX_VARIABLES - 3:
        raise SubmissionRefusedError(
            Text(
                en=f"ModelArts takes {MAX_VARIABLES - 3} variables at most; shorten `env`.",
                zh=f"ModelArts 最多接受 {MAX_VARIABLES - 3} 个变量，请精简 `env`。",
            )
        )
    own = {
        "TRAINYARD_RUN_ID": request.run_id,
        "TRAINYARD_ATTEMPT": "1",
        TIMEOUT_VARIABLE: str(round(request.spec.timeout.total_seconds())),
    }
    return {**wanted, **own}


def create_once(client: ModelArtsClient, job: dict[str, Any]) -> dict[str, Any]:
    """The job of that name: the one that is there, else a new one.

    An answer that was lost is looked for before anything is tried again. Only one caller at a time may ask for a name.

    Raises:
        SubmissionRefusedError: ModelArts will never take it as it is.
        ModelArtsError, UnansweredError: not now, or nobody knows; to call this again is safe.
    """
    name = job["metadata"]["name"]
    there = client.find(name)
    if there:
        return there[0]
    try:
        return client.create(job)
    except ModelArtsError as error:
        if error.is_final:
            raise SubmissionRefusedError(_refused(error)) from error
        raise
    except UnansweredError:
        for look in range(_LOOKS):
            if look:
                time.sleep(_LOOK_SECONDS)
            there = client.find(name)
            if there:
                return there[0]
        raise


def _refused(error: ModelArtsError) -> Text:
    return Text(
        en=f"ModelArts refuses the job: {error.message} ({error.code}). Choose another flavor or framework, or ask the "
        "operator.",
        zh=f"ModelArts 拒绝了该作业：{error.message}（{error.code}）。请选择其他规格或框架，或联系管理员。",
    )


def _processes(cards: int) -> Text:
    return Text(
        en=f"ModelArts starts one process for each of this flavor's {cards} cards: write `processes: auto`, or 1.",
        zh=f"ModelArts 每张卡启动一个进程，该规格有 {cards} 张卡：请写 `processes: auto`，或 1。",
    )


def _hours(request: RunRequest) -> int:
    """ModelArts' own limit lies behind ours, which the boot file keeps to the second."""
    return max(1, math.ceil((request.spec.timeout + GRACE).total_seconds() / 3600))


def _word(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
