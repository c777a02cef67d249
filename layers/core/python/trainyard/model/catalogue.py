"""The catalogue: which frameworks and flavors can be named. Data in `catalogue.json`, its shape here."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from trainyard.model.text import Text

if TYPE_CHECKING:
    from trainyard.model.spec import RunSpec


class Accelerator(StrEnum):
    NONE = "none"
    NVIDIA = "nvidia"
    ASCEND = "ascend"


class Framework(BaseModel):
    """An image that a script can run in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: Text
    version: str
    """The tutorial's spelling of the version where it has one."""
    backend: str = "aws_batch"
    """Name of the compute backend in the registry of `compute`."""
    accelerator: Accelerator
    python: str
    """`3.11`: the interpreter that the script gets."""
    provides: list[str] = []
    """Distributions that the image already holds, normalised names."""
    job_definition: str = ""
    """Logical name of the job definition; the operator's stack maps it to an ARN."""
    cuda: str | None = None
    cann: str | None = None
    retired: bool = False
    """Kept as history: it cannot be chosen any more."""
    replaced_by: str | None = None
    note: Text | None = None

    def job_definition_for(self, nodes: int) -> str:
        """Logical name of the job definition for a run on that many machines."""
        return _for_nodes(self.job_definition, nodes)


class Price(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    usd_per_hour: float = Field(ge=0)
    date: str
    """The day the price was read off, ISO 8601."""


class Flavor(BaseModel):
    """A size of machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: Text
    vcpus: int = Field(gt=0)
    memory_mib: int = Field(gt=0)
    accelerator: Accelerator
    accelerators: int = 0
    accelerator_model: str = ""
    accelerator_memory_gib: int = 0
    instance: str = ""
    queue: str = ""
    """Logical name of the family's job queue; the operator's stack maps it to an ARN."""
    prices: dict[str, Price] = {}
    """On-demand price by region."""
    max_nodes: int = Field(1, ge=1)
    """Machines that one run may train on together."""
    retired: bool = False

    def price_in(self, region: str) -> Price | None:
        """On-demand price in that region of AWS; an Ascend machine stands elsewhere, whatever region that is."""
        if self.accelerator is Accelerator.ASCEND:
            return self.prices.get(region) or next(iter(self.prices.values()), None)
        return self.prices.get(region)

    def queue_for(self, nodes: int) -> str:
        """Logical name of the queue for a run on that many machines."""
        # Ascend machines are not Batch's: in their queue wait the jobs that carry runs to them, one at a time.
        return self.queue if self.accelerator is Accelerator.ASCEND else _for_nodes(self.queue, nodes)


class Catalogue(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    frameworks: list[Framework]
    flavors: list[Flavor]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for kind, entries in (("framework", self.frameworks), ("flavor", self.flavors)):
            names = [entry.name for entry in entries]
            if len(set(names)) != len(names):
                raise ValueError(f"a {kind} is named twice")
        known = {framework.name for framework in self.frameworks}
        for framework in self.frameworks:
            if framework.replaced_by and framework.replaced_by not in known:
                raise ValueError(f"{framework.name} is replaced by an unknown {framework.replaced_by}")
        for flavor in self.flavors:
            if bool(flavor.accelerators) != (flavor.accelerator is not Accelerator.NONE):
                raise ValueError(f"{flavor.name} says of its accelerator two things that do not fit")
        return self

    def framework(self, name: str) -> Framework | None:
        return next((entry for entry in self.frameworks if entry.name == name), None)

    def flavor(self, name: str) -> Flavor | None:
        return next((entry for entry in self.flavors if entry.name == name), None)

    def ground(self, spec: RunSpec) -> Framework | None:
        """The framework that a run stands on; where it brings its own image, what that is to everybody else."""
        if not spec.image:
            return self.framework(spec.framework)
        flavor = self.flavor(spec.flavor)
        return OWN_IMAGES.get(flavor.accelerator if flavor else Accelerator.NONE)


def _own_image(accelerator: Accelerator, job_definition: str) -> Framework:
    return Framework(
        name="image",
        title=Text(en="An image of your own", zh="自定义镜像"),
        version="",
        accelerator=accelerator,
        # Nobody but the image knows.
        python="",
        job_definition=job_definition,
    )


OWN_IMAGES = {
    Accelerator.NONE: _own_image(Accelerator.NONE, "image"),
    Accelerator.NVIDIA: _own_image(Accelerator.NVIDIA, "image-cuda"),
}
"""What an image of a user's own is, by the accelerator of its machine."""


@cache
def load_catalogue() -> Catalogue:
    """The catalogue that ships with the package, read once."""
    return Catalogue.model_validate_json(files("trainyard.model").joinpath("catalogue.json").read_bytes())


def _for_nodes(name: str, nodes: int) -> str:
    """Several machines for one run have queues and job definitions of their own."""
    return f"{name}-nodes" if nodes > 1 else name
