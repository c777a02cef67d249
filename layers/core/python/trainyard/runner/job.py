"""What the job's environment tells the runner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trainyard.runner.isolation import Policy
from trainyard.store import layout

DEFAULT_CACHE = "/var/cache/trainyard"


@dataclass(frozen=True)
class Job:
    """One attempt of one run, as the backend started it."""

    run_id: str
    bucket: str
    cache: Path
    """Kept on the host: environments, content, packages. Another job may use it at the same time."""
    job_id: str
    attempt: int
    """From 1."""
    stop_grace: float = 10.0
    """Seconds that a script gets between SIGTERM and SIGKILL. Batch gives the whole container 30."""
    child: int | None = None
    """Which child of a sweep it is, from 0; None: it is no sweep. Batch's index in the array job."""
    node: int = 0
    """Which of several machines this is."""
    nodes: int = 1
    main_node: str = "127.0.0.1"
    """Address of the machine on which the first process of all runs."""
    api: str = ""
    """Address of the API, which gives the job its credentials."""
    token: str = field(default="", repr=False)
    """What it shows there."""
    sync_seconds: float = 60.0
    """How often what the script writes to its output is stored while it runs; a lost host costs that much of it."""
    policy: Policy = field(default_factory=Policy)
    """How scripts are isolated: the operator's settings."""

    @property
    def place(self) -> str:
        """In place of the run's id where the objects lie that this job writes: each child and machine has its own."""
        if self.child is not None:
            return layout.child_id(self.run_id, self.child)
        return layout.node_id(self.run_id, self.node) if self.node else self.run_id

    @property
    def place_of_ranks(self) -> str:
        """What all machines of one training share, and no other training has."""
        return self.place if self.child is not None else self.run_id

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Job:
        """KeyError or ValueError where the job definition is wrong: the operator's mistake, not the user's."""
        return cls(
            run_id=environment["TRAINYARD_RUN_ID"],
            bucket=environment["TRAINYARD_BUCKET"],
            # Without links, so that a path means the same where nothing else of the file system is shown.
            cache=Path(environment.get("TRAINYARD_CACHE") or DEFAULT_CACHE).resolve(),
            job_id=environment["AWS_BATCH_JOB_ID"],
            attempt=int(environment.get("AWS_BATCH_JOB_ATTEMPT") or 1),
            stop_grace=float(environment.get("TRAINYARD_STOP_GRACE") or cls.stop_grace),
            child=int(environment["AWS_BATCH_JOB_ARRAY_INDEX"]) if "AWS_BATCH_JOB_ARRAY_INDEX" in environment else None,
            node=int(environment.get("AWS_BATCH_JOB_NODE_INDEX") or 0),
            nodes=int(environment.get("AWS_BATCH_JOB_NUM_NODES") or 1),
            # The main machine is not told its own address.
            main_node=environment.get("AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS") or cls.main_node,
            api=(environment.get("TRAINYARD_API") or "").rstrip("/"),
            token=environment.get("TRAINYARD_JOB_TOKEN") or "",
            sync_seconds=float(environment.get("TRAINYARD_SYNC_SECONDS") or cls.sync_seconds),
            policy=_policy(environment),
        )


def _policy(environment: Mapping[str, str]) -> Policy:
    def number(name: str) -> int | None:
        return int(environment[name]) if environment.get(name) else None

    return Policy(
        required=_choice(environment, "TRAINYARD_ISOLATION", "best_effort", "required"),
        network=_choice(environment, "TRAINYARD_NETWORK", "closed", "open"),
        max_processes=number("TRAINYARD_MAX_PROCESSES") or Policy.max_processes,
        max_disk_bytes=number("TRAINYARD_MAX_DISK_BYTES"),
        max_memory_bytes=number("TRAINYARD_MAX_MEMORY_BYTES"),
    )


def _choice(environment: Mapping[str, str], name: str, no: str, yes: str) -> bool:
    value = environment.get(name) or no
    if value not in (no, yes):
        # A typing error must not take a protection off.
        raise ValueError(f"{name} is {value!r}; write {no} or {yes}")
    return value == yes
