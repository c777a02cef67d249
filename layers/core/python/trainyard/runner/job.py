"""What the job's environment tells the runner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Job:
        """KeyError or ValueError where the job definition is wrong: the operator's mistake, not the user's."""
        return cls(
            run_id=environment["TRAINYARD_RUN_ID"],
            bucket=environment["TRAINYARD_BUCKET"],
            cache=Path(environment.get("TRAINYARD_CACHE") or DEFAULT_CACHE).absolute(),
            job_id=environment["AWS_BATCH_JOB_ID"],
            attempt=int(environment.get("AWS_BATCH_JOB_ATTEMPT") or 1),
            stop_grace=float(environment.get("TRAINYARD_STOP_GRACE") or cls.stop_grace),
        )
