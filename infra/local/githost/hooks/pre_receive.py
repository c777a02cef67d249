"""Refuse a push that the rules of the house do not allow, and say what to do. Standard library only: see git.py.

Large plain files are refused everywhere. Git LFS is refused in projects, because a training run gets their code
without it. A model or data set gets the advice to use Git LFS.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator

LARGEST_FILE_BYTES = 200 * 1024
LARGEST_POINTER_BYTES = 1023
POINTER_START = b"version https://git-lfs.github.com/spec/v1"
SHOWN = 10


def main() -> int:
    tips = [line.split()[1] for line in sys.stdin if line.split()[1].strip("0")]
    if not tips:
        return 0
    is_project = os.environ.get("TRAINYARD_KIND", "project") == "project"
    new = list(new_files(tips))
    large = [(path, size) for _, path, size in new if size > LARGEST_FILE_BYTES]
    pointers = pointer_paths(new) if is_project else []
    tracking = tracked_by_lfs(tips) if is_project else []
    if large:
        say_large(large, is_project=is_project)
    if pointers or tracking:
        say_lfs(pointers, tracking)
    return 1 if large or pointers or tracking else 0


def new_files(tips: list[str]) -> Iterator[tuple[str, str, int]]:
    """Object id, path and size in bytes of every file that this push brings, in any of its commits."""
    objects = git(["rev-list", "--objects", "--stdin", "--not", "--all"], "\n".join(tips).encode() + b"\n")
    described = git(["cat-file", "--batch-check=%(objecttype) %(objectsize) %(objectname) %(rest)"], objects)
    for line in described.decode(errors="surrogateescape").split("\n"):
        kind, _, rest = line.partition(" ")
        if kind == "blob":
            size, oid, path = rest.split(" ", 2)
            yield oid, path or oid, int(size)


def pointer_paths(files: list[tuple[str, str, int]]) -> list[str]:
    small = [(oid, path) for oid, path, size in files if len(POINTER_START) <= size <= LARGEST_POINTER_BYTES]
    contents = read_blobs(oid for oid, _ in small)
    return [path for (_, path), content in zip(small, contents, strict=True) if content.startswith(POINTER_START)]


def tracked_by_lfs(tips: list[str]) -> list[str]:
    """Paths of the .gitattributes that hand files to Git LFS, as the refs are after the push."""
    attributes: dict[str, str] = {}
    for tip in tips:
        if git(["cat-file", "-t", f"{tip}^{{}}"]).strip() != b"commit":
            continue
        for entry in git(["ls-tree", "-r", "-z", "--full-tree", tip]).decode(errors="surrogateescape").split("\0"):
            described, _, path = entry.partition("\t")
            if path.rpartition("/")[2] == ".gitattributes" and described.split()[1] == "blob":
                attributes[described.split()[2]] = path
    contents = read_blobs(attributes)
    return [path for path, content in zip(attributes.values(), contents, strict=True) if hands_to_lfs(content)]


def hands_to_lfs(attributes: bytes) -> bool:
    lines = (line.strip() for line in attributes.splitlines())
    return any(b"filter=lfs" in line.split()[1:] for line in lines if line and not line.startswith(b"#"))


def read_blobs(oids: Iterable[str]) -> Iterator[bytes]:
    output, place = git(["cat-file", "--batch"], "".join(f"{oid}\n" for oid in oids).encode()), 0
    while place < len(output):
        header_end = output.index(b"\n", place)
        start, size = header_end + 1, int(output[place:header_end].split()[2])
        yield output[start : start + size]
        place = start + size + 1


def git(arguments: list[str], given: bytes = b"") -> bytes:
    return subprocess.run(["git", *arguments], input=given, stdout=subprocess.PIPE, check=True, timeout=120).stdout


def say_large(files: list[tuple[str, int]], *, is_project: bool) -> None:
    say("Push refused: these files are larger than 200 KB / 推送被拒绝：以下文件超过 200KB：")
    say_paths([f"{path} ({size / 1024:.1f} KB)" for path, size in files])
    if is_project:
        say("Take them out, then push again. Put large files into a model or dataset repository, named under `inputs`:")
        say("请移除后重新推送；大文件请放入模型或数据集仓库，并在 inputs 中引用：")
        say("  git rm --cached <file> && git commit --amend && git push")
    else:
        say("Hand them to Git LFS, then push again / 请先用 Git LFS 管理这些文件，再重新推送：")
        say(f'  git lfs install && git lfs track "{pattern(files[0][0])}" && git add .gitattributes')
        say("  git rm --cached <file> && git add <file> && git commit --amend && git push")
        say("Files of earlier commits / 更早提交中的文件：git lfs migrate import --above=200kb")


def say_lfs(pointers: list[str], tracking: list[str]) -> None:
    say("Push refused: project repositories take no Git LFS files / 推送被拒绝：项目仓库不支持 Git LFS 文件：")
    say_paths(pointers + tracking)
    say("Put large files into a model or dataset repository and name it under `inputs` of trainyard.yaml.")
    say("请将大文件放入模型或数据集仓库，并在 trainyard.yaml 的 inputs 中引用。然后 / Then here:")
    say("  git lfs untrack <pattern> && git rm --cached <file> && git commit --amend && git push")


def pattern(path: str) -> str:
    name = path.rpartition("/")[2]
    _, dot, ending = name.rpartition(".")
    return f"*.{ending}" if dot else name


def say_paths(paths: list[str]) -> None:
    for path in paths[:SHOWN]:
        # A path is the pusher's own text: nothing in it may steer their terminal.
        say("  - " + "".join(letter if letter.isprintable() else "?" for letter in path))
    if len(paths) > SHOWN:
        say(f"  ... {len(paths) - SHOWN} more / 以及其他 {len(paths) - SHOWN} 个")


def say(line: str) -> None:
    sys.stderr.buffer.write(line.encode(errors="replace") + b"\n")


if __name__ == "__main__":
    sys.exit(main())
