"""What an attempt left: `runs/{id}/attempts/{n}/result.json`, written by the runner at its very end."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from trainyard.model.request import Sha256
from trainyard.model.text import Text

EXIT_NODE_LOST = 75
"""The runner's exit code for `Ending.NODE_LOST`, and for nothing else: by it a backend knows to try again."""


class Ending(StrEnum):
    """How an attempt ended, as the runner saw it."""

    SUCCEEDED = "succeeded"
    SCRIPT_FAILED = "script_failed"
    STOPPED = "stopped"
    TIMED_OUT = "timed_out"
    SETUP_FAILED = "setup_failed"
    """Code, inputs or packages could not be made ready; the script never started."""
    SHIPPING_FAILED = "shipping_failed"
    """The script ended well, but what it left could not be stored."""
    NODE_LOST = "node_lost"
    """Another machine of the same training is gone, and this one cannot go on without it."""


class OutputFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    """Relative to `output_path`."""
    size: int
    sha256: Sha256


class Stage(BaseModel):
    """One stage of the attempt with its wall time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    started_at: datetime
    seconds: float


class Machine(BaseModel):
    """What an attempt ran on, as far as it can be told from inside."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu: str = ""
    cpus: int = 0
    """That the attempt might use."""
    memory_bytes: int = 0
    accelerators: list[str] = []
    kernel: str = ""
    image: str = ""
    image_digest: str = ""
    """`sha256:...`; empty where the attempt did not run in a container."""


class AttemptResult(BaseModel):
    model_config = ConfigDict(extra="forbid")

    run_id: str
    attempt: int
    ending: Ending
    exit_code: int | None = None
    signal: int | None = None
    reason: Text | None = None
    """Why, in a sentence, where it did not succeed."""
    kind: str | None = None
    """`FailureReason.kind`, where the runner knows it better than the log can tell."""
    last_lines: list[str] = []
    """The last lines that the script printed, where it did not succeed."""
    stages: list[Stage] = []
    log_bytes: int = 0
    restored_files: int = 0
    """Of an earlier attempt's output, which the script found where it had left it."""
    outputs: list[OutputFile] = []
    aim_files: list[OutputFile] = []
    packages: list[str] = []
    """`name==version` of what the script's environment holds."""
    package_digests: dict[str, str] = {}
    """`name==version` -> SHA-256 over what the package installed, by its own record of paths and hashes."""
    machine: Machine | None = None
    environment_cached: bool = False
    isolation: dict[str, str | None] = {}
    """Protection -> by what means the script was kept from what is not its own; None where the platform could not."""
    finished_at: datetime
