"""An image of the user's own becomes the system that the script sees.

The container is always ours, with the runner, which holds the credentials; of the user's image only the files are
taken, and they are shown to the script in its jail. So who builds an image gets no more than who writes a script.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path

import trainyard
from trainyard.hosts.contract import HostUnavailableError
from trainyard.model.errors import InvalidInput
from trainyard.model.image import ImageLayer, ImageReference, PinnedImage
from trainyard.model.text import Text
from trainyard.registries.contract import ImageMissingError, Registry
from trainyard.runner.environment import Environment
from trainyard.runner.errors import SetupError
from trainyard.runner.installer import Say
from trainyard.runner.isolation import NO_SYSTEM
from trainyard.runner.jail.plan import EXIT_NOT_ISOLATED
from trainyard.runner.kept import KeptFolders, Record
from trainyard.runner.limits import disk_limit
from trainyard.runner.stop import Stop
from trainyard.runner.users import INSTALLER

Registries = Callable[[str], Registry]

MAX_KEPT_BYTES = 30 << 30
MAX_UNPACKED_BYTES = 60 << 30
IMAGE_SECONDS = 3600.0
_LAYER_TRIES = 3
_PAUSE_SECONDS = 1.0
_END_SECONDS = 120.0
_PIECE = 1 << 20
_TREE = "tree"
# What Docker gives a program whose image says nothing of it.
_USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LIBRARY = str(Path(trainyard.__file__).parents[1])
_ZSTD = "backports.zstd" if sys.version_info < (3, 14) else "compression.zstd"
_UNPACK = (
    "import sys; sys.path.insert(0, sys.argv[1]); sys.path.append(sys.argv[2]); "
    "from trainyard.runner.jail.unpack import main; main()"
)


class Images(AbstractContextManager["Images"]):
    """The unpacked images of a host. What was opened stays in use until the context ends."""

    def __init__(self, cache: Path, registries: Registries) -> None:
        self._folder, self._registries = cache / "images", registries
        # The scripts of other runs on this host have no business here: who may see an image is shown it.
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._kept = KeptFolders(self._folder, IMAGE_SECONDS)

    def open(self, image: PinnedImage, stop: Stop, say: Say) -> Environment:
        """The image's files, fetched if they are not here. SetupError where they cannot be had, StopRequestedError."""
        if sys.platform != "linux":
            raise SetupError(NO_SYSTEM)
        path = image.environment.get("PATH") or _USUAL_PATH

        def fetch(part: Path) -> tuple[Path, Record]:
            say(_fetching(image))
            tree = part / _TREE
            tree.mkdir(parents=True)
            if os.geteuid() == 0:
                os.chown(tree, INSTALLER, INSTALLER)
            return part, self._fetch(image, tree, path, stop)

        kept = self._kept.open(image.manifest.removeprefix("sha256:"), stop, fetch)
        python = kept.record["python"]
        if python is None:
            raise _without_python(image, path)
        return Environment(
            Path(python),
            packages=[],
            cached=kept.cached,
            system=kept.path / _TREE,
            variables={**image.environment, "PATH": path},
        )

    def evict(self) -> None:
        """Make room for others, see `KeptFolders`."""
        self._kept.evict(MAX_KEPT_BYTES)

    def __exit__(self, *_: object) -> None:
        self._kept.__exit__()

    def _fetch(self, image: PinnedImage, tree: Path, path: str, stop: Stop) -> Record:
        reference = ImageReference.parse(image.reference)
        registry = self._registries(reference.registry)
        ends_at = time.monotonic() + IMAGE_SECONDS
        left = disk_limit(tree, MAX_UNPACKED_BYTES)
        record: Record = {"bytes": 0, "image": image.reference, "python": None}
        for layer in image.layers:
            unpacking = _Unpacking(tree, left - record["bytes"], path, stop, ends_at)
            told = _insist(registry, reference, layer, unpacking, stop)
            record["bytes"] += told["bytes"]
            record["python"] = told["python"]
        return record


class _BrokenOffError(Exception):
    """Worth another try."""


class _Unpacking:
    """How a layer is unpacked over a tree."""

    def __init__(self, tree: Path, most_bytes: int, path: str, stop: Stop, ends_at: float) -> None:
        self._tree, self._stop, self._ends_at = tree, stop, ends_at
        arguments = [_LIBRARY, _folder_of(_ZSTD), str(tree), str(INSTALLER), str(max(most_bytes, 0)), path]
        self._command = [sys.executable, "-I", "-S", "-c", _UNPACK, *arguments]

    def apply(self, registry: Registry, repository: str, layer: ImageLayer) -> Record:
        """What the process that unpacks says in the end. Doing it again is harmless."""
        with tempfile.TemporaryFile() as said:
            unpacker = subprocess.Popen(
                self._command, cwd="/", env={"LANG": "C.UTF-8"},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, start_new_session=True,
            )  # fmt: skip
            try:
                is_whole = self._feed(unpacker, registry, repository, layer)
                told, _ = unpacker.communicate(timeout=_END_SECONDS)
            finally:
                unpacker.kill()
                unpacker.wait()
            said.seek(0)
            if unpacker.returncode == EXIT_NOT_ISOLATED:
                raise SetupError(NO_SYSTEM)
            if not is_whole:
                raise _BrokenOffError(f"{layer.digest} did not arrive as it is")
            if unpacker.returncode != 0:
                raise _not_unpacked(layer, said.read(2000).decode(errors="replace").strip())
            return dict(json.loads(told))

    def _feed(self, unpacker: subprocess.Popen[bytes], registry: Registry, repository: str, layer: ImageLayer) -> bool:
        """Hand the layer over as it comes. Whether it was the very content that was pinned."""
        assert unpacker.stdin is not None
        seen, size = hashlib.sha256(), 0
        with registry.blob(repository, layer.digest) as content:
            while size <= layer.size and (piece := content.read(_PIECE)):
                self._stop.check()
                if time.monotonic() > self._ends_at:
                    raise SetupError(_TOO_SLOW)
                seen.update(piece)
                size += len(piece)
                try:
                    unpacker.stdin.write(piece)
                except BrokenPipeError:
                    # It has refused something. Only of the true content that is the image's own fault.
                    continue
        return size == layer.size and f"sha256:{seen.hexdigest()}" == layer.digest


def _folder_of(module: str) -> str:
    """Where Python finds it. The process that unpacks looks nowhere of itself."""
    found = find_spec(module)
    assert found is not None, f"{module} is among the runner's packages"
    assert found.origin is not None
    return str(Path(found.origin).parents[len(module.split("."))])


def _insist(
    registry: Registry, reference: ImageReference, layer: ImageLayer, unpacking: _Unpacking, stop: Stop
) -> Record:
    """A layer, with a few tries."""
    for tries_left in reversed(range(_LAYER_TRIES)):
        try:
            return unpacking.apply(registry, reference.repository, layer)
        except ImageMissingError:
            raise SetupError(
                Text(
                    en=f"{reference} cannot be pulled any more; push it again or name another image.",
                    zh=f"镜像 {reference} 已无法拉取；请重新推送，或改用其他镜像。",
                )
            ) from None
        except InvalidInput as refused:
            raise SetupError(refused.message) from None
        except (HostUnavailableError, _BrokenOffError) as error:
            if not tries_left:
                raise SetupError(
                    Text(
                        en=f"The registry {reference.registry} did not deliver the image; start the run again. {error}",
                        zh=f"镜像仓库 {reference.registry} 未能提供镜像，请重新创建训练。{error}",
                    )
                ) from None
        stop.check()
        time.sleep(_PAUSE_SECONDS)
    raise AssertionError


_TOO_SLOW = Text(
    en=f"The image could not be fetched in {IMAGE_SECONDS / 60:.0f} minutes; use a smaller one or a nearer registry.",
    zh=f"未能在 {IMAGE_SECONDS / 60:.0f} 分钟内获取镜像；请使用更小的镜像或更近的镜像仓库。",
)


def _not_unpacked(layer: ImageLayer, why: str) -> SetupError:
    return SetupError(
        Text(
            en=f"The image's layer {layer.digest[:19]} cannot be unpacked: {why or 'it was ended'}. Build it again.",
            zh=f"镜像层 {layer.digest[:19]} 无法解包：{why or '进程被终止'}。请重新构建镜像。",
        )
    )


def _without_python(image: PinnedImage, path: str) -> SetupError:
    return SetupError(
        Text(
            en=f"{image.reference} has no python3 in its PATH ({path}); install one or set PATH in the image.",
            zh=f"镜像 {image.reference} 的 PATH（{path}）中没有 python3；请在镜像中安装，或设置 PATH。",
        )
    )


def _fetching(image: PinnedImage) -> Text:
    size = image.size / 1e6
    return Text(en=f"fetching {image.reference}, {size:.1f} MB", zh=f"正在获取 {image.reference}，共 {size:.1f} MB")
