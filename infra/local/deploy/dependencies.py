"""The third-party packages of layers/deps for the interpreter that runs here, exactly as the lock file has them."""

from __future__ import annotations

import compileall
import hashlib
import os
import py_compile
import shutil
import subprocess
import sys
import tempfile
import venv
from contextlib import suppress
from pathlib import Path

from infra.local.deploy.errors import DeploymentFailed
from infra.local.deploy.package import zip_entries
from trainyard.model.text import Text

INSTALL_SECONDS = 300
FUNCTIONS = ("server",)  # the project's extras that the zip functions need
IMAGES = ("server", "git")  # and what an image function needs
RUNNER = ("runner",)  # and the container of a run


def layer(root: Path, cache: Path, extras: tuple[str, ...]) -> bytes:
    """A layer's zip with these extras.

    It holds a path file only, which leads to a folder in the cache: the emulator unpacks every layer anew for every
    worker it starts, and thousands of files would cost each of them a second.
    """
    folder = install(root, cache, extras)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return zip_entries({f"python/lib/{version}/site-packages/dependencies.pth": f"{folder}\n".encode()})


def interpreter(root: Path, cache: Path, extras: tuple[str, ...]) -> Path:
    """The `bin` folder of a Python that sees these extras and nothing else, as a container's does."""
    packages = install(root, cache, extras)
    home = cache / "interpreters" / packages.name
    if not (home / "bin" / "python").exists():  # nor if the Python behind it was removed
        home.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(home, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
            fresh = Path(scratch) / "home"
            venv.create(fresh, symlinks=True, with_pip=False)
            (next(fresh.glob("lib/python*/site-packages")) / "dependencies.pth").write_text(f"{packages}\n")
            with suppress(OSError):  # another stack was quicker
                fresh.rename(home)
    return home / "bin"


def install(root: Path, cache: Path, extras: tuple[str, ...]) -> Path:
    """The folder they are installed in; made once for a lock file and an interpreter."""
    lock = (root / "uv.lock").read_bytes() + (root / "pyproject.toml").read_bytes()
    identity = repr((hashlib.sha256(lock).hexdigest(), extras, sys.version, sys.platform))
    # Resolved: its path is written into what is made, and a link may not live as long.
    folder = cache.resolve() / "dependencies" / hashlib.sha256(identity.encode()).hexdigest()[:16]
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            fresh = Path(scratch) / "packages"
            _install(root, fresh, Path(scratch) / "requirements.txt", extras)
            _compile(fresh, folder)
            # Another stack may have made it meanwhile; what it made is the same.
            with suppress(OSError):
                fresh.rename(folder)
    return folder


def _install(root: Path, target: Path, requirements: Path, extras: tuple[str, ...]) -> None:
    wanted = [argument for extra in extras for argument in ("--extra", extra)]
    _uv(
        root,
        *("export", "--frozen", "--quiet", "--no-emit-project", "--no-default-groups", *wanted),
        *("--output-file", str(requirements)),
    )
    _uv(
        root,
        *("pip", "install", "--quiet", "--python", sys.executable, "--target", str(target)),
        *("--requirements", str(requirements)),
    )


def _compile(folder: Path, final: Path) -> None:
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(
        folder, quiet=2, workers=0, invalidation_mode=unchecked, stripdir=str(folder), prependdir=str(final)
    )


def _uv(root: Path, *arguments: str) -> None:
    beside = [Path(sys.executable).parent, root / ".tools" / "uv" / "bin"]  # where `make setup` may have put it
    uv = shutil.which("uv") or shutil.which("uv", path=os.pathsep.join(map(str, beside)))
    if uv is None:
        raise DeploymentFailed(
            Text(en="uv is not on the PATH; `make setup` installs it.", zh="PATH 中没有 uv；请运行 `make setup` 安装。")
        )
    done = subprocess.run(  # its own time limit is the only bound on the network
        [uv, *arguments], cwd=root, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
    )
    if done.returncode != 0:
        said = done.stderr.strip()[-2000:]
        raise DeploymentFailed(
            Text(en=f"uv {arguments[0]} failed:\n{said}", zh=f"uv {arguments[0]} 失败：\n{said}"),
        )
