"""1,000 admitted runs through enqueue_job's five workers, over Batch's 50 submissions a second and over half of them."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1])]  # the tests' own modules

from conftest import table_properties  # noqa: E402
from submission_rig import submit_all  # noqa: E402

from infra.local.batch.server import Allowance  # noqa: E402
from infra.local.emulator.client import Emulator  # noqa: E402
from tests.bench.report import report  # noqa: E402
from trainyard.store import State  # noqa: E402
from trainyard.store.bus import Bus  # noqa: E402
from trainyard.store.objects import Objects  # noqa: E402
from trainyard.store.secrets import Secrets  # noqa: E402
from trainyard.store.table import Table  # noqa: E402

RUNS = 1000
# AWS's limit of an account; and what is left of it where others use the other half, so that Batch throttles.
PER_SECOND = (50.0, 25.0)


def main() -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ[name] = "local"
    for per_second in PER_SECOND:
        measure(per_second)


def measure(per_second: float) -> None:
    with tempfile.TemporaryDirectory() as folder, Emulator(Path(folder)) as emulator:
        dynamodb = emulator.client("dynamodb", max_pool_connections=10)
        dynamodb.create_table(TableName="bench", **table_properties())
        state = State(Table("bench", dynamodb), Objects("bench"), Secrets("/bench"), Bus("bench"))
        outcome = submit_all(state, RUNS, Allowance(per_second))
    figures = {
        "submitted": (outcome.seconds, "s"),
        "submissions a second": (RUNS / outcome.seconds, "runs/s"),
        "throttled by Batch": (outcome.throttled, "calls"),
        "back to their queue": (sum(outcome.receives.values()) - outcome.receives[1], "messages"),
        "without a job": (RUNS - len(outcome.jobs), "runs"),
        "with two jobs": (sum(count > 1 for count in outcome.jobs.values()), "runs"),
        "dead letters": (len(outcome.dead), "messages"),
    }
    for name, (value, unit) in figures.items():
        report(f"1,000 runs at {per_second:.0f} a second: {name}", value, unit)


if __name__ == "__main__":
    main()
