"""How long inputs take to reach a job: 1 x 1 GB and 10,000 x 10 KB, against `aws s3 cp --recursive` on the same S3.

Run as `python -m tests.bench.bench_staging [AWS]`; prints JSON lines. AWS: a command line that runs the AWS CLI, by
default the newest one, in an environment of uv's. Rounds alternate, so that what else the machine does hits both alike. Both are
counted with the start of their process, and both have their bytecode from an untimed copy of one small object.

Staging compares each object with its SHA-256 and the CLI does not, so `aws_s3_cp_and_sha256sum` is given beside it:
what the CLI takes to come as far.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import resource
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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
# For five seconds ext4 walks past the places of removed files, at the expense of whoever creates some.
FORGETS_SECONDS = 6
LIBRARY = Path(__file__).parents[2] / "layers/core/python"


@dataclass(frozen=True)
class Spent:
    """What one way of bringing the files took."""

    seconds: float
    processor_seconds: float

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.seconds + other.seconds, self.processor_seconds + other.processor_seconds)


def main() -> None:
    cli = shlex.split(sys.argv[1]) if len(sys.argv) > 1 else [_newest_cli()]
    os.environ.update(CREDENTIALS)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder, Emulator(Path(folder) / "state") as emulator:
        s3 = client(emulator.endpoint, "s3")
        s3.create_bucket(Bucket=BUCKET)
        os.environ["AWS_ENDPOINT_URL"] = emulator.endpoint
        os.environ["AWS_DEFAULT_REGION"] = REGION
        _round(Path(folder) / "warm", cli, "warm", _upload(s3, "warm", 1, 1))
        for name, (count, size) in SETS.items():
            _compare(Path(folder) / name, cli, name, _upload(s3, name, count, size))


def _newest_cli() -> str:
    """Where it lies: uv's own start is not to be counted."""
    uv = Path(sys.executable).with_name("uv")
    argv = [uv, "tool", "run", "--from", "awscli", "which", "aws"]
    return subprocess.run(argv, check=True, timeout=CLI_SECONDS, stdout=subprocess.PIPE, text=True).stdout.strip()


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
    rounds = [_round(folder, cli, name, pinned, ours_first=number % 2 == 1) for number in range(ROUNDS)]
    for what in ("staging", "aws_s3_cp", "aws_s3_cp_and_sha256sum", "staging_from_the_cache"):
        _print(f"{what}.{name}", statistics.median(one[what].seconds for one in rounds), "s")
        _print(f"{what}_processor.{name}", statistics.median(one[what].processor_seconds for one in rounds), "s")
    for what in ("aws_s3_cp", "aws_s3_cp_and_sha256sum"):
        # Of each round by itself: what the machine did meanwhile was the same for both.
        ratio = statistics.median(one[what].seconds / one["staging"].seconds for one in rounds)
        _print(f"{what}_over_staging.{name}", ratio, "ratio")


def _round(
    folder: Path, cli: Sequence[str], name: str, pinned: PinnedInput, *, ours_first: bool = False
) -> dict[str, Spent]:
    spent = {}

    def stage() -> None:
        for what in ("staging", "staging_from_the_cache"):
            spent[what] = _spent(lambda to=folder / what: _stage(folder / "cache", pinned, to))

    def copy() -> None:
        spent["aws_s3_cp"] = _spent(lambda: _copy(cli, f"s3://{BUCKET}/lfs/bench/{name}/", folder / "cli"))
        spent["aws_s3_cp_and_sha256sum"] = spent["aws_s3_cp"] + _spent(lambda: _sha256sum(folder / "cli"))

    for one in (stage, copy) if ours_first else (copy, stage):
        one()
        # Each finds the disk idle and as much memory that was used before: a virtual machine's first use of it is slow.
        shutil.rmtree(folder)
        os.sync()
        time.sleep(FORGETS_SECONDS)
    return spent


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


def _sha256sum(folder: Path) -> None:
    argv = ["find", folder, "-type", "f", "-exec", "sha256sum", "{}", "+"]
    subprocess.run(argv, check=True, timeout=CLI_SECONDS, stdout=subprocess.DEVNULL)


def _spent(act: Callable[[], None]) -> Spent:
    began, before = time.perf_counter(), _processor_seconds()
    act()
    return Spent(time.perf_counter() - began, _processor_seconds() - before)


def _processor_seconds() -> float:
    """Of all processes that were started here and have ended: not the emulator's."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _print(name: str, value: float, unit: str) -> None:
    print(json.dumps({"name": name, "value": round(value, 3), "unit": unit}), flush=True)


if __name__ == "__main__":
    main()
