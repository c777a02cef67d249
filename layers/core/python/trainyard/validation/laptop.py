"""The check on a laptop: a work tree as it would be committed, one commit, or what a push is about to send."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trainyard.model.errors import InvalidInput
from trainyard.model.finding import Finding, FindingCount
from trainyard.model.text import Text
from trainyard.validation.engine import check
from trainyard.validation.fetch import limit_text
from trainyard.validation.object_database import LimitExceededError, Limits, ObjectDatabase, UnreadableError
from trainyard.validation.snapshot import CommitSnapshot, FolderSnapshot, subfolder

HOOK_MARK = "# trainyard: check before a push"
_GIT_SECONDS = 20
# Others, such as notes, start no run.
_CHECKED_REFS = ("refs/heads/", "refs/tags/")


@dataclass(frozen=True)
class Report:
    """What a check said. `exit_status`: 0 clean or only warnings, 1 errors. 2 is for a check that could not be made."""

    findings: list[Finding]

    @property
    def count(self) -> FindingCount:
        return FindingCount.of(self.findings)

    @property
    def exit_status(self) -> int:
        return 1 if self.count.errors else 0


_LIMITS = Limits(memory_bytes=0)
"""The repository is the user's own, and its packs may be of any size."""


def check_path(path: Path | str, commit: str | None = None, service: str | None = None) -> Report:
    """Check the folder `path` as it would be committed or, with `commit`, that commit of the repository there.

    Paths in the report are relative to `path`. Nothing is run and nothing is written. `service`: root of the
    deployment whose pages explain the rules, where there is one.

    Raises:
        InvalidInput: there is no such folder or commit, git is missing, or it is more than is looked at.
    """
    root = Path(path)
    if not root.is_dir():
        raise InvalidInput(
            Text(en=f"There is no folder {root}.", zh=f"没有文件夹 {root}。"),
            details={"field": "path"},
        )
    limits = _LIMITS
    try:
        if commit is None:
            return Report(check(FolderSnapshot(root, limits), service=service))
        with ObjectDatabase(_git_dir(root), limits) as database:
            full = _commit(database, commit)
            return Report(check(subfolder(CommitSnapshot(database, full), _prefix(root)), service=service))
    except LimitExceededError as error:
        message, fix = limit_text(error.limit, limits)
        raise InvalidInput(Text(en=f"{message.en} {fix.en}", zh=f"{message.zh}{fix.zh}")) from None
    except UnreadableError:
        raise InvalidInput(
            Text(en="The repository cannot be read; run `git fsck`.", zh="无法读取仓库，请运行 `git fsck`。")
        ) from None


@dataclass(frozen=True)
class PushedRef:
    """A branch or tag that a push is about to move."""

    ref: str
    """Its full name at the remote."""
    object_id: str


def pushed_refs(lines: Iterable[str]) -> list[PushedRef]:
    """What git tells a pre-push hook on its standard input: the branches and tags that will exist afterwards.

    Deletions and what is neither branch nor tag are left out. https://git-scm.com/docs/githooks#_pre_push
    """
    refs = []
    for line in lines:
        # What is pushed may be written as an expression with spaces in it; the three words after it have none.
        words = line.rstrip("\n").rsplit(" ", 3)
        if len(words) == 4 and words[1].strip("0") and words[2].startswith(_CHECKED_REFS):
            refs.append(PushedRef(words[2], words[1]))
    return refs


def check_pushed(
    path: Path | str, refs: Iterable[PushedRef], service: str | None = None
) -> list[tuple[PushedRef, Report]]:
    """Check each commit that `refs` bring to the remote, once; the work tree plays no part.

    Raises:
        InvalidInput: as `check_path`.
    """
    root = Path(path)
    git_dir = _git_dir(root)
    reports: dict[str, tuple[PushedRef, Report]] = {}
    for ref in refs:
        with ObjectDatabase(git_dir, _LIMITS) as database:
            try:
                commit = database.commit(ref.object_id)
            except UnreadableError:
                continue  # a tag of something that is no commit starts no run
        if commit not in reports:
            reports[commit] = ref, check_path(_top(root), commit, service)
    return list(reports.values())


def install_hook(path: Path | str) -> Path:
    """Install a pre-push hook into the repository at `path` that checks each commit that is pushed.

    Installing it again renews it. Returns where it lies.

    Raises:
        InvalidInput: it is no repository, has another pre-push hook, or shares its hooks with other repositories.
    """
    root = Path(path)
    hook = root / _git(root, "rev-parse", "--git-path", "hooks/pre-push")
    if not _belongs_to(root, hook):
        raise InvalidInput(
            Text(
                en=f"core.hooksPath leads to {hook.parent}, outside of this repository. Call "
                "`trainyard check --pushed` in the pre-push hook there.",
                zh=f"core.hooksPath 指向仓库之外的 {hook.parent}。请在那里的 pre-push 钩子中调用 "
                "`trainyard check --pushed`。",
            )
        )
    if hook.exists() and HOOK_MARK not in hook.read_text(errors="replace"):
        raise InvalidInput(
            Text(
                en=f"There is another pre-push hook at {hook}. Call `trainyard check --pushed` in it.",
                zh=f"{hook} 已有其他 pre-push 钩子。请在其中调用 `trainyard check --pushed`。",
            )
        )
    hook.parent.mkdir(parents=True, exist_ok=True)
    hook.write_text(_hook_text())
    hook.chmod(0o755)
    return hook


def _hook_text() -> str:
    python = shlex.quote(sys.executable)
    # -P: modules are not looked up in the repository, whose code is never run. A clone without the program, or one
    # where the check cannot be made, must still be able to push; the server checks in any case.
    return f"""\
#!/bin/sh
{HOOK_MARK}
# Written by `trainyard check --install-hook`. `git push --no-verify` goes past it.
if command -v trainyard >/dev/null 2>&1; then
  trainyard check --pushed >&2
elif {python} -P -c 'import trainyard.cli' >/dev/null 2>&1; then
  {python} -P -m trainyard check --pushed >&2
else
  echo "trainyard is not installed: nothing was checked / 未安装 trainyard，未做检查" >&2
  exit 0
fi
status=$?
if [ "$status" -eq 1 ]; then
  echo "trainyard: not pushed; git push --no-verify goes past the check / 未推送；可用 --no-verify 跳过检查" >&2
  exit 1
fi
if [ "$status" -ne 0 ]; then
  echo "trainyard: could not check; pushed unchecked / 无法检查，未经检查即推送" >&2
fi
exit 0
"""


def _belongs_to(root: Path, hook: Path) -> bool:
    """Whether the hook lies in the repository's own folders and not where others share it."""
    own = [_git_dir(root), _top(root)]
    return any(hook.resolve().is_relative_to(folder.resolve()) for folder in own)


def _top(root: Path) -> Path:
    """The top of the work tree; of a bare repository, the repository."""
    found = _git(root, "rev-parse", "--is-inside-work-tree", "--show-cdup").splitlines()
    return root / found[1] if found[0] == "true" and len(found) > 1 else root


def _git_dir(root: Path) -> Path:
    """The object database of the repository that `root` lies in; a linked work tree's is the main one's."""
    found = Path(_git(root, "rev-parse", "--git-common-dir"))
    return found if found.is_absolute() else root / found


def _prefix(root: Path) -> str:
    """`root` within its work tree: empty, or a folder with a slash."""
    return _git(root, "rev-parse", "--show-prefix")


def _commit(database: ObjectDatabase, revision: str) -> str:
    try:
        return database.commit(revision)
    except UnreadableError:
        raise InvalidInput(
            Text(en=f"There is no commit {revision!r} here.", zh=f"此处没有提交 {revision!r}。"),
            details={"field": "commit"},
        ) from None


def _git(root: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            check=True,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_GIT_SECONDS,
        )
    except FileNotFoundError:
        raise InvalidInput(Text(en="git is not installed.", zh="未安装 git。")) from None
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        raise InvalidInput(Text(en=f"{root} is not in a git repository.", zh=f"{root} 不在 Git 仓库中。")) from None
    return done.stdout.decode(errors="replace").removesuffix("\n")
