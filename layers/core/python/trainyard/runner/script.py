"""The user's script: how it is called, what it sees, and how it ends."""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trainyard.model.catalogue import load_catalogue
from trainyard.model.request import RunRequest
from trainyard.model.spec import AIM_ARGUMENT, OUTPUT_ARGUMENT, Scalar
from trainyard.model.text import Text
from trainyard.runner import process
from trainyard.runner.driver import PROGRAMS, Driver, library_path
from trainyard.runner.errors import SetupError
from trainyard.runner.isolation import Access, Jail, Started, lacking
from trainyard.runner.jail.plan import SYSTEM_CALL_FILTER
from trainyard.runner.job import Job
from trainyard.runner.limits import Limit, Watch
from trainyard.runner.shipping import LogShipper
from trainyard.runner.stop import Stop
from trainyard.runner.tail import Tail
from trainyard.runner.workspace import Workspace

_READ_BYTES = 1 << 16
_DRAIN_SECONDS = 30.0
# Where ranks meet: below the ports that systems give away by themselves.
_MASTER_PORTS = range(20_000, 30_000)
TIMEOUT_GRACE_SECONDS = 30.0
# What an image sets for its accelerator; everything else of the runner's environment stays with the runner.
_PASSED_ON = ("CUDA", "NVIDIA_", "ASCEND", "LD_LIBRARY_PATH", "TZ")


_NO_LOOPBACK = Text(
    en="the ranks cannot meet here: without network namespaces, scripts have no loopback; the operator can allow "
    "namespaces on this machine, or open the network",
    zh="此处各进程无法互相连接：没有网络命名空间时脚本不能使用本地回环；请管理员在该机器上允许命名空间，或开放网络",
)


_NO_NETWORK = Text(
    en="the machines of this run cannot meet: scripts have no network; the operator can open it",
    zh="此训练的各台机器无法互相连接：脚本不能使用网络；请管理员开放网络",
)


@dataclass(frozen=True)
class Ended:
    """How a script ended."""

    outcome: process.Outcome
    exit_code: int
    """As a shell counts: 128 and the signal's number where a signal ended it."""
    signal: int | None
    last_lines: list[str]
    limit: Limit | None = None
    """What it used too much of, where that ended it."""
    isolation: dict[str, str | None] = field(default_factory=dict)


def boot_file(request: RunRequest, code: Path) -> Path:
    """The boot file in the unpacked code; SetupError if the commit has none."""
    file = code / request.spec.boot_path
    if not file.is_file():
        raise SetupError(
            Text(
                en=f"{request.spec.boot_path} does not exist at {request.commit[:12]}; correct code_dir or boot_file.",
                zh=f"提交 {request.commit[:12]} 中不存在 {request.spec.boot_path}，请修改 code_dir 或 boot_file。",
            )
        )
    return file


def arguments(request: RunRequest, inputs: Mapping[str, Path], workspace: Workspace) -> list[str]:
    """What the script finds in `sys.argv[1:]`: what the run declares and nothing else."""
    words: list[str] = []
    for name, path in inputs.items():
        words += [f"--{name}", str(path)]
    for name, value in request.spec.hyperparameters.items():
        # Of a sweep this is one training's request, in which every value has been chosen.
        assert not isinstance(value, list)
        words += _argument(name, value)
    if request.spec.output:
        words += [f"--{OUTPUT_ARGUMENT}", str(workspace.output)]
    if request.spec.aim:
        words += [f"--{AIM_ARGUMENT}", str(workspace.aim)]
    return words


def command(request: RunRequest, job: Job, python: Path, arguments: list[str]) -> list[str]:
    """The script itself, or the program that starts it several times where it trains in several processes."""
    one = [str(python), request.spec.boot_file, *arguments]
    count = processes(request)
    if count == job.nodes == 1:
        return one
    # As text: the script's user cannot read files of ours.
    text = Path(__file__).with_name("ranks.py").read_text()
    told = [str(count), str(job.node * count), str(job.nodes * count), job.main_node, str(_master_port(job))]
    return [str(python), "-I", "-c", text, *told, *one]


def _master_port(job: Job) -> int:
    """The same on all machines of a run, and most likely another one for another run on the same machine."""
    return _MASTER_PORTS[zlib.crc32(job.place_of_ranks.encode()) % len(_MASTER_PORTS)]


def processes(request: RunRequest) -> int:
    """How many on each machine: one for each card if the run leaves it to us."""
    if request.spec.processes != "auto":
        return request.spec.processes
    flavor = load_catalogue().flavor(request.spec.flavor)
    return max(flavor.accelerators, 1) if flavor else 1


def environment(
    request: RunRequest,
    attempt: int,
    python: Path,
    workspace: Workspace,
    system: Mapping[str, str],
    driver: Driver | None = None,
) -> dict[str, str]:
    """All that the script sees of the environment: no credentials, nothing of the runner's own.

    `system`: what the image sets for its programs, `variables_of` it where it is ours. `driver`: what is laid into it.
    """
    programs = [str(python.parent), system.get("PATH", os.defpath)]
    variables = {"LANG": "C.UTF-8", **system, **(driver.variables if driver else {}), **request.spec.env}
    if driver is not None:
        programs.append(PROGRAMS)
        variables["LD_LIBRARY_PATH"] = library_path(variables.get("LD_LIBRARY_PATH", ""))
    return {
        **variables,
        "PATH": os.pathsep.join(programs),
        "HOME": str(workspace.home),
        # The user may have no name in this image; programs ask these before they ask the system.
        "USER": "script",
        "LOGNAME": "script",
        "TMPDIR": str(workspace.temporary),
        "PYTHONUNBUFFERED": "1",
        "TRAINYARD_RUN_ID": request.run_id,
        "TRAINYARD_ATTEMPT": str(attempt),
    }


def variables_of(outer: Mapping[str, str]) -> dict[str, str]:
    """What the runner's own image sets for programs that run in it."""
    return {name: value for name, value in outer.items() if name.startswith(_PASSED_ON) or name == "PATH"}


@dataclass
class Script:
    """A command that is ready to run."""

    command: list[str]
    folder: Path
    environment: dict[str, str]
    timeout: float
    """Seconds."""
    stop_grace: float
    """Seconds from SIGTERM to SIGKILL after a stop was asked for."""
    jail: Jail
    access: Access
    disk_bytes: int
    memory_bytes: int
    needs_loopback: bool = False
    """Its processes meet each other over TCP."""
    needs_network: bool = False
    """They are on several machines."""

    def run(self, stop: Stop, log: LogShipper) -> Ended:
        """Run it to its end, handing over what it prints as it comes. Nothing of it is left when this returns.

        SetupError where it may not be started because it cannot be isolated.
        """
        before = process.children()
        hears, prints = os.pipe()
        try:
            started = self.jail.start(
                self.command,
                self.folder,
                self.environment,
                self.access,
                output=prints,
                shared_memory_bytes=self.memory_bytes // 2,
            )
        except BaseException:
            os.close(hears)
            raise
        finally:
            os.close(prints)
        if (warning := lacking(started)) is not None:
            log.say(warning)
        if self.needs_network and not self.jail.policy.network:
            log.say(_NO_NETWORK)
        elif self.needs_loopback and started.isolation.get("network") == SYSTEM_CALL_FILTER:
            log.say(_NO_LOOPBACK)
        tail = Tail()
        pump = threading.Thread(target=_pump, args=(hears, log.write, tail), name="output", daemon=True)
        pump.start()
        limit = self._guard(started, stop, before)
        pump.join(_DRAIN_SECONDS)
        code = started.process.returncode
        return Ended(
            outcome=limit[0],
            exit_code=128 - code if code < 0 else code,
            signal=-code if code < 0 else None,
            last_lines=tail.lines(),
            limit=limit[1],
            isolation=started.isolation,
        )

    def _guard(self, started: Started, stop: Stop, before: set[int]) -> tuple[process.Outcome, Limit | None]:
        """Wait for its end, or bring it about. In every case all that it started goes with it."""
        watch = Watch(before, self.access.writable, self.disk_bytes, self.memory_bytes)
        reached: list[Limit] = []

        def exceeds() -> bool:
            limit = watch.reached()
            reached.extend([limit] if limit else [])
            return bool(reached)

        grace = TIMEOUT_GRACE_SECONDS
        try:
            outcome = process.wait(started.process, stop, self.timeout, exceeds)
            # What is over its limit would only go on taking.
            grace = 0.0 if outcome is process.Outcome.LIMITED else grace
        finally:
            self.jail.end(started, self.stop_grace if stop.requested else grace, before)
        if outcome is process.Outcome.ENDED and started.process.returncode and watch.kernel_ended_some():
            reached.append(Limit.MEMORY)
        return outcome, reached[0] if reached else None


def _pump(hears: int, write: Callable[[bytes], None], tail: Tail) -> None:
    with os.fdopen(hears, "rb", buffering=0) as printed:
        while data := printed.read(_READ_BYTES):
            tail.add(data)
            write(data)


def _argument(name: str, value: Scalar) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}", "true" if value else "false"]
    text = str(value)
    # argparse would take such a word for an option of its own; a negative number it knows.
    if isinstance(value, str) and text.startswith("-"):
        return [f"--{name}={text}"]
    return [f"--{name}", text]
