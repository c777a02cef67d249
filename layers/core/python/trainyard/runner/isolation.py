"""Foreign code is started shut in: as a user of its own, in namespaces, with no way to the runner or the network.

What the platform cannot give is said, in the log and in the result, and where it is required nothing is started.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import trainyard
from trainyard.model.text import Text
from trainyard.runner import process
from trainyard.runner.errors import SetupError
from trainyard.runner.jail.plan import Plan, Report

PROTECTIONS = ("user", "runner", "files", "network", "processes", "privileges", "kernel", "limits")
_REPORT_SECONDS = 60.0
_LIBRARY = str(Path(trainyard.__file__).parents[1])
_ENTER = "import sys; sys.path.insert(0, sys.argv[1]); from trainyard.runner.jail.enter import main; main({})"


@dataclass(frozen=True)
class Policy:
    """What an operator wants of the isolation."""

    required: bool = False
    """Start nothing where a protection cannot be given; otherwise as much as this system can."""
    network: bool = False
    """Scripts may use the network."""
    max_processes: int = 4096
    """Processes and threads of one script."""
    max_disk_bytes: int | None = None
    """Of the workspace; what the disk has free, but for a reserve, if left out."""
    max_memory_bytes: int | None = None
    """Of the script; the flavor's memory, or the machine's if that is less, if left out."""


@dataclass(frozen=True)
class Access:
    """What of the file system a program gets besides the system itself, which it may read."""

    readable: list[Path] = field(default_factory=list)
    writable: list[Path] = field(default_factory=list)
    temporary: Path | None = None
    """What it sees as /tmp."""
    system: Path | None = None
    """The folder of an image that it sees as the system, in place of this machine's."""
    placed: Mapping[str, str] = field(default_factory=dict)
    """With an image: files of this machine that it sees in the folder `place` of the image. Place -> file."""
    place: str | None = None
    devices: list[str] | None = None
    """The accelerators' devices; all that there are if left out."""


@dataclass(frozen=True)
class Started:
    process: subprocess.Popen[bytes]
    isolation: dict[str, str | None]
    """Protection -> by what means, None where it is not given."""
    problems: list[str]

    @property
    def missing(self) -> list[str]:
        return [name for name in PROTECTIONS if self.isolation.get(name) is None]


class Jail:
    """Starts programs for one user. `root`: an empty folder for the view of the file system that they get."""

    def __init__(self, policy: Policy, root: Path, user: int | None) -> None:
        self.policy, self.user, self.root = policy, user, root

    def start(
        self,
        command: list[str],
        folder: Path,
        environment: Mapping[str, str],
        access: Access,
        *,
        output: int | IO[bytes],
        errors: int | IO[bytes] = subprocess.STDOUT,
        network: bool | None = None,
        shared_memory_bytes: int = 0,
    ) -> Started:
        """Start it as the leader of a session of its own, reading from nothing. `network`: if not as the policy says.

        SetupError where the policy requires what this system cannot give; nothing was started then.
        """
        if sys.platform != "linux":
            return self._start_openly(command, folder, environment, output, errors)
        plan = Plan(
            runner=os.getpid(),
            command=command,
            folder=str(folder),
            environment=dict(environment),
            user=self.user,
            network=self.policy.network if network is None else network,
            max_processes=self.policy.max_processes,
            max_file_bytes=self.policy.max_disk_bytes or 1 << 50,
            root=str(self.root),
            readable=[str(path) for path in access.readable],
            writable=[str(path) for path in access.writable],
            temporary=str(access.temporary) if access.temporary else None,
            placed=dict(access.placed),
            place=access.place,
            devices=access.devices,
            shared_memory_bytes=shared_memory_bytes,
            system=str(access.system) if access.system else None,
            # Without a root of its own a script would see this machine in place of its image.
            required=list(PROTECTIONS) if self.policy.required else ["files"] if access.system else [],
        )
        launched, report = _enter(plan, output, errors)
        started = Started(launched, report.given, report.problems)
        if set(plan.required) & set(started.missing):
            launched.wait(_REPORT_SECONDS)
            raise SetupError(NO_SYSTEM) if access.system and "files" in started.missing else _not_isolated(started)
        return started

    def end(self, started: Started, grace: float, before: set[int]) -> None:
        """End it, after SIGTERM and `grace` seconds, and everything that it started.

        `before`: the runner's children from before it was started, which are not its.
        """
        process.end_group(started.process, grace)
        process.end_strays(before)
        if self.user is not None and started.isolation.get("processes") == "ended by user":
            process.end_user(self.user)

    def _start_openly(
        self,
        command: list[str],
        folder: Path,
        environment: Mapping[str, str],
        output: int | IO[bytes],
        errors: int | IO[bytes],
    ) -> Started:
        nothing = Started(None, dict.fromkeys(PROTECTIONS), [f"{sys.platform} is not Linux"])  # type: ignore[arg-type]
        if self.policy.required:
            raise _not_isolated(nothing)
        launched = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )
        return Started(launched, nothing.isolation, nothing.problems)


def _enter(plan: Plan, output: int | IO[bytes], errors: int | IO[bytes]) -> tuple[subprocess.Popen[bytes], Report]:
    hears, tells = os.pipe()
    with tempfile.TemporaryFile() as wanted:
        wanted.write(plan.to_json())
        wanted.seek(0)
        try:
            launched = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _ENTER.format(tells), _LIBRARY],
                cwd="/",
                # Whatever the user set for the script must not reach a program that is still root.
                env={"LANG": "C.UTF-8"},
                stdin=wanted,
                stdout=output,
                stderr=errors,
                pass_fds=(tells,),
                start_new_session=True,
            )
        except BaseException:
            os.close(hears)
            raise
        finally:
            os.close(tells)
    try:
        said = _all_of(hears)
    finally:
        os.close(hears)
    try:
        return launched, Report.from_json(said)
    except json.JSONDecodeError:
        # It ended before it could say a word; how, the wait for it will tell.
        return launched, Report(dict.fromkeys(PROTECTIONS), ["the jail ended early"])


def _all_of(descriptor: int) -> bytes:
    said = b""
    deadline = time.monotonic() + _REPORT_SECONDS
    while select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
        piece = os.read(descriptor, 1 << 16)
        if not piece:
            break
        said += piece
    return said


NO_SYSTEM = Text(
    en="This machine cannot show a script an image of its own: that takes Linux, and root or user namespaces. Choose a "
    "framework, or ask the operator.",
    zh="该机器无法为脚本提供自定义镜像：需要 Linux，以及 root 权限或用户命名空间。请选择目录中的框架，或联系管理员。",
)


def _not_isolated(started: Started) -> SetupError:
    names, why = ", ".join(started.missing), "; ".join(started.problems)
    return SetupError(
        Text(
            en=f"This machine cannot isolate scripts as the operator requires ({names}), so yours was not started. "
            f"The operator must allow it there or set TRAINYARD_ISOLATION=best_effort. {why}",
            zh=f"该机器无法按管理员的要求隔离脚本（{names}），因此脚本未启动。"
            f"请管理员在机器上开启所需功能，或设置 TRAINYARD_ISOLATION=best_effort。{why}",
        )
    )


def lacking(started: Started) -> Text | None:
    """What to say in the log where something is missing."""
    if not started.missing:
        return None
    names, why = ", ".join(started.missing), "; ".join(started.problems) or "not supported"
    return Text(
        en=f"not isolated here: {names} ({why})",
        zh=f"此处无法隔离：{names}（{why}）",
    )
