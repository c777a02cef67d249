"""The check on a laptop: a work tree as it would be committed, or one commit; and the hook that runs it before a "
"push."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
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


def check_path(path: Path | str, commit: str | None = None) -> Report:
    """Check the folder `path` as it would be committed or, with `commit`, that commit of the repository there.

    Paths in the report are relative to `path`. Nothing is run and nothing is written.

    Raises:
        InvalidInput: there is no such folder or commit, git is missing, or it is more than is looked at.
    """
    root = Path(path)
    if not root.is_dir():
        raise InvalidInput(
            Text(en=f"There is no folder {root}.", zh=f"没有文件夹 {root}。"),
            details={"field": "path"},
        )
    limits = Limits()
    try:
        if commit is None:
            return Report(check(FolderSnapshot(root, limits)))
        with ObjectDatabase(_git_dir(root), limits) as database:
            full = _commit(database, commit)
            return Report(check(subfolder(CommitSnapshot(database, full), _prefix(root))))
    except LimitExceededError as error:
        message, fix = limit_text(error.limit, limits)
        raise InvalidInput(Text(en=f"{message.en} {fix.en}", zh=f"{message.zh}{fix.zh}")) from None
    except UnreadableError:
        raise InvalidInput(
            Text(en="The repository cannot be read; run `git fsck`.", zh="无法读取仓库，请运行 `git fsck`。")
        ) from None


def install_hook(path: Path | str) -> Path:
    """Install a pre-push hook into the repository at `path` that checks each commit that is pushed.

    Installing it again renews it. Returns where it lies.

    Raises:
        InvalidInput: it is no repository, or has another pre-push hook already.
    """
    hook = Path(_git(Path(path), "rev-parse", "--git-path", "hooks/pre-push"))
    if not hook.is_absolute():
        hook = Path(path) / hook
    if hook.exists() and HOOK_MARK not in hook.read_text(errors="replace"):
        raise InvalidInput(
            Text(
                en=f"There is another pre-push hook at {hook}. Call `trainyard check` from it.",
                zh=f"{hook} 已有其他 pre-push 钩子。请在其中调用 `trainyard check`。",
            )
        )
    hook.parent.mkdir(parents=True, exist_ok=True)
    hook.write_text(_hook_text())
    hook.chmod(0o755)
    return hook


def _hook_text() -> str:
    python = shlex.quote(sys.executable)
    # A clone without the program must still be able to push; the server checks in any case.
    return f"""\
#!/bin/sh
{HOOK_MARK}
# Written by `trainyard check --install-hook`. `git push --no-verify` goes past it.
if command -v trainyard >/dev/null 2>&1; then check=trainyard
elif {python} -c 'import trainyard.cli' >/dev/null 2>&1; then check="{python} -m trainyard"
else echo "trainyard is not installed: nothing was checked / 未安装 trainyard，未做检查" >&2; exit 0
fi
cd "$(git rev-parse --show-toplevel)" || exit 0
failed=0
while read -r local_ref local_sha remote_ref remote_sha; do
  case "$local_sha" in *[!0]*) ;; *) continue ;; esac
  $check check . --commit "$local_sha" >&2
  status=$?
  if [ "$status" -eq 1 ]; then failed=1; fi
done
exit $failed
"""


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
