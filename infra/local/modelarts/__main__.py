"""`python -m infra.local.modelarts`: ModelArts and SMN as a process, which prints their addresses as one line of JSON.

The emulator's S3 is its OBS.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from infra.local.emulator.client import client
from infra.local.modelarts.container import ObsContainer
from infra.local.modelarts.server import ModelArtsServer
from infra.local.modelarts.smn import Smn


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.local.modelarts", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 (default): a free one")
    parser.add_argument("--obs-endpoint", required=True)
    parser.add_argument("--work-dir", type=Path, required=True, help="folder for the jobs' containers")
    parser.add_argument("--python", required=True, help="interpreter that stands for the image")
    parser.add_argument("--access-key", required=True)
    parser.add_argument("--secret-key", required=True)
    parser.add_argument("--project", required=True)
    parser.add_argument("--smn-topic", required=True, help="URN of the topic that hears of ends of jobs")
    parser.add_argument("--beat", type=float, default=0.5, help="seconds that each phase before the script takes")
    options = parser.parse_args(arguments)
    obs = client(options.obs_endpoint, "s3")

    def make(body: dict[str, Any], job_id: str) -> ObsContainer:
        return ObsContainer(body, job_id, obs, options.work_dir, options.python)

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    keys = {options.access_key: options.secret_key}
    with (
        Smn(options.smn_topic) as smn,
        ModelArtsServer(
            make, keys=keys, project=options.project, beat=options.beat, port=options.port, on_end=smn.tell_end
        ) as server,
    ):
        print(json.dumps({"address": server.endpoint, "smn": smn.endpoint}), flush=True)
        ended.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
