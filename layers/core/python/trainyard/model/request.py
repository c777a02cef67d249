"""What the runner executes: a request with every input pinned. Stored as `runs/{id}/request.json`."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from trainyard.model.image import PinnedImage
from trainyard.model.repository import Sha
from trainyard.model.spec import MAX_CHILDREN, RunSpec, Scalar

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class InputFile(BaseModel):
    """One file of an input."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    """Relative to the input's folder; just the file's name where the input is a single file."""
    size: int = Field(ge=0)
    """Bytes."""
    sha256: Sha256 | None = None
    """None where nobody has computed it: an object of another bucket. Then `etag` says which one is meant."""
    key: str
    """Its object in the bucket."""
    bucket: str = ""
    """Empty: the platform's own."""
    etag: str = ""
    """S3's entity tag, quotes included, where there is no SHA-256."""

    @model_validator(mode="after")
    def _identified(self) -> Self:
        if self.sha256 is None and not self.etag:
            raise ValueError("an input file needs its SHA-256 or its entity tag")
        return self

    @property
    def content_id(self) -> str:
        """64 hex digits that no other content has: the SHA-256, or one of the object's name, entity tag and size."""
        if self.sha256 is not None:
            return self.sha256
        return hashlib.sha256("\0".join((self.bucket, self.key, self.etag, str(self.size))).encode()).hexdigest()


class PinnedInput(BaseModel):
    """An input resolved to exact bytes."""

    model_config = ConfigDict(extra="forbid")

    argument: str
    """`data_url` becomes `--data_url`."""
    source: str
    """`dataset demo/digits`, `run run-...`: for people."""
    revision: str | None = None
    """The commit that a repository's revision meant at validation; of S3 objects a digest over their entity tags."""
    is_file: bool
    """A single file is passed as that file, otherwise the folder is passed."""
    files: list[InputFile]
    stage: Literal["training", "evaluation"] = "training"
    """Whose input it is: the training's, or its evaluation script's."""


class RunRequest(BaseModel):
    """All that an attempt needs; nothing is looked up again later.

    A sweep is one request and one array job: the job with Batch's array index N runs `of_child(N)`, and what it leaves
    lies under `layout.child_id(run_id, N)`. Several machines are one multi-node parallel job: each runs this request;
    the main one's log, output and result are the run's own, another's lie under `layout.node_id(run_id, N)`.
    """

    model_config = ConfigDict(extra="forbid")

    run_id: str
    name: str
    project: str
    commit: Sha
    tree: str | None = None
    spec: RunSpec
    code_key: str
    """Object of the code archive, a .tar.gz of the repository at `commit`."""
    inputs: list[PinnedInput] = []
    evaluation_inputs: list[PinnedInput] = []
    """For the evaluation script, pinned together with the others: a later test set would judge another run."""
    image: PinnedImage | None = None
    """For a run with an image of the user's own."""
    children: Annotated[list[dict[str, Scalar]], Field(max_length=MAX_CHILDREN)] = []
    """For a sweep, by index: the hyperparameters that a child has besides, or in place of, those of `spec`."""

    def of_child(self, index: int) -> RunRequest:
        """The request that the child with this index carries out. IndexError if there is none."""
        hyperparameters = {**self.spec.hyperparameters, **self.children[index]}
        spec = self.spec.model_copy(update={"hyperparameters": hyperparameters})
        return self.model_copy(update={"spec": spec, "children": []})
