"""What a user asks for: the model behind `trainyard.yaml`, the form and the API alike."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AllowInfNan,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from trainyard.model.ids import is_run_id
from trainyard.model.image import ImageReference
from trainyard.model.installation import timeout_if_none_is_said
from trainyard.model.repository import FULL_NAME, FullName
from trainyard.model.scopes import Scopes

RUN_NAME = r"^[A-Za-z0-9_-]{1,50}$"
LATEST_RUN = re.compile(rf"latest +(?P<project>{FULL_NAME.pattern})( +(?P<name>[A-Za-z0-9_-]{{1,50}}))?")
"""The newest run of a project that succeeded, or of one name in it."""
S3_ADDRESS = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(/(?P<prefix>[^\x00-\x1f\x7f]*))?")
# Names of arguments and variables: what `argparse` and a shell both take.
ARGUMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
# The runner's own words; a script that could set them could pretend to be the platform.
# Of ModelArts' own, one may be chosen: how the script is started on several cards.
RESERVED_ENVIRONMENT = re.compile(
    r"(AWS|TRAINYARD|LD|UV|PIP|PYTHON(?!UNBUFFERED|HASHSEED))_?.*|MA_(?!RUN_METHOD$).*|MA"
)
OUTPUT_ARGUMENT = "output_path"
AIM_ARGUMENT = "aim_repo"
EVALUATED_ARGUMENT = "model_url"
"""What an evaluation script is given the outputs of the evaluated run as."""

MAX_NODES = 64
MIN_TIMEOUT = timedelta(minutes=1)
MAX_TIMEOUT = timedelta(days=14)
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|m|h|d)\s*")
_UNIT = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_duration(value: Any) -> Any:
    """`90s`, `30m`, `2h`, `1d` or a number of seconds; anything else is left for pydantic to refuse."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value
    if isinstance(value, int | float):
        try:
            return timedelta(seconds=value)
        except (OverflowError, ValueError):  # ValueError: NaN
            raise ValueError("that duration is too long") from None
    match = _DURATION.fullmatch(value)
    if match is None:
        raise ValueError("write a duration as 90s, 30m, 2h or 1d")
    try:
        return timedelta(**{_UNIT[match[2]]: float(match[1])})
    except OverflowError:
        raise ValueError("that duration is too long") from None


def format_duration(value: timedelta) -> str:
    """The shortest exact spelling that `parse_duration` reads back: `2h`, `90s`."""
    seconds = value.total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{seconds:g}s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration, json_schema_input_type=str | float),
    PlainSerializer(format_duration, return_type=str),
]
Scalar = str | bool | int | Annotated[float, AllowInfNan(False)]
"""A value of a hyperparameter: what YAML can write on one line. It is kept as JSON, which knows no NaN."""

MAX_CHILDREN = 10_000
"""AWS Batch's largest array job."""
_MAX_HYPERPARAMETER_BYTES = 100_000
"""Linux takes no single argument of 128 KiB."""
Hyperparameter = Scalar | Annotated[list[Scalar], Field(min_length=1, max_length=MAX_CHILDREN)]
"""One value, or several to be tried: then the run is a sweep, one training for each combination."""


class Input(BaseModel):
    """Where an argument's files come from: exactly one of `dataset`, `model`, `run` and `s3`."""

    model_config = ConfigDict(extra="forbid")

    dataset: FullName | None = Field(None, description="A data set repository, owner/name.")
    model: FullName | None = Field(None, description="A model repository, owner/name.")
    run: Annotated[str, StringConstraints(max_length=250)] | None = Field(
        None,
        description="A former run whose output is used: its id, or `latest OWNER/PROJECT` or `latest OWNER/PROJECT "
        "NAME` for the newest run of the project, or of that name in it, that succeeded.",
    )
    child: Annotated[int, Field(ge=0, lt=MAX_CHILDREN)] | None = Field(
        None, description="Of a run that is a sweep: the index of the training whose output is used, from 0."
    )
    s3: Annotated[str, StringConstraints(max_length=1100)] | None = Field(
        None, description="`s3://BUCKET/PREFIX`, where the operator allowed it. A prefix is taken as a folder."
    )
    revision: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        None,
        description="Branch, tag or commit of the repository, its default branch if left out; of s3 the digest that a "
        "former run shows, to use exactly those objects.",
    )
    path: Annotated[str, StringConstraints(max_length=500)] = Field(
        "", description="One file or folder in it; all of it if left out. A file is passed as a file."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(source is not None for source in (self.dataset, self.model, self.run, self.s3)) != 1:
            raise ValueError("name exactly one of dataset, model, run and s3")
        if self.run is not None and self.revision is not None:
            raise ValueError("a run's output has no revision; leave it out")
        if self.run is None and self.child is not None:
            raise ValueError("a child is a training of a sweep; name the sweep as `run`")
        return self

    @field_validator("path")
    @classmethod
    def _inside(cls, path: str) -> str:
        return relative_path(path)

    @field_validator("revision")
    @classmethod
    def _one_line(cls, revision: str | None) -> str | None:
        if revision is not None and not revision.isprintable():
            raise ValueError("a revision has no control characters: write a branch, tag or commit")
        return revision

    @field_validator("run")
    @classmethod
    def _names_a_run(cls, run: str | None) -> str | None:
        if run is not None and not is_run_id(run) and LATEST_RUN.fullmatch(run) is None:
            raise ValueError("write a run's id or `latest OWNER/PROJECT`")
        return run

    @field_validator("s3")
    @classmethod
    def _is_s3(cls, s3: str | None) -> str | None:
        if s3 is not None and S3_ADDRESS.fullmatch(s3) is None:
            raise ValueError("write s3://BUCKET/PREFIX")
        return s3


class PushTrigger(BaseModel):
    """Which pushes start the run: shell patterns, any branch if nothing is said."""

    model_config = ConfigDict(extra="forbid")

    branches: list[str] | None = Field(None, description="Branches, as shell patterns; `**` also crosses slashes.")
    tags: list[str] | None = Field(None, description="Tags, as shell patterns.")
    paths: list[str] | None = Field(None, description="Only pushes that touch one of these paths.")


class Triggers(BaseModel):
    model_config = ConfigDict(extra="forbid")

    push: PushTrigger | None = Field(None, description="A push starts it; left out with `on: {}`, none does.")


class EvaluationSpec(BaseModel):
    model_config = ConfigDict(extra="forbid")

    require: dict[str, str] = Field({}, description='What must hold at the end, such as {accuracy: ">= 0.9"}.')
    script: Annotated[str, StringConstraints(max_length=255)] | None = Field(
        None,
        description="A Python file, relative to code_dir, that is run after a run that succeeded: `--model_url` is the "
        "folder of its outputs, and what it writes to metrics.json in `--output_path` counts as metrics.",
    )
    scopes: Scopes = Field(
        Scopes(),
        description="Of code that trains once for each combination of values by itself: what it goes through. They "
        "name the groups of metrics in its log where it does not say them.",
    )
    inputs: dict[str, Input] = Field({}, description="What the script is given besides, such as the test set.")
    hyperparameters: dict[str, Scalar] = Field({}, description="Further arguments of the script.")
    timeout: Duration = Field(
        default_factory=lambda: timeout_if_none_is_said(timedelta(hours=1)),
        json_schema_extra={"default": "1h"},
        description="How long the script may take.",
    )

    @field_validator("script")
    @classmethod
    def _is_python_inside(cls, path: str | None) -> str | None:
        return None if path is None else python_path(path, "script")

    @field_validator("timeout")
    @classmethod
    def _bounded(cls, timeout: timedelta) -> timedelta:
        return bounded(timeout)

    @model_validator(mode="after")
    def _arguments(self) -> Self:
        if self.script is None and (self.inputs or self.hyperparameters):
            raise ValueError("inputs and hyperparameters are the script's; name it as `script`")
        check_arguments(self.inputs, self.hyperparameters, EVALUATED_ARGUMENT)
        return self


class Machines(StrEnum):
    """Which machines a run waits for."""

    ON_DEMAND = "on_demand"
    SPOT = "spot"
    """Cheaper, and taken back at two minutes' notice: set `retries`."""
    SPOT_FIRST = "spot_first"
    """Spot machines, and on-demand ones where none comes."""


class Priority(StrEnum):
    """Among the runs of one owner: what waits longer starts first, except for these."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class RunSpec(BaseModel):
    """One training run as a user describes it, in the file, the form or the API."""

    model_config = ConfigDict(extra="forbid")

    on: Triggers = Field(default_factory=lambda: Triggers(push=PushTrigger()), description="What starts it.")
    description: Annotated[str, StringConstraints(max_length=500)] = Field(
        "", description="For people: what this run is about."
    )
    code_dir: Annotated[str, StringConstraints(max_length=255)] = Field(
        "", description="Folder of the code; root if empty."
    )
    boot_file: Annotated[str, StringConstraints(min_length=1, max_length=255)] = Field(
        description="The Python file to run, relative to code_dir."
    )
    image: str = Field(
        "",
        description="In place of a framework: a container image of your own, REGISTRY/NAME:TAG or "
        "REGISTRY/NAME@DIGEST, from a registry that the operator allows. The script is run by its python3.",
    )
    framework: str = Field(
        "", validate_default=True, description="A framework's name in the catalogue; without one, name an image."
    )
    flavor: str = Field(description="A flavor's name in the catalogue.")
    inputs: dict[str, Input] = Field({}, description="Argument name to where its files come from.")
    hyperparameters: dict[str, Hyperparameter] = Field(
        {},
        description="`epochs: 10` becomes `--epochs 10`. A list makes the run a sweep: one training for each "
        f"combination of listed values, at most {MAX_CHILDREN}.",
    )
    env: dict[str, str] = Field({}, description="Environment variables of the script.")
    output: bool = Field(True, description="Pass --output_path and keep what the script writes there.")
    aim: bool = Field(False, description="Pass --aim_repo and read the Aim repository at the end.")
    timeout: Duration = Field(
        default_factory=timeout_if_none_is_said,
        json_schema_extra={"default": "1d"},
        description="How long an attempt may train: 30m, 2h, 1d. An operator may have set a longest time.",
    )
    retries: Annotated[int, Field(ge=0, le=9)] = Field(
        0, description="Further attempts when the host fails or is reclaimed."
    )
    machines: Machines = Field(
        Machines.ON_DEMAND, description="on_demand, spot, or spot_first: on-demand machines where no spot one comes."
    )
    processes: Literal["auto"] | Annotated[int, Field(ge=1, le=64)] = Field(
        1, description="Processes of the script, with RANK, WORLD_SIZE and so on; auto: one for each card."
    )
    nodes: Annotated[int, Field(ge=1, le=MAX_NODES)] = Field(
        1, description="Machines that train together: the script's processes run on each, and RANK counts across all."
    )
    priority: Priority = Field(Priority.NORMAL, description="low, normal or high, among the owner's own runs.")
    evaluation: EvaluationSpec = Field(default_factory=EvaluationSpec, description="What the result must fulfil.")

    @field_validator("code_dir")
    @classmethod
    def _inside(cls, path: str) -> str:
        return relative_path(path)

    @field_validator("boot_file")
    @classmethod
    def _is_python_inside(cls, path: str) -> str:
        return python_path(path, "boot file")

    @field_validator("image")
    @classmethod
    def _names_an_image(cls, image: str) -> str:
        return str(ImageReference.parse(image)) if image else ""

    @field_validator("framework")
    @classmethod
    def _one_ground(cls, framework: str, info: ValidationInfo) -> str:
        image = info.data.get("image")  # None: what was written there is told already
        if image is not None and bool(image) == bool(framework):
            raise ValueError("name either a framework or an image")
        return framework

    @field_validator("timeout")
    @classmethod
    def _bounded(cls, timeout: timedelta) -> timedelta:
        return bounded(timeout)

    @field_validator("hyperparameters")
    @classmethod
    def _combinations(cls, given: dict[str, Hyperparameter]) -> dict[str, Hyperparameter]:
        if sum(len(str(value).encode(errors="replace")) for value in given.values()) > _MAX_HYPERPARAMETER_BYTES:
            raise ValueError(
                f"hyperparameters hold more than {_MAX_HYPERPARAMETER_BYTES} bytes; put them into a file of the code"
            )
        for name, value in given.items():
            if isinstance(value, list) and len({(type(one), one) for one in value}) < len(value):
                raise ValueError(f"{name} lists a value twice")
        count = _combined(given)
        if count > MAX_CHILDREN:
            raise ValueError(f"the lists make {count} combinations; a sweep has at most {MAX_CHILDREN}")
        # Of a single value nothing is to be tried; Batch has no array of one either.
        return {
            name: value[0] if isinstance(value, list) and len(value) == 1 else value for name, value in given.items()
        }

    @field_validator("env")
    @classmethod
    def _environment(cls, env: dict[str, str]) -> dict[str, str]:
        if len(env) > 100:
            raise ValueError("at most 100 environment variables")
        for name, value in env.items():
            if not ENVIRONMENT_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not a name of an environment variable")
            if RESERVED_ENVIRONMENT.fullmatch(name):
                raise ValueError(f"{name} is reserved for the platform; choose another name")
            if len(value) > 4096 or "\0" in value:
                raise ValueError(f"the value of {name} is longer than 4096 characters or holds a null byte")
        return env

    @model_validator(mode="after")
    def _arguments(self) -> Self:
        check_arguments(self.inputs, self.hyperparameters)
        if self.evaluation.script is not None and not self.output:
            raise ValueError("an evaluation script needs what the run leaves: set `output: true`")
        if self.is_sweep and self.evaluation.script is not None:
            raise ValueError("a sweep has no evaluation script: it judges one training")
        if self.is_sweep and self.machines is Machines.SPOT_FIRST:
            raise ValueError("a sweep cannot change its machines: choose spot or on_demand")
        if self.nodes > 1 and self.is_sweep:
            raise ValueError("several nodes train one combination: a sweep has one machine for each")
        if self.nodes > 1 and self.machines is not Machines.ON_DEMAND:
            raise ValueError("several nodes are on-demand machines: AWS Batch takes no others together")
        return self

    @property
    def ground(self) -> str:
        """What the script stands on: the framework's name, or the image."""
        return self.framework or self.image

    @property
    def trainings(self) -> int:
        """How many trainings the run is made of: 1, or a sweep's combinations."""
        return _combined(self.hyperparameters)

    @property
    def machine_count(self) -> int:
        """Machines that are paid for in each attempt: of every training, every node."""
        return self.trainings * self.nodes

    @property
    def is_sweep(self) -> bool:
        return self.trainings > 1

    def combinations(self) -> list[dict[str, Scalar]]:
        """Of a sweep, by the index of the child: the values it is to try. The last list changes fastest."""
        if not self.is_sweep:
            return []
        lists = {name: value for name, value in self.hyperparameters.items() if isinstance(value, list)}
        return [dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())]

    @property
    def boot_path(self) -> str:
        """The boot file's path from the repository's root."""
        return self._in_code_dir(self.boot_file)

    @property
    def evaluation_path(self) -> str | None:
        """The evaluation script's path from the repository's root."""
        return None if self.evaluation.script is None else self._in_code_dir(self.evaluation.script)

    def _in_code_dir(self, path: str) -> str:
        return f"{self.code_dir}/{path}" if self.code_dir else path


class RunFile(BaseModel):
    """`trainyard.yaml`: the runs of a repository by name."""

    model_config = ConfigDict(extra="forbid")

    runs: dict[Annotated[str, StringConstraints(pattern=RUN_NAME)], RunSpec] = Field(
        min_length=1, max_length=100, description="The runs of the repository by name."
    )


def relative_path(path: str) -> str:
    """`path` with single slashes and none at its ends. ValueError where it leaves the folder it is relative to."""
    if "\\" in path or "\0" in path or path.startswith("/"):
        raise ValueError("write a path relative to the repository, with forward slashes")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError("a path may not contain `..`")
    return "/".join(parts)


def python_path(path: str, what: str) -> str:
    """`relative_path` of a Python file. ValueError, which calls it `what`, where it is none."""
    path = relative_path(path)
    if not path.endswith(".py"):
        raise ValueError(f"the {what} must be a .py file")
    return path


def bounded(timeout: timedelta) -> timedelta:
    """The time limit, if it is one that may be chosen. ValueError if not."""
    if not MIN_TIMEOUT <= timeout <= MAX_TIMEOUT:
        raise ValueError(f"choose from {format_duration(MIN_TIMEOUT)} to {format_duration(MAX_TIMEOUT)}")
    return timeout


def _combined(hyperparameters: Mapping[str, Hyperparameter]) -> int:
    return math.prod(len(value) for value in hyperparameters.values() if isinstance(value, list))


def _values(hyperparameters: Mapping[str, object]) -> Iterator[object]:
    for value in hyperparameters.values():
        yield from value if isinstance(value, list) else [value]


def check_arguments(inputs: Mapping[str, Input], hyperparameters: Mapping[str, object], *reserved: str) -> None:
    """ValueError where a script cannot be given all of these."""
    names = [*inputs, *hyperparameters]
    for name in names:
        if not ARGUMENT_NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot be the name of an argument")
        if name in (OUTPUT_ARGUMENT, AIM_ARGUMENT):
            raise ValueError(f"{name} is set by the platform: use `output: true` or `aim: true`")
        if name in reserved:
            raise ValueError(f"{name} is set by the platform: the outputs of the evaluated run")
    if any("\0" in str(value) for value in _values(hyperparameters)):
        raise ValueError("a hyperparameter holds a null byte, which no argument can; remove it")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{twice[0]} is both an input and a hyperparameter")
    if len(hyperparameters) > 100 or len(inputs) > 50:
        raise ValueError("at most 100 hyperparameters and 50 inputs")
