"""The steps of a Dockerfile in a chroot of Debian, where no Docker engine is at hand: `make chroot IMAGE=cpu`, as root.

It shows that the steps work, on Debian's own Python 3.11, that the command starts, and that the script's user cannot
read the runner; not the base image, nor what an engine adds. Prints JSON lines: seconds for each step, and the size.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MIRROR = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
_PACKAGES = "python3,python3-pip,python3-venv,ca-certificates"
_EXTRAS = {"cpu": ("runner",), "cuda": ("runner",)}
_STEP_SECONDS = 1200.0
# What it says where there is no job: it has read its own packages by then.
_STARTED = "KeyError: 'TRAINYARD_"


def main(image: str, folder: Path) -> int:
    if image not in _EXTRAS or os.geteuid() != 0 or shutil.which("debootstrap") is None:
        print(f"needs root, debootstrap, and one of {', '.join(_EXTRAS)}", file=sys.stderr)
        return 2
    context, base, root = (folder / name for name in ("context", "base", "root"))
    for old in (context, root):
        shutil.rmtree(old, ignore_errors=True)
    with _timed(image, "context"):
        _run([ROOT / "infra" / "images" / "context", context, *_EXTRAS[image]])
    with _timed(image, "base"):
        _debian(base)
    _run(["cp", "-a", base, root])
    environment = {"PATH": "/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin", "DEBIAN_FRONTEND": "noninteractive"}
    environment |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    dockerfile = ROOT / "infra" / "images" / image / "Dockerfile"
    for word, rest in _instructions(dockerfile.read_text()):
        match word:
            case "ARG" | "FROM":
                continue
            case "ENV":
                environment |= dict(pair.split("=", 1) for pair in shlex.split(rest))
            case "COPY":
                _copy(context, root, *shlex.split(rest))
            case "RUN":
                with _timed(image, rest[:40]):
                    _run(["chroot", root, "/bin/sh", "-ec", rest], environment)
            case "CMD":
                _starts(root, json.loads(rest), environment)
            case _:
                raise ValueError(f"no way is known here to do {word}")
    _hidden_from_scripts(root)
    size = int(subprocess.run(["du", "-sm", root], capture_output=True, text=True, check=True).stdout.split()[0])
    print(json.dumps({"name": f"image.{image}.size", "value": size, "unit": "MiB"}))
    return 0


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, _, rest = line.partition(" ")
        yield word, " ".join(rest.split())


def _debian(base: Path) -> None:
    """Debian with what the base image has: `python`, and a pip that may install for the system."""
    if not (base / "usr/bin/python3").exists():
        _run(["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", base, MIRROR])
    for marker in base.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()
    python = base / "usr/local/bin/python"
    if not python.exists():
        python.symlink_to("/usr/bin/python3")
    for file in ("etc/resolv.conf", "etc/ssl/certs/ca-certificates.crt"):
        shutil.copy(Path("/") / file, base / file)


def _copy(context: Path, root: Path, source: str, target: str) -> None:
    to = root / target.lstrip("/")
    to.parent.mkdir(parents=True, exist_ok=True)
    if (context / source).is_dir():
        shutil.copytree(context / source, to, dirs_exist_ok=True)
    else:
        shutil.copy(context / source, to)


def _starts(root: Path, command: list[str], environment: dict[str, str]) -> None:
    tried = subprocess.run(
        ["chroot", root, *command], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    if _STARTED not in tried.stderr:
        raise RuntimeError(f"{command} did not start:\n{tried.stderr}")


def _hidden_from_scripts(root: Path) -> None:
    tried = subprocess.run(
        ["chroot", "--userspec=10001:10001", root, "ls", "/opt/trainyard"], capture_output=True, check=False
    )
    if tried.returncode == 0:
        raise RuntimeError("the script's user can read the runner")


@contextmanager
def _timed(image: str, step: str) -> Iterator[None]:
    begin = time.monotonic()
    yield
    print(json.dumps({"name": f"image.{image}: {step}", "value": round(time.monotonic() - begin, 1), "unit": "s"}))


def _run(command: list[str | Path], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_STEP_SECONDS, check=False)
    if done.returncode:
        raise RuntimeError(f"{command} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]).resolve()))
