"""What the runner wants of the jail, and what the jail says it could give. Plain JSON between two processes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

EXIT_NOT_ISOLATED = 71
"""A protection that was required could not be given; the script was not started."""
EXIT_NOT_UNPACKED = 72
"""A layer of an image is none that can be unpacked."""
EXIT_NOT_STARTED = 127
SYSTEM_CALL_FILTER = "system call filter"
"""The means against what the kernel would give beyond a script's needs, and against the network without namespaces."""


@dataclass(frozen=True)
class Plan:
    """One program and how it is to be shut in."""

    runner: int
    """Process id of the runner: the program must neither outlive it nor look into it."""
    command: list[str]
    folder: str
    environment: dict[str, str]
    user: int | None
    """User and group id of the program, where the runner is root."""
    network: bool
    """The program may use the network."""
    max_processes: int
    """Processes and threads."""
    max_file_bytes: int
    root: str
    """An empty folder in which the program's own root is built."""
    readable: list[str] = field(default_factory=list)
    writable: list[str] = field(default_factory=list)
    temporary: str | None = None
    """The folder that the program sees as /tmp."""
    system: str | None = None
    """The folder of an image that the program sees as its system; this machine's own if left out."""
    placed: dict[str, str] = field(default_factory=dict)
    """Files of this machine that are seen in an image, at a place of which nothing else is seen: place -> file."""
    place: str | None = None
    """The folder that holds all of these places."""
    devices: list[str] | None = None
    """Of accelerators; all that there are if left out."""
    shared_memory_bytes: int = 0
    required: list[str] = field(default_factory=list)
    """Protections without which the program must not start."""

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, document: bytes) -> Plan:
        return cls(**json.loads(document))


@dataclass
class Report:
    """Protection -> by what means it is given, None where this system cannot; and what the system said then."""

    given: dict[str, str | None] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, document: bytes) -> Report:
        return cls(**json.loads(document))
