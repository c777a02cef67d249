"""What an attempt runs: from a job's container to an argument list and an environment, with no container.

An image name stands for a way to run its command on this machine: `Image(command_prefix=[sys.executable, "-m", ...])`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.local.batch import nodes
from infra.local.batch.records import Job, Wire, name_of, requirement
from infra.local.emulator.state import CREDENTIALS

_REF = re.compile(r"Ref::([A-Za-z0-9_-]+)")


class CannotLaunch(Exception):
    """The attempt can't start; the message becomes the container's reason, as ECS writes it."""


@dataclass(frozen=True)
class JobSpec:
    """One attempt as a launcher sees it. command: Ref:: replaced; environment: the job's own and Batch's variables.

    role: ARN of the role that the job has; "": none.
    """

    job_id: str
    job_name: str
    attempt: int
    image: str
    command: list[str]
    environment: dict[str, str]
    vcpus: float
    memory_mib: int
    role: str = ""


@dataclass(frozen=True)
class Launch:
    """A program to start: its argument list, and variables laid over the minimal environment (PATH, HOME, LANG)."""

    argv: list[str]
    env: dict[str, str]


@dataclass(frozen=True)
class Image:
    """How an image's command runs here: put after this prefix, with these variables beneath the job's own."""

    command_prefix: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> "Image":
        return cls(list(given.get("command_prefix", [])), dict(given.get("env", {})))


Launcher = Callable[[JobSpec], Launch]
RoleCredentials = Callable[[str], Mapping[str, str]]
"""A role's ARN to the variables that ECS gives its job."""


def spec(job: Job, node_properties: Wire | None = None) -> JobSpec:
    """The job's next attempt. node_properties: of the multi-node parallel job that it is a node of."""
    detail, container = job.detail, job.detail["container"]
    batch_own = {
        "AWS_BATCH_JOB_ID": job.job_id,
        "AWS_BATCH_JQ_NAME": job.queue_name,
        "AWS_BATCH_CE_NAME": job.environment_name,
        "AWS_BATCH_JOB_ATTEMPT": str(job.attempt),
    }
    if node_properties is not None:
        batch_own |= nodes.variables(job, node_properties)
    elif job.parent_id is not None:
        batch_own["AWS_BATCH_JOB_ARRAY_INDEX"] = str(detail["arrayProperties"]["index"])
    environment = {each["name"]: each.get("value", "") for each in container["environment"]}
    return JobSpec(
        job_id=job.job_id,
        job_name=detail["jobName"],
        attempt=job.attempt,
        image=container["image"],
        command=[_filled(word, detail["parameters"]) for word in container["command"]],
        environment={**environment, **batch_own},
        vcpus=job.vcpus,
        memory_mib=int(requirement(container, "MEMORY") or 0),
        role=container.get("jobRoleArn") or "",
    )


def credentials_of_nobody(_role: str) -> dict[str, str]:
    """For a role where no emulator looks at credentials."""
    return {name: value for name, value in CREDENTIALS.items() if "KEY" in name}


def _filled(word: str, parameters: Mapping[str, str]) -> str:
    """The word with each `Ref::name` replaced; a name without a parameter stays as it is."""
    return _REF.sub(lambda found: parameters.get(found[1], found[0]), word)


def from_images(images: Mapping[str, Image]) -> Launcher:
    """The default launcher: the image is looked up by its full name, then by its last part without tag or digest."""

    def launch(wanted: JobSpec) -> Launch:
        repository = re.split("[:@]", name_of(wanted.image))[0]
        image = images.get(wanted.image) or images.get(repository)
        if image is None:
            known = ", ".join(sorted(images)) or "none"
            raise CannotLaunch(f"CannotPullContainerError: {wanted.image} is not among the local images ({known})")
        return Launch([*image.command_prefix, *wanted.command], {**image.env, **wanted.environment})

    return launch
