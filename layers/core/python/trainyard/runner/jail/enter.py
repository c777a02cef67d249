"""`main`: from the runner's process to the script's. One protection after another, each by the best means there is."""

from __future__ import annotations

import os
import resource
import signal
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from trainyard.runner.jail import linux, view
from trainyard.runner.jail.filter import forbid_administration, forbid_network
from trainyard.runner.jail.plan import EXIT_NOT_ISOLATED, EXIT_NOT_STARTED, SYSTEM_CALL_FILTER, Plan, Report

# When memory runs out, the script goes, not the runner that has to say so.
_OOM_SCORE = "600"
OWN_ROOT = "own root"
_STATUS = struct.Struct("i")
# The process id of a parent outside the namespace of processes.
_UNSEEN = 0


def main(report_to: int) -> NoReturn:
    """Read the plan from standard input and carry it out; the report goes to the descriptor `report_to`."""
    plan = Plan.from_json(sys.stdin.buffer.read())
    # The runner reads until all ends are closed, and the script must not be able to add a word.
    os.set_inheritable(report_to, False)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    _die_with(plan.runner)
    for number in (signal.SIGTERM, signal.SIGINT):
        # A stop is meant for the script, which is in our process group and hears it too.
        signal.signal(number, signal.SIG_IGN)
    report = Report()
    spaces = _namespaces(plan, report)
    if linux.CLONE_NEWPID in spaces:
        tell = _continue_under_init(report_to)
        _own_root(plan, spaces, report)
        _continue_as_script(report_to, tell)
    else:
        _own_root(plan, spaces, report)
    _limit(plan, report)
    _drop(plan, spaces, report)
    _close_network(plan, spaces, report)
    report.given["kernel"] = SYSTEM_CALL_FILTER if _tried(report, forbid_administration) else None
    _hide_runner(plan, report)
    _become(plan, report, report_to)


def _namespaces(plan: Plan, report: Report) -> set[int]:
    """Leave the machine's own; returns which of them we have our own of now."""
    if os.geteuid() != 0 and not _tried(report, linux.own_user_namespace):
        return set()
    wanted = [linux.CLONE_NEWNS, linux.CLONE_NEWIPC, linux.CLONE_NEWPID]
    if not plan.network:
        wanted.append(linux.CLONE_NEWNET)
    got = {space for space in wanted if _tried(report, lambda space=space: linux.unshare(space))}  # type: ignore[misc]
    if linux.CLONE_NEWNET in got and not _tried(report, linux.loopback_up):
        report.problems.append("no loopback")
    return got


def _own_root(plan: Plan, spaces: set[int], report: Report) -> None:
    """Where the system has none to give, the runner is root and the script another user of the container."""
    has_both = {linux.CLONE_NEWNS, linux.CLONE_NEWPID} <= spaces
    entered = has_both and _tried(report, lambda: view.enter(plan))
    other_user = plan.user is not None
    report.given["files"] = OWN_ROOT if entered else "file permissions" if other_user and not plan.system else None
    in_namespace = linux.CLONE_NEWPID in spaces
    report.given["processes"] = "process namespace" if in_namespace else "ended by user" if other_user else None


def _limit(plan: Plan, report: Report) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _cap(resource.RLIMIT_FSIZE, plan.max_file_bytes)
    _cap(resource.RLIMIT_NPROC, plan.max_processes)
    _tried(report, _go_first)
    report.given["limits"] = "resource limits"


def _cap(kind: int, limit: int) -> None:
    """Lower a limit; one that is lower already stays."""
    _, hard = resource.getrlimit(kind)
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(kind, (limit, limit))


def _go_first() -> None:
    Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)


def _drop(plan: Plan, spaces: set[int], report: Report) -> None:
    """Everything that makes us more than the user of the script, for good."""
    report.given["user"] = None
    if os.geteuid() == 0:
        assert plan.user is not None, "root never runs a script as root"
        linux.drop_bounding_set()
        os.setgroups([])
        os.setresgid(plan.user, plan.user, plan.user)
        os.setresuid(plan.user, plan.user, plan.user)
        report.given["user"] = f"user {plan.user}"
    elif spaces:
        linux.drop_bounding_set()
        report.given["user"] = "user namespace"
    linux.clear_capabilities()
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    report.given["privileges"] = "no_new_privs"
    # A change of user takes the tie to the parent off.
    _die_with(1 if linux.CLONE_NEWPID in spaces else plan.runner)


def _close_network(plan: Plan, spaces: set[int], report: Report) -> None:
    if plan.network:
        report.given["network"] = "opened by the operator"
    elif linux.CLONE_NEWNET in spaces:
        report.given["network"] = "network namespace"
    else:
        report.given["network"] = SYSTEM_CALL_FILTER if _tried(report, forbid_network) else None


def _hide_runner(plan: Plan, report: Report) -> None:
    """With a root and processes of our own the runner is not even there; otherwise it must not let us look into it."""
    if report.given["files"] == OWN_ROOT:
        report.given["runner"] = OWN_ROOT
        return
    try:
        Path(f"/proc/{plan.runner}/environ").read_bytes()
    except OSError:
        report.given["runner"] = "another user"
    else:
        report.given["runner"] = None


def _become(plan: Plan, report: Report, report_to: int) -> NoReturn:
    os.write(report_to, report.to_json())
    if any(report.given.get(name) is None for name in plan.required):
        os._exit(EXIT_NOT_ISOLATED)
    # What is ignored stays so in the script; the last two Python itself ignores.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.chdir(plan.folder)
        os.execve(plan.command[0], plan.command, plan.environment)  # noqa: S606 - becoming the script is the point
    except OSError as error:
        print(f"{plan.command[0]} could not be started: {error}", file=sys.stderr, flush=True)
        os._exit(EXIT_NOT_STARTED)


def _continue_under_init(report_to: int) -> int:
    """Return in the namespace's first process; this one waits for it and ends as the script ended.

    An init cannot die of a signal as the script may have, so it says how the script ended through a pipe, of which it
    gets the end that is returned.
    """
    told, tell = os.pipe()
    init = os.fork()
    if init:
        os.close(tell)
        os.close(report_to)
        _, status = os.waitpid(init, 0)
        said = os.read(told, _STATUS.size)
        _end_as(_STATUS.unpack(said)[0] if said else status)
    os.close(told)
    _die_with(_UNSEEN)
    return tell


def _continue_as_script(report_to: int, tell: int) -> None:
    """Return in a child; this process stays behind as the namespace's init, with whose end all in it is ended."""
    script = os.fork()
    if script == 0:
        os.close(tell)
        return
    os.close(report_to)
    os.write(tell, _STATUS.pack(_wait_for(script)))
    os._exit(0)


def _wait_for(child: int) -> int:
    while True:
        pid, status = os.wait()
        if pid == child:
            return status


def _end_as(status: int) -> NoReturn:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status))


def _die_with(parent: int) -> None:
    """The kernel ends us when `parent`, by its process id, ends, however that happens."""
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(143)


def _tried(report: Report, act: Callable[[], None]) -> bool:
    try:
        act()
    except (OSError, KeyError) as error:
        report.problems.append(str(error))
        return False
    return True
