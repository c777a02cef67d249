"""What NVIDIA's container runtime puts into a container, without a card: libraries, nvidia-smi, device nodes, /proc."""

from __future__ import annotations

import os
import shutil
import stat
import sysconfig
from pathlib import Path

VERSION = "550.54.15"
LIBRARIES = Path("usr/lib/x86_64-linux-gnu")
CARDS = {0: "GPU-aaaaaaaa-0000-0000-0000-000000000000", 1: "GPU-bbbbbbbb-1111-1111-1111-111111111111"}
"""The number of a card's device node, and its UUID. Their order on the bus is the other one."""
_BUS = {0: "0000:00:1e.0", 1: "0000:00:1d.0"}
_SMI = """#!/bin/sh
case "$*" in
  *index,uuid,pci.bus_id*) printf '0, {1}, 00000000:00:1D.0\\n1, {0}, 00000000:00:1E.0\\n' ;;
  *) echo 'NVIDIA Fake, 16384 MiB, {version}' ;;
esac
"""


def any_library() -> Path:
    """A shared library of this machine that depends on nothing but libc, to be loaded by another name."""
    return Path("/lib", sysconfig.get_config_var("MULTIARCH") or "", "libdl.so.2").resolve()


def lay_driver(root: Path) -> None:
    """Under `root` everything lies where the runtime puts it. Needs root, for the device nodes."""
    libraries = root / LIBRARIES
    libraries.mkdir(parents=True, exist_ok=True)
    for name in ("libcuda.so", "libnvidia-ml.so", "libnvidia-ptxjitcompiler.so"):
        shutil.copyfile(any_library(), libraries / f"{name}.{VERSION}")
        (libraries / f"{name}.1").symlink_to(f"{name}.{VERSION}")
    (libraries / "libcuda.so").symlink_to("libcuda.so.1")
    # Not the driver's.
    (libraries / "libcudart.so.12").write_bytes(b"")
    smi = root / "usr/bin/nvidia-smi"
    smi.parent.mkdir(parents=True, exist_ok=True)
    smi.write_text(_SMI.format(*CARDS.values(), version=VERSION))
    smi.chmod(0o755)
    (root / "dev").mkdir(exist_ok=True)
    for name in ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset", *(f"nvidia{card}" for card in CARDS)):
        # The kernel's own device for nothing stands in for the card.
        os.mknod(root / "dev" / name, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        (root / "dev" / name).chmod(0o666)
    for card, bus in _BUS.items():
        folder = root / "proc/driver/nvidia/gpus" / bus
        folder.mkdir(parents=True)
        (folder / "information").write_text(f"Model: \t\t Fake\nIRQ:   \t\t 11\nDevice Minor: \t {card}\n")
