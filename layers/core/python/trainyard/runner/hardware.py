"""What the attempt runs on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from trainyard.model.result import Machine

_SECONDS = 10.0
_METADATA_SECONDS = 2.0


def machine(outer: Mapping[str, str]) -> Machine:
    """Never raises: what cannot be told is left empty."""
    image, digest = _image(outer.get("ECS_CONTAINER_METADATA_URI_V4", ""))
    return Machine(
        cpu=_cpu(),
        cpus=len(os.sched_getaffinity(0)),
        memory_bytes=_memory(),
        accelerators=_accelerators(outer.get("NVIDIA_VISIBLE_DEVICES", "")),
        kernel=f"{platform.system()} {platform.release()} {platform.machine()}",
        image=image,
        image_digest=digest,
    )


def _cpu() -> str:
    lines = _text("/proc/cpuinfo").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _memory() -> int:
    """The container's limit where it has one, else the host's memory."""
    limit = _text("/sys/fs/cgroup/memory.max").strip()
    lines = _text("/proc/meminfo").splitlines()
    host = next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemTotal:")), 0)
    return min(int(limit), host) if limit.isdigit() and host else host


def _accelerators(given: str) -> list[str]:
    """`NVIDIA A10G, 23028 MiB, driver 550.54`, one for each that the job was given."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    if given.startswith("GPU-"):
        # A privileged container sees those of others as well.
        query.append(f"--id={given}")
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip()[:200] for line in told.stdout.splitlines() if line.strip()][:64]


def _image(metadata: str) -> tuple[str, str]:
    """Name and digest, as the container agent tells them on its link-local address."""
    if not metadata.startswith("http://169.254."):
        return "", ""
    try:
        with urllib.request.urlopen(metadata, timeout=_METADATA_SECONDS) as answer:  # noqa: S310 - checked above
            told = json.loads(answer.read(1 << 20))
        return str(told.get("Image", "")), str(told.get("ImageID", ""))
    except (OSError, ValueError, AttributeError):
        return "", ""


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
