"""What each run's git host was told of it: `REPORT#{run}`, in no index, until `expires`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from trainyard.model.report import Report
from trainyard.store.table.rows import Rows, next_version, plain_item, seconds

# Longer than a run may last, so that nothing is told twice.
REPORT_KEPT = timedelta(days=60)


class ReportRows(Rows):
    def report(self, run_id: str) -> Report | None:
        """What the run's git host was told of it."""
        return self._get(_report_pk(run_id), Report)

    def put_report(self, report: Report) -> bool:
        """Write the next version of a report; False if somebody else was quicker."""
        return self._put_if(next_version(self.name, _report_item(report))["Put"])


def _report_pk(run_id: str) -> str:
    return f"REPORT#{run_id}"


def _report_item(report: Report) -> dict[str, Any]:
    item = plain_item("report", _report_pk(report.run), report)
    return item | {"version": {"N": str(report.version)}, "expires": seconds(report.at + REPORT_KEPT)}
