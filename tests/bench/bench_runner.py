"""What the runner adds to a script: around an empty one, between a print and its line in the bucket, per checkpoint.

Run as `python -m tests.bench.bench_runner`; prints JSON lines. The bucket is the emulator's, on this machine.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from infra.local.emulator.client import Emulator, client
from infra.local.emulator.state import CREDENTIALS
from tests.bench.report import report
from tests.unit.runner.rig import BUCKET, RUN_ID, Rig
from trainyard.runner.outputs import Output
from trainyard.store import layout
from trainyard.store.objects import Objects

ROUNDS = 5
LIMIT_SECONDS = 120
CHECKPOINT_BYTES = 100_000_000
FILES = 1000
TALKING = """
import time
for turn in range(20):
    print(time.time(), flush=True)
    time.sleep(0.37)
"""


def main() -> None:
    os.environ.update(CREDENTIALS)
    with tempfile.TemporaryDirectory() as folder, Emulator(Path(folder) / "state") as emulator:
        objects = Objects(BUCKET, client(emulator.endpoint, "s3"))
        client(emulator.endpoint, "s3").create_bucket(Bucket=BUCKET)
        place = Path(folder) / "scratch"
        place.mkdir()
        _overhead(Rig(objects, Path(folder) / "cache", emulator.endpoint, place), Path(folder))
        _log_lag(Rig(objects, Path(folder) / "cache", emulator.endpoint, place))
        _checkpoints(objects, Path(folder) / "output")


def _overhead(rig: Rig, folder: Path) -> None:
    """All of the container's time but what an interpreter needs to do nothing."""
    bare = _bare()
    cold = []
    for number in range(ROUNDS):
        rig.cache = folder / f"cold-{number}"
        cold.append(_empty(rig) - bare)
    warm = [_empty(rig) - bare for _ in range(ROUNDS)]
    report("runner.overhead.cold_environment", statistics.median(cold), "s")
    report("runner.overhead.warm_environment", statistics.median(warm), "s")
    script = next(stage for stage in rig.result().stages if stage.name == "script")
    report("runner.overhead.isolation_of_the_script", script.seconds - bare, "s")


def _bare() -> float:
    def once() -> float:
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", ""], check=True, timeout=LIMIT_SECONDS)
        return time.monotonic() - began

    return statistics.median(once() for _ in range(ROUNDS))


def _empty(rig: Rig) -> float:
    rig.objects.delete_prefix("runs/")
    rig.request("")
    began = time.monotonic()
    code = rig.start().wait(LIMIT_SECONDS)
    assert code == 0, rig.log().decode(errors="replace")
    return time.monotonic() - began


def _log_lag(rig: Rig) -> None:
    rig.objects.delete_prefix("runs/")
    rig.request(TALKING, output=False)
    process = rig.start()
    seen: dict[str, float] = {}
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        for chunk in rig.objects.find(layout.log_chunk_prefix(RUN_ID, 1)):
            if chunk.key not in seen:
                seen[chunk.key] = time.time()
        if ended:
            break
        time.sleep(0.02)
    lags = []
    for key, at in seen.items():
        for line in gzip.decompress(rig.objects.get(key)).decode().splitlines():
            with contextlib.suppress(ValueError):
                lags.append(at - float(line))
    report("runner.log_lag.median", statistics.median(lags), "s")
    report("runner.log_lag.longest", max(lags), "s")


def _checkpoints(objects: Objects, folder: Path) -> None:
    folder.mkdir()
    output = Output(objects, folder, layout.output_prefix(RUN_ID))
    for number in range(FILES):
        (folder / f"kept-{number}").write_bytes(b"x" * 1000)
    began = time.monotonic()
    output.sync(lambda: True)
    report("runner.checkpoint.first_1000_files_of_1_KB", time.monotonic() - began, "s")
    began = time.monotonic()
    assert output.sync(lambda: True) == 0
    report("runner.checkpoint.nothing_new_of_1000_files", time.monotonic() - began, "s")
    (folder / "weights").write_bytes(os.urandom(CHECKPOINT_BYTES))
    began, used = time.monotonic(), time.process_time()
    assert output.sync(lambda: True) == CHECKPOINT_BYTES
    report("runner.checkpoint.one_of_100_MB", time.monotonic() - began, "s")
    report("runner.checkpoint.one_of_100_MB.processor", time.process_time() - used, "s")


if __name__ == "__main__":
    main()
