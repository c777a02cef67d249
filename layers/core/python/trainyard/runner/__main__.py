"""`python -m trainyard.runner`: what the container runs."""

from __future__ import annotations

import os
import sys
import traceback

from trainyard.runner import process
from trainyard.runner.attempt import run_attempt
from trainyard.runner.credentials import objects_of, registries_of, session_of
from trainyard.runner.job import Job
from trainyard.runner.reasons import EXIT_SETUP_FAILED
from trainyard.runner.stop import Stop


def main() -> int:
    stop = Stop()
    stop.listen()
    process.adopt_orphans()
    try:
        job = Job.from_environment(os.environ)
        session = session_of(job)
        return run_attempt(objects_of(job, session), job, stop, os.environ, registries_of(job, session))
    except Exception:  # noqa: BLE001 - nothing can be stored: the container's own log is all that is left
        traceback.print_exc()
        return EXIT_SETUP_FAILED


if __name__ == "__main__":
    sys.exit(main())
