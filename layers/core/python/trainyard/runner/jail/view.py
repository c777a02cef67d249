"""The root that a script sees: the system to read, its own folders to write, and nothing else of the machine."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from trainyard.runner.jail import linux
from trainyard.runner.jail.plan import Plan

# The system itself. What holds people's and services' own things is not among them: /root, /home, /var, /run, /srv.
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/sys")
# What no image brings.
_OF_THE_MACHINE = ("/proc", "/sys", "/dev", "/tmp")  # noqa: S108 - the script's own
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
# What an accelerator is spoken to through; which of them there are is the container's matter, where it is not told.
_ACCELERATORS = ("nvidia*", "davinci*", "devmm_svm", "hisi_hdc", "kfd", "dri")
_DRIVERS = "/proc/driver"
# https://github.com/moby/moby/blob/master/daemon/pkg/oci/defaults.go
_HIDDEN = (
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/sys/devices/virtual/powercap", "/sys/firmware",
)  # fmt: skip
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}


def enter(plan: Plan) -> None:
    """Change into that root for good. The process is in mount and process namespaces of its own; OSError if not."""
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    root = plan.root
    linux.mount("tmpfs", root, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=755,size=16m")
    if plan.system:
        _show_image(plan, plan.system)
    else:
        _show_machine(plan)
    if plan.temporary:
        # Before the others, which may lie below the machine's own /tmp.
        _show(root, plan.temporary, read_only=False, devices=False, place="/tmp")  # noqa: S108 - the script's own
    for path in sorted(plan.readable):
        _show(root, path, read_only=True, devices=False)
    for path in sorted(plan.writable):
        _show(root, path, read_only=False, devices=False)
    _devices(root, plan.devices, plan.shared_memory_bytes)
    Path(root, "proc").mkdir()
    linux.mount("proc", f"{root}/proc", "proc", linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC)
    if plan.placed and Path(_DRIVERS).is_dir():
        # What the container runtime shows of the driver there is less than what the kernel does: the job's own cards.
        _show(root, _DRIVERS, read_only=True, devices=False)
    _hide(root)
    linux.pivot_into(root)
    # The root itself last: until now places for mounts were made in it.
    kept = linux.MS_NOSUID | linux.MS_NODEV
    linux.mount("none", "/", None, linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY | kept)


def _show_machine(plan: Plan) -> None:
    for path in _SYSTEM:
        _show(plan.root, path, read_only=True, devices=False)
    resolver = os.path.realpath("/etc/resolv.conf")
    if plan.network and not resolver.startswith("/etc/"):
        _show(plan.root, resolver, read_only=True, devices=False)


def _show_image(plan: Plan, system: str) -> None:
    """The image's files, and over them what only the machine knows: its names, and itself under /sys."""
    ours = [*plan.readable, *plan.writable, *([plan.place] if plan.place else [])]
    _show_folder(plan.root, system, "", ours)
    for place, file in plan.placed.items():
        _show(plan.root, file, read_only=True, devices=False, place=place)
    _show(plan.root, "/sys", read_only=True, devices=False)
    # A link at its place would be followed on this machine, as this is not yet the root.
    has_place = not Path(plan.root + "/etc").is_symlink()
    for path in ("/etc/hosts", "/etc/resolv.conf"):
        if has_place and Path(path).is_file():
            linux.bind(os.path.realpath(path), plan.root + path)
            linux.restrict(plan.root + path, read_only=True)


def _show_folder(root: str, system: str, folder: str, ours: list[str]) -> None:
    """What the image has in that folder, except where a folder of ours lies: that is seen in its place."""
    for source in sorted(Path(system + folder).iterdir()):
        path = f"{folder}/{source.name}"
        if path in _OF_THE_MACHINE or path in ours:
            continue
        if not any(one.startswith(f"{path}/") for one in ours):
            _show(root, str(source), read_only=True, devices=False, place=path)
        elif source.is_dir() and not source.is_symlink():
            Path(root + path).mkdir(mode=0o755)
            _show_folder(root, system, path, ours)


def _show(root: str, path: str, *, read_only: bool, devices: bool, place: str | None = None) -> None:
    source, target = Path(path), Path(root + (place or path))
    if source.is_symlink():  # /bin -> usr/bin
        with suppress(FileExistsError):
            target.symlink_to(source.readlink())
        return
    if not source.exists():
        return
    if source.is_dir():
        target.mkdir(mode=0o755, parents=True, exist_ok=True)
    elif not target.exists():
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        target.touch()
    linux.bind(path, str(target))
    linux.restrict(str(target), read_only=read_only, devices=devices)


def _hide(root: str) -> None:
    """What Docker hides from every container but a privileged one: it tells of the machine and its other users."""
    for path in _HIDDEN:
        place = Path(root + path)
        if place.is_dir():
            linux.mount("tmpfs", str(place), "tmpfs", linux.MS_RDONLY | linux.MS_NOSUID | linux.MS_NODEV, "size=4k")
        elif place.exists():
            linux.bind(f"{root}/dev/null", str(place))


def _devices(root: str, accelerators: list[str] | None, shared_memory_bytes: int) -> None:
    place = Path(root, "dev")
    place.mkdir()
    linux.mount("tmpfs", str(place), "tmpfs", linux.MS_NOSUID, "mode=755,size=1m")
    if accelerators is None:
        accelerators = [str(path) for pattern in _ACCELERATORS for path in sorted(Path("/dev").glob(pattern))]
    for device in [*(f"/dev/{name}" for name in _DEVICES), *accelerators]:
        _show(root, device, read_only=False, devices=True)
    for name, text in _LINKS.items():
        (place / name).symlink_to(text)
    (place / "shm").mkdir()
    size = f",size={shared_memory_bytes}" if shared_memory_bytes else ""
    linux.mount("tmpfs", str(place / "shm"), "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, f"mode=1777{size}")
