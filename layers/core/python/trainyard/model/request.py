"""What the runner executes: a request with every input pinned. Stored as `runs/{id}/request.json`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from trainyard.model.repository import Sha
from trainyard.model.spec import RunSpec

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class InputFile(BaseModel):
    """One file of an input."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    """Relative to the input's folder; just the file's name where the input is a single file."""
    size: int = Field(ge=0)
    sha256: Sha256
    key: str
    """Its object in the bucket."""


class PinnedInput(BaseModel):
    """An input resolved to exact bytes."""

    model_config = ConfigDict(extra="forbid")

    argument: str
    """`data_url` becomes `--data_url`."""
    source: str
    """`dataset demo/digits`, `run run-...`: for people."""
    revision: str | None = None
    """The commit that a repository's revision meant at validation."""
    is_file: bool
    """A single file is passed as that file, otherwise the folder is passed."""
    files: list[InputFile]


class RunRequest(BaseModel):
    """All that an attempt needs; nothing is looked up again later."""

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
