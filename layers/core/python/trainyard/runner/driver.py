"""NVIDIA's driver for a script that stands on an image of its owner's.

The container runtime puts what belongs to the machine's driver into our container: libraries, nvidia-smi, device nodes,
a part of /proc. An image brings none of it, so all of it is shown to the script in a folder of its own, where images
that are made for GPUs look for it, and which LD_LIBRARY_PATH names last: what an image wants to come first does.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trainyard.model.text import Text
from trainyard.runner.errors import SetupError

PLACE = "/usr/local/nvidia"
LIBRARIES, PROGRAMS = f"{PLACE}/lib64", f"{PLACE}/bin"
_FOLDERS = ("usr/lib/x86_64-linux-gnu", "usr/lib64", "usr/lib")
# Of the capabilities compute, utility and video; what draws on screens is left out.
_PATTERNS = ("libcuda.so*", "libcudadebugger.so*", "libnvidia-*.so*", "libnvcuvid.so*", "libnvoptix.so*")
_NEEDED = "libcuda.so.1"
_SMI = "usr/bin/nvidia-smi"
_SHARED_DEVICES = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools")
_CARDS = "proc/driver/nvidia/gpus"
_PASSED_ON = ("NVIDIA_", "CUDA_VISIBLE_DEVICES")
_SECONDS = 60.0


@dataclass(frozen=True)
class Driver:
    files: dict[str, str]
    """Where the script sees it -> where it lies here."""
    devices: list[str]
    """Of the cards that the job was given, and those that all cards share."""
    variables: dict[str, str]
    """What the container runtime was told; it counts more than what an image says of itself."""


def nvidia_driver(outer: Mapping[str, str], root: Path = Path("/")) -> Driver:
    """What lies in this container, or in the one at `root`. SetupError where a card or the driver is missing."""
    libraries = _libraries(root)
    if _NEEDED not in libraries:
        raise SetupError(_NO_DRIVER)
    files = {f"{LIBRARIES}/{name}": str(path) for name, path in libraries.items()}
    if (root / _SMI).is_file():
        files[f"{PROGRAMS}/nvidia-smi"] = str((root / _SMI).resolve())
    cards = [f"nvidia{minor}" for minor in sorted(_cards(outer.get("NVIDIA_VISIBLE_DEVICES", ""), root))]
    shared = [name for name in _SHARED_DEVICES if (root / "dev" / name).exists()]
    return Driver(
        files,
        devices=[str(root / "dev" / name) for name in (*shared, *cards)],
        variables={name: value for name, value in outer.items() if name.startswith(_PASSED_ON)},
    )


def _libraries(root: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in _FOLDERS:
        for path in (path for pattern in _PATTERNS for path in sorted((root / folder).glob(pattern))):
            if path.is_file():
                # Names that link to another become that file: where the link leads need not be shown.
                found.setdefault(path.name, path.resolve())
    return found


def _cards(visible: str, root: Path) -> set[int]:
    """The numbers of their device nodes.

    A privileged container has the nodes of every card of its machine, whichever of them the job was given.
    """
    minors = {folder.name.lower(): _minor(folder) for folder in (root / _CARDS).glob("*")}
    if visible in ("", "all"):
        wanted = set(minors)
    else:
        known = _buses(root)
        wanted = {known.get(name.strip(), "") for name in visible.split(",")}
    found = {minors[bus] for bus in wanted if bus in minors}
    if not found or len(found) < len(wanted):
        raise SetupError(_no_card(visible))
    return found


def _minor(card: Path) -> int:
    lines = (card / "information").read_text().splitlines()
    return next(int(line.partition(":")[2]) for line in lines if line.startswith("Device Minor:"))


def _buses(root: Path) -> dict[str, str]:
    """A card's UUID, and its index, to its place on the bus as the kernel spells it."""
    query = [str(root / _SMI), "--query-gpu=index,uuid,pci.bus_id", "--format=csv,noheader"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=_SECONDS, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    buses = {}
    for line in told.splitlines():
        index, uuid, bus = (part.strip() for part in line.split(","))
        # It writes eight digits of the domain, the kernel four.
        buses[index] = buses[uuid] = bus.lower()[-len("0000:00:00.0") :]
    return buses


def library_path(known: str) -> str:
    """The variable LD_LIBRARY_PATH, with the driver behind what it holds."""
    return os.pathsep.join(filter(None, (known, LIBRARIES)))


_NO_DRIVER = Text(
    en=f"This machine shows no NVIDIA driver ({_NEEDED}), which the container runtime should have put into the "
    "container. Start the run again; if that does not help, tell the operator.",
    zh=f"该机器没有提供 NVIDIA 驱动（{_NEEDED}），容器运行时本应将其放入容器。请重新创建训练；若仍失败，请联系管理员。",
)


def _no_card(visible: str) -> Text:
    return Text(
        en=f"This machine does not show the cards that the job was given ({visible or 'all'}). Start the run again; if "
        "that does not help, tell the operator.",
        zh=f"该机器没有提供分配给作业的加速卡（{visible or 'all'}）。请重新创建训练；若仍失败，请联系管理员。",
    )
