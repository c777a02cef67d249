"""A job's containers as processes: ModelArts' own folders and variables, under a folder of this machine for each."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from infra.local.modelarts.server import FLAVORS

_RUN_SECONDS = 14 * 24 * 3600.0
_TICK_SECONDS = 0.02
_END_SECONDS = 10.0
_CARDS = {flavor["flavor_id"]: int(flavor["flavor_info"]["npu"]["unit_num"]) for flavor in FLAVORS}


class ObsContainer:
    """Fetches code and inputs from OBS before the script, and brings outputs and logs there after it.

    One container for each machine, and in each one process for each card. `obs`: a boto3 client of it. `python`: the
    interpreter that stands for the image; a CPU stands for its cards.
    """

    def __init__(self, body: dict[str, Any], job_id: str, obs: Any, home: Path, python: str) -> None:
        self._algorithm, self._spec = body["algorithm"], body["spec"]
        self._id, self._obs, self._python, self._home = job_id, obs, python, home
        self._workers = range(self._spec["resource"].get("node_count", 1))
        self._cards = range(_CARDS[self._spec["resource"]["flavor_id"]])
        self._processes: list[subprocess.Popen[bytes]] = []
        self._stopped = threading.Event()

    @property
    def log(self) -> Path:
        return self._log(0)

    def prepare(self) -> None:
        for worker in self._workers:
            for folder in ("user-job-dir", "log", "tmp"):
                (self._root(worker) / folder).mkdir(parents=True, exist_ok=True)
            self._download(self._algorithm["code_dir"], self._code(worker))
            for channel in self._algorithm.get("inputs", []):
                self._download(_url(channel), self._folder(worker, "inputs", channel))
            for channel in self._algorithm.get("outputs", []):
                self._folder(worker, "outputs", channel).mkdir(parents=True, exist_ok=True)

    def run(self) -> int:
        """The exit code of the first process that fails, which ends the others; else 0."""
        with ExitStack() as logs:
            for worker in self._workers:
                log = logs.enter_context(self._log(worker).open("wb"))
                self._processes += [self._start(worker, card, log) for card in self._cards]
            if self._stopped.is_set():
                self.stop()
            return self._wait()

    def stop(self) -> None:
        self._stopped.set()
        self._signal(signal.SIGTERM)

    def finish(self) -> None:
        for worker in self._workers:
            for channel in self._algorithm.get("outputs", []):
                self._upload(self._folder(worker, "outputs", channel), _url(channel))
            if "log_export_path" in self._spec and self._log(worker).exists():
                bucket, prefix = _place(self._spec["log_export_path"]["obs_url"])
                self._obs.upload_file(str(self._log(worker)), bucket, prefix + self._log(worker).name)

    def _start(self, worker: int, card: int, log: Any) -> subprocess.Popen[bytes]:
        boot_file = self._code(worker) / self._algorithm["boot_file"].removeprefix(self._algorithm["code_dir"])
        return subprocess.Popen(
            [self._python, str(boot_file), *self._arguments(worker)],
            cwd=self._code(worker),
            env=self._environment(worker, card),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _wait(self) -> int:
        end = time.monotonic() + _RUN_SECONDS
        while any(each.poll() is None for each in self._processes) and time.monotonic() < end:
            if any(each.poll() for each in self._processes):
                self._signal(signal.SIGTERM)
                break
            time.sleep(_TICK_SECONDS)
        failed = next((each.returncode for each in self._processes if each.poll()), 0)
        for each in self._processes:
            with suppress(subprocess.TimeoutExpired):
                each.wait(_END_SECONDS)
        self._signal(signal.SIGKILL)
        return failed or next((each.wait() for each in self._processes if each.wait()), 0)

    def _signal(self, number: signal.Signals) -> None:
        for each in self._processes:
            with suppress(ProcessLookupError):
                os.killpg(each.pid, number)

    def _root(self, worker: int) -> Path:
        return self._home / self._id / f"worker-{worker}" / "home" / "ma-user" / "modelarts"

    def _log(self, worker: int) -> Path:
        return self._root(worker) / "log" / f"modelarts-job-{self._id}-worker-{worker}.log"

    def _code(self, worker: int) -> Path:
        return self._root(worker) / "user-job-dir" / self._algorithm["code_dir"].rstrip("/").rpartition("/")[2]

    def _folder(self, worker: int, kind: str, channel: dict[str, Any]) -> Path:
        return self._root(worker) / kind / f"{channel['name']}_0"

    def _arguments(self, worker: int) -> list[str]:
        channels = [("inputs", one) for one in self._algorithm.get("inputs", [])]
        channels += [("outputs", one) for one in self._algorithm.get("outputs", [])]
        words = [f"--{each['name']}={each['value']}" for each in self._algorithm.get("parameters", [])]
        return words + [f"--{one['name']}={self._folder(worker, kind, one)}" for kind, one in channels]

    def _environment(self, worker: int, card: int) -> dict[str, str]:
        own = self._algorithm.get("environments", {})
        rank, size = worker * len(self._cards) + card, len(self._workers) * len(self._cards)
        # What msrun and torchrun set, or else ModelArts itself for each card.
        launched = {
            "RANK": str(rank), "LOCAL_RANK": str(card), "WORLD_SIZE": str(size),
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "18888",
        }  # fmt: skip
        by_card = {"RANK_ID": str(rank), "RANK_SIZE": str(size), "ASCEND_DEVICE_ID": str(card), "DEVICE_ID": str(card)}
        return {
            "PATH": f"{Path(self._python).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "HOME": str(self._root(worker) / "tmp"),
            "LANG": "C.UTF-8",
            **own,
            "MA_JOB_DIR": str(self._root(worker) / "user-job-dir"),
            "MA_LOG_DIR": str(self._root(worker) / "log"),
            "MA_NUM_HOSTS": str(len(self._workers)),
            "MA_NUM_GPUS": str(len(self._cards)),
            "MA_TASK_NAME": "worker",
            "VC_TASK_INDEX": str(worker),
            "VC_WORKER_NUM": str(len(self._workers)),
            "VC_WORKER_HOSTS": ",".join("127.0.0.1" for _ in self._workers),
            **(launched if own.get("MA_RUN_METHOD") else by_card),
        }

    def _download(self, url: str, folder: Path) -> None:
        bucket, prefix = _place(url)
        folder.mkdir(parents=True, exist_ok=True)
        pages = self._obs.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for entry in (entry for page in pages for entry in page.get("Contents", [])):
            target = folder / entry["Key"].removeprefix(prefix)
            target.parent.mkdir(parents=True, exist_ok=True)
            self._obs.download_file(bucket, entry["Key"], str(target))

    def _upload(self, folder: Path, url: str) -> None:
        bucket, prefix = _place(url)
        # ModelArts marks the folder by an object of its own.
        self._obs.put_object(Bucket=bucket, Key=prefix, Body=b"")
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self._obs.upload_file(str(path), bucket, prefix + path.relative_to(folder).as_posix())


def _url(channel: dict[str, Any]) -> str:
    return str(channel["remote"]["obs"]["obs_url"])


def _place(url: str) -> tuple[str, str]:
    bucket, _, prefix = url.removeprefix("obs://").partition("/")
    return bucket, prefix
