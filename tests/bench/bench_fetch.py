"""How long a commit takes to fetch and check, and what goes over the wire: 10,000 files beside 50 MB of large ones.

`make bench ONLY=fetch`
"""

from __future__ import annotations

import os
import random
import resource
import tempfile
import time
from pathlib import Path

from tests.bench.report import report

FILES = (10, 1_000, 10_000)
LARGE_FILES, LARGE_BYTES = 5, 10 << 20
SMALL_BYTES = 1200


def main() -> None:
    os.environ["TRAINYARD_ALLOW_LOOPBACK_HTTP"] = "true"
    from unit.validation.git_rig import GitServer, git

    from trainyard.hosts.contract import FetchAddress
    from trainyard.validation.engine import check
    from trainyard.validation.fetch import fetched
    from trainyard.validation.snapshot import CommitSnapshot

    for count in FILES:
        with tempfile.TemporaryDirectory() as folder, GitServer(Path(folder)) as server:
            repository = server.repository("demo/project")
            commit = repository.commit(_files(count))
            git(repository.folder, "repack", "-adq")  # as a host keeps it
            address = FetchAddress(server.url("demo/project"))
            for round_ in ("cold", "warm"):
                sent, started = server.bytes_sent, time.perf_counter()
                with fetched(address, commit) as (database, full):
                    fetch_seconds = time.perf_counter() - started
                    snapshot = CommitSnapshot(database, full)
                    listed_seconds = time.perf_counter() - started
                    check(snapshot)
                    checked_seconds = time.perf_counter() - started
                label = f"{count}_files_{round_}"
                report(f"fetch.{label}", fetch_seconds, "s")
                report(f"fetch_and_list.{label}", listed_seconds, "s")
                report(f"fetch_and_check.{label}", checked_seconds, "s")
                report(f"fetch_bytes.{label}", (server.bytes_sent - sent) / 1e6, "MB")
    report("check.peak_memory", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MiB")
    report("git.peak_memory", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, "MiB")


def _files(count: int) -> dict[str, bytes]:
    chance = random.Random(1)
    files = {f"data/{number}.bin": chance.randbytes(LARGE_BYTES) for number in range(LARGE_FILES)}
    for number in range(count):
        files[f"src/d{number % 100}/m{number}.py"] = f"x = '{chance.randbytes(SMALL_BYTES // 2).hex()}'\n".encode()
    files["trainyard.yaml"] = b"runs: {a: {boot_file: train.py, framework: python-cpu, flavor: cpu, output: false}}\n"
    files["train.py"] = b"print(1)\n"
    return files


if __name__ == "__main__":
    main()
