"""Prepare `.venv`: run by `make setup` with the machine's own Python, so it uses the standard library alone.

What it cannot install it names, with the command that would.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools"
UV_REQUIREMENT = "uv>=0.9,<1"
# A cold package index on a slow line; nothing waits longer than this.
INSTALL_SECONDS = 1800


def main() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 - it may be run by any Python
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit(f"Trainyard needs Python 3.11 or newer; this is {found}.\nRun: make setup PYTHON=python3.11")
    if shutil.which("git") is None:
        sys.exit("Trainyard needs git.\nRun: sudo apt-get install git   (or: brew install git, sudo dnf install git)")
    uv = find_uv()
    # The lock file decides every version; --frozen refuses to change it.
    subprocess.run(
        [uv, "sync", "--frozen", "--all-extras", "--quiet", "--python", sys.executable],
        cwd=ROOT,
        check=True,
        timeout=INSTALL_SECONDS,
    )
    # Models and data sets are pushed with Git LFS.
    if missing := ensure_program("git-lfs"):
        sys.exit(f"Trainyard needs git-lfs. {missing}")
    # Only the tests of the pages need a browser, so that nothing else waits for one. The fonts are for Chinese.
    if missing := ensure_program("chromium", "chromium", "fonts-noto-cjk"):
        print(f"Without Chromium the tests of the pages fail. {missing}", flush=True)


def find_uv() -> str:
    """uv from the PATH, else installed with pip into a folder of its own."""
    on_path = shutil.which("uv")
    if on_path:
        return on_path
    own = TOOLS / "uv" / "bin" / "uv"
    if not own.exists():
        print("installing uv ...", flush=True)
        try:
            subprocess.run([sys.executable, "-m", "venv", str(TOOLS / "uv")], check=True, timeout=INSTALL_SECONDS)
        except subprocess.CalledProcessError:
            sys.exit("Python's venv module is missing.\nRun: sudo apt-get install python3-venv")
        pip = TOOLS / "uv" / "bin" / "pip"
        subprocess.run(
            [str(pip), "install", "--quiet", "--disable-pip-version-check", UV_REQUIREMENT],
            check=True,
            timeout=INSTALL_SECONDS,
        )
    return str(own)


def ensure_program(name: str, *packages: str) -> str | None:
    """Install a program of the distribution, with whatever it needs; where that cannot be: what to say about it."""
    if shutil.which(name):
        return None
    installer = distribution_installer(packages or (name,))
    if installer is not None:
        print(f"installing {name} ...", flush=True)
        for command in installer:
            subprocess.run(command, check=False, timeout=INSTALL_SECONDS, stdout=subprocess.DEVNULL)
    if shutil.which(name):
        return None
    return (
        f"{name} could not be installed.\n"
        f"Run: sudo apt-get install {name}   (or: brew install {name}, sudo dnf install {name})"
    )


def distribution_installer(packages: tuple[str, ...]) -> list[list[str]] | None:
    """The commands that install these packages here without asking anybody, or None."""
    if shutil.which("apt-get"):
        prefix = root_prefix()
        if prefix is not None:
            quiet = [
                "env",
                "DEBIAN_FRONTEND=noninteractive",
                "apt-get",
                "install",
                "-y",
                "-qq",
                "--no-install-recommends",
            ]
            return [[*prefix, "apt-get", "update", "-qq"], [*prefix, *quiet, *packages]]
    if shutil.which("brew"):
        return [["brew", "install", "--quiet", packages[0]]]
    return None


def root_prefix() -> list[str] | None:
    """How to run a command as root without a prompt: nothing, sudo, or not at all."""
    if os.geteuid() == 0:
        return []
    if (
        shutil.which("sudo")
        and subprocess.run(["sudo", "-n", "true"], check=False, capture_output=True).returncode == 0
    ):
        return ["sudo", "-n"]
    return None


if __name__ == "__main__":
    main()
