"""One job per attempt: whoever writes the owner first runs it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from trainyard.runner.job import Job
from trainyard.store import layout
from trainyard.store.objects import Objects


def claim(objects: Objects, job: Job) -> bool:
    """True if this job runs the attempt; False if another job has it, and this one must touch nothing."""
    key = layout.owner_key(job.place, job.attempt)
    owner = {"job": job.job_id, "at": datetime.now(UTC).isoformat()}
    if objects.put(key, json.dumps(owner).encode(), "application/json", if_absent=True):
        return True
    return bool(json.loads(objects.get(key))["job"] == job.job_id)
