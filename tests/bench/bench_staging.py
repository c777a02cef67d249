"""How long inputs take to reach a job: 1 x 1 GB and 10,000 x 10 KB, against `aws s3 cp --recursive` on the same S3.

Run as `python -m tests.bench.bench_staging [AWS]`; prints JSON lines. AWS: a command line that runs the AWS CLI, by
default `uv tool run --from awscli aws`. Rounds alternate, so that what else the machine does hits both alike.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from infra.local.emulator.client import Emulator, client
from infra.local.emulator.state import CREDENTIALS, REGION
from trainyard.model.request import InputFile, PinnedInput
from trainyard.store.layout import content_key

ROUNDS = 3
BUCKET = "bench"
SETS = {"1_x_1_GB": (1, 1_000_000_000), "10000_x_10_KB": (10_000, 10_000)}
CLI_SECONDS = 600
LIBRARY = Path(__file__).parents[2] / "layers/core/python"


def main() -> None:
    cli = shlex.split(sys.argv[1]) if len(sys.argv) > 1 else ["uv", "tool", "run", "--from", "awscli", "aws"]
    os.environ.update(CREDENTIALS)
    with tempfile.TemporaryDirectory() as folder, Emulator(Path(folder) / "state") as emulator:
        s3 = client(emulator.endpoint, "s3")
        s3.create_bucket(Bucket=BUCKET)
        os.environ["AWS_ENDPOINT_URL"] = emulator.endpoint
        os.environ["AWS_DEFAULT_REGION"] = REGION
        for name, (count, size) in SETS.items():
            pinned = _upload(s3, name, count, size)
            _compare(Path(folder), cli, name, pinned)


def _upload(s3: Any, name: str, count: int, size: int) -> PinnedInput:
    chance = random.Random(1)

    def put(number: int) -> InputFile:
        data = chance.randbytes(min(size, 10_000_000)) * max(size // 10_000_000, 1)
        digest = hashlib.sha256(data).hexdigest()
        key = content_key(f"bench/{name}", digest)
        s3.upload_fileobj(io.BytesIO(data), BUCKET, key)
        return InputFile(path=f"{number % 100}/{number}", size=size, sha256=digest, key=key)

    with ThreadPoolExecutor(4) as pool:
        files = list(pool.map(put, range(count)))
    return PinnedInput(argument="data_url", source=f"dataset bench/{name}", is_file=False, files=files)


def _compare(folder: Path, cli: Sequence[str], name: str, pinned: PinnedInput) -> None:
    prefix = f"s3://{BUCKET}/lfs/bench/{name}/"
    staged: list[float] = []
    copied: list[float] = []
    again: list[float] = []
    cache = folder / "cache"

    def stage() -> None:
        staged.append(_seconds(lambda: _stage(cache, pinned, folder / "first")))

    def copy() -> None:
        copied.append(_seconds(lambda: _copy(cli, prefix, folder / "cli")))

    for number in range(ROUNDS):
        for kept in (folder / "cli", cache, folder / "first", folder / "second"):
            shutil.rmtree(kept, ignore_errors=True)
        for one in (stage, copy) if number % 2 else (copy, stage):
            os.sync()  # what the other one wrote does not reach the disk at this one's expense
            one()
        again.append(_seconds(lambda: _stage(cache, pinned, folder / "second")))
    _print(f"staging.{name}", statistics.median(staged), "s")
    _print(f"aws_s3_cp.{name}", statistics.median(copied), "s")
    # Of each round by itself: what the machine did meanwhile was the same for both.
    ratios = [cli_seconds / ours for ours, cli_seconds in zip(staged, copied, strict=True)]
    _print(f"aws_s3_cp_over_staging.{name}", statistics.median(ratios), "ratio")
    _print(f"staging_from_the_cache.{name}", statistics.median(again), "s")


def _stage(cache: Path, pinned: PinnedInput, folder: Path) -> None:
    """As a job does it: in a process of its own, with the runner's client."""
    code = (
        "import sys; from pathlib import Path; from trainyard.model.request import PinnedInput; "
        "from trainyard.runner.inputs import ContentCache, stage_inputs; from trainyard.runner.stop import Stop; "
        "from trainyard.store.objects import Objects; cache, folder = map(Path, sys.argv[2:]); "
        "pinned = PinnedInput.model_validate_json(sys.stdin.read()); "
        "stage_inputs(Objects(sys.argv[1]), ContentCache(cache), [pinned], folder, Stop())"
    )
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY)}
    subprocess.run(
        [sys.executable, "-c", code, BUCKET, str(cache), str(folder)],
        input=pinned.model_dump_json(),
        text=True,
        check=True,
        env=environment,
        timeout=CLI_SECONDS,
    )


def _copy(cli: Sequence[str], prefix: str, folder: Path) -> None:
    subprocess.run([*cli, "s3", "cp", "--recursive", "--quiet", prefix, str(folder)], check=True, timeout=CLI_SECONDS)


def _seconds(act: Callable[[], None]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _print(name: str, value: float, unit: str) -> None:
    print(json.dumps({"name": name, "value": round(value, 3), "unit": unit}), flush=True)


if __name__ == "__main__":
    main()
