"""Everything that a run was made of and came to, in one signed document: `bundle.json`."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from trainyard.model.request import Sha256
from trainyard.model.result import Ending, Machine, OutputFile
from trainyard.model.run import Origin, RunState
from trainyard.model.spec import Hyperparameter

ALGORITHM = "ECDSA_P256_SHA256"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Code(_Part):
    commit: str | None
    tree: str | None
    ref: str | None
    boot_file: str | None


class Package(_Part):
    name: str
    version: str
    digest: Sha256 | None
    """Over what it installed; None where the package keeps no record of that."""


class BundledInput(_Part):
    argument: str
    source: str
    revision: str | None
    files: int
    size: int
    """Bytes of all files."""
    digest: Sha256
    """SHA-256 over one line for each file, ordered by path: its digest, two spaces, its path."""


class OtherMachine(_Part):
    """One of several machines that is not the main one."""

    node: int
    """From 1."""
    ending: Ending
    hardware: Machine | None
    outputs: list[OutputFile]


class Figures(_Part):
    best: dict[str, float]
    last: dict[str, float]
    digest: Sha256 | None
    """Of metrics.json."""


class Signature(_Part):
    algorithm: str
    key: Sha256
    """SHA-256 of the public key in DER."""
    value: str
    """Base64 of the DER signature over `Bundle.signed_bytes()`."""


class Bundle(_Part):
    version: int = 1
    run: str
    name: str
    project: str
    origin: Origin
    requested_by: str
    rerun_of: str | None
    state: RunState
    exit_code: int | None
    created_at: datetime
    finished_at: datetime
    code: Code
    framework: str | None
    image: str | None = None
    """An image of the user's own, with its digest, in place of a framework."""
    flavor: str | None
    nodes: int = 1
    """Machines that trained together; `hardware` and `outputs` are the main one's."""
    processes: int | Literal["auto"] = 1
    """On each of them."""
    attempts: int = 1
    parameters: dict[str, Hyperparameter]
    environment: dict[str, str]
    """Of the script; a value that may be a secret is replaced."""
    packages: list[Package]
    inputs: list[BundledInput]
    hardware: Machine | None
    """With the image's digest."""
    outputs: list[OutputFile]
    others: list[OtherMachine] = []
    """Those that left a result."""
    metrics: Figures
    verdict: str | None
    signature: Signature | None = None

    def signed_bytes(self) -> bytes:
        """What is signed: the document without its signature, keys sorted, no spaces, in UTF-8."""
        return signed_bytes(json.loads(self.model_dump_json()))


def signed_bytes(document: dict[str, object]) -> bytes:
    """The same of a document as it was read, whatever a later version may have added to it."""
    unsigned = {name: value for name, value in document.items() if name != "signature"}
    return json.dumps(unsigned, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
