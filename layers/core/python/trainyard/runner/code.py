"""The submitted commit becomes a folder."""

from __future__ import annotations

import tarfile
from pathlib import Path

from trainyard.model.text import Text
from trainyard.runner.errors import SetupError
from trainyard.runner.stop import Stop
from trainyard.store.objects import ObjectMissingError, Objects

# A repository of code, not of data: files over 200 KB are refused at push, so these are far off for an honest one.
MAX_MEMBERS = 100_000
MAX_BYTES = 1 << 30


def stage_code(objects: Objects, key: str, folder: Path, stop: Stop) -> None:
    """Download the archive and unpack it into `folder`, which exists and is empty. SetupError where it cannot be."""
    archive = folder.with_suffix(".tar.gz")
    try:
        with archive.open("wb") as file:
            for piece in objects.stream(key):
                stop.check()
                file.write(piece)
    except ObjectMissingError:
        raise SetupError(
            Text(
                en="The archive of the commit is no longer there; start the run again.",
                zh="该提交的代码归档已不存在，请重新创建训练。",
            )
        ) from None
    unpack(archive, folder)
    archive.unlink()


def unpack(archive: Path, folder: Path) -> None:
    """Unpack regular files and folders; SetupError for links, devices, paths that lead outside, and for too much."""
    try:
        with tarfile.open(archive, "r:gz") as members:
            _unpack_members(members, folder)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise _refused(str(error)) from error


def _unpack_members(members: tarfile.TarFile, folder: Path) -> None:
    size = 0
    for number, member in enumerate(members, start=1):
        size += member.size
        if number > MAX_MEMBERS or size > MAX_BYTES:
            raise _refused(f"more than {MAX_MEMBERS} files or {MAX_BYTES >> 20} MiB")
        if not (member.isreg() or member.isdir()):
            raise _refused(f"{member.name} is neither a file nor a folder")
        members.extract(member, folder, filter="data")


def _refused(why: str) -> SetupError:
    return SetupError(
        Text(
            en=f"The archive of the commit could not be unpacked: {why}. Remove it from the repository and push again.",
            zh=f"无法解压该提交的代码归档：{why}。请从仓库中移除后重新推送。",
        )
    )
