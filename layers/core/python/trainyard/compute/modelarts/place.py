"""Where a run's things lie in OBS, and what of them ModelArts is told."""

from __future__ import annotations

from dataclasses import dataclass

BOOT_FILE = "trainyard_boot.py"
"""Installs the run's packages, keeps its time limit and starts its boot file."""
PLAN_FILE = "trainyard_boot.json"
REPORT_ARGUMENT = "trainyard_report"
"""An output beside the script's own: how it ended. The script never sees it."""


@dataclass(frozen=True)
class Place:
    """One run's prefix in one bucket. ModelArts takes what ends in a slash for a folder."""

    bucket: str
    run_id: str

    @property
    def prefix(self) -> str:
        return f"trainyard/{self.run_id}/"

    @property
    def code(self) -> str:
        return f"{self.prefix}code/"

    @property
    def log(self) -> str:
        return f"{self.prefix}log/"

    @property
    def home(self) -> str:
        """Lies there once all that the run left is stored at home: from then on the rest is only removed."""
        return f"{self.prefix}home"

    def input(self, argument: str) -> str:
        return f"{self.prefix}inputs/{argument}/"

    def output(self, argument: str) -> str:
        return f"{self.prefix}outputs/{argument}/"

    def url(self, key: str) -> str:
        return f"obs://{self.bucket}/{key}"
