"""One attempt from its first to its last step."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from trainyard.model.catalogue import Accelerator, Framework, load_catalogue
from trainyard.model.request import RunRequest
from trainyard.model.result import EXIT_NODE_LOST, AttemptResult, Ending, OutputFile
from trainyard.model.text import Text
from trainyard.registries.registry import registry
from trainyard.runner import code, reasons, script
from trainyard.runner.driver import PLACE, Driver, nvidia_driver
from trainyard.runner.environment import Environment, Environments
from trainyard.runner.errors import SetupError, StopRequestedError
from trainyard.runner.fence import claim
from trainyard.runner.hardware import machine
from trainyard.runner.image import Images, Registries
from trainyard.runner.inputs import ContentCache, stage_inputs
from trainyard.runner.isolation import Access, Jail
from trainyard.runner.job import Job
from trainyard.runner.limits import disk_limit, memory_limit
from trainyard.runner.nodes import Beating, Others, Watching, say_end
from trainyard.runner.outputs import Output, Syncing
from trainyard.runner.requirements import REQUIREMENTS_FILE, Requirements
from trainyard.runner.shipping import LogShipper
from trainyard.runner.stop import Stop
from trainyard.runner.stopwatch import Stopwatch
from trainyard.runner.users import script_user
from trainyard.runner.workspace import Workspace
from trainyard.store import layout
from trainyard.store.objects import Objects

Kept = TypeVar("Kept")

_LOG_SECONDS = 120.0
# A stop leaves little time before the whole container is killed.
_LOG_SECONDS_AFTER_STOP = 15.0
_STORE_TRIES = 4


def run_attempt(
    objects: Objects, job: Job, stop: Stop, outer: Mapping[str, str], registries: Registries = registry
) -> int:
    """Run the attempt and store its result; returns the runner's exit code.

    0 where the script succeeded, or where another job has this attempt. The result is written whatever happens.
    """
    if not claim(objects, job):
        return 0
    with Workspace(job.cache) as workspace, script_user(job.cache) as user, Beating(objects, job):
        log = LogShipper(objects, job.place, job.attempt, workspace.spool)
        jail = Jail(job.policy, workspace.view, user)
        with Environments(job.cache, outer, jail) as environments, Images(job.cache, registries) as images:
            attempt = Attempt(objects, job, stop, outer, workspace, environments, images, jail, log)
            attempt.run()
            environments.evict()
            images.evict()
        log.close(_LOG_SECONDS_AFTER_STOP if stop.requested else _LOG_SECONDS)
        result = attempt.result(log.written)
        key = layout.result_key(job.place, job.attempt)
        _insist(lambda: objects.put(key, result.model_dump_json().encode(), "application/json"))
        _insist(lambda: say_end(objects, job, result.ending))
    return reasons.exit_of_container(result.ending, attempt.exit_code)


class Attempt:
    """The steps, and what is known of the attempt so far."""

    def __init__(
        self,
        objects: Objects,
        job: Job,
        stop: Stop,
        outer: Mapping[str, str],
        workspace: Workspace,
        environments: Environments,
        images: Images,
        jail: Jail,
        log: LogShipper,
    ) -> None:
        self._objects, self._job, self._stop, self._outer = objects, job, stop, outer
        self._workspace, self._environments, self._images = workspace, environments, images
        self._jail, self._log = jail, log
        self._output = Output(objects, workspace.output, layout.output_prefix(job.place))
        self._others = Others(objects, job)
        self._stopwatch = Stopwatch()
        self.exit_code = reasons.EXIT_SETUP_FAILED
        self._result = AttemptResult(
            run_id=job.run_id, attempt=job.attempt, ending=Ending.SETUP_FAILED, finished_at=datetime.now(UTC)
        )

    def run(self) -> None:
        """Every step that applies. Raises nothing: whatever goes wrong becomes part of the result."""
        try:
            request = self._read_request()
            ready = self._prepare(request)
            self._run_script(request, ready)
        except StopRequestedError:
            self._end(Ending.STOPPED, reasons.EXIT_STOPPED, reasons.STOPPED)
        except SetupError as error:
            self._end(Ending.SETUP_FAILED, reasons.EXIT_SETUP_FAILED, error.message, error.last_lines)
        except Exception as error:  # noqa: BLE001 - a run must not end without a word because of a bug of ours
            traceback.print_exc()
            self._end(Ending.SETUP_FAILED, reasons.EXIT_SETUP_FAILED, reasons.INTERNAL, [repr(error)])

    def result(self, log_bytes: int) -> AttemptResult:
        """What is stored in the end."""
        return self._result.model_copy(
            update={
                "stages": self._stopwatch.stages,
                "log_bytes": log_bytes,
                "exit_code": self.exit_code,
                "machine": machine(self._outer),
                "finished_at": datetime.now(UTC),
            }
        )

    def _read_request(self) -> RunRequest:
        self._stop.check()
        request = RunRequest.model_validate_json(self._objects.get(layout.request_key(self._job.run_id)))
        if self._job.child is not None:
            request = request.of_child(self._job.child)
        self._log.say(
            Text(
                en=f"attempt {self._job.attempt} of {request.name}, {request.project} at {request.commit[:12]}",
                zh=f"{request.project}（{request.commit[:12]}）的 {request.name}，第 {self._job.attempt} 次尝试",
            )
        )
        return request

    def _prepare(self, request: RunRequest) -> script.Script:
        """Code first, which is small and says what to install; then packages and inputs at the same time."""
        with self._stopwatch.stage("code"):
            code.stage_code(self._objects, request.code_key, self._workspace.code, self._stop)
            boot_file = script.boot_file(request, self._workspace.code)
        with ThreadPoolExecutor(1) as pool:
            abandon = Stop(self._stop)
            inputs = pool.submit(self._stage_inputs, request, abandon)
            try:
                environment = self._open_environment(request, boot_file)
            except BaseException:
                abandon.request()
                raise
            paths = inputs.result()
        self._result = self._result.model_copy(
            update={
                "packages": environment.packages,
                "package_digests": environment.digests,
                "environment_cached": environment.cached,
            }
        )
        self._restore(request)
        self._workspace.give_to(self._jail.user)
        return self._script(request, environment, paths)

    def _script(self, request: RunRequest, environment: Environment, inputs: dict[str, Path]) -> script.Script:
        workspace, policy = self._workspace, self._job.policy
        arguments = script.arguments(request, inputs, workspace)
        driver = self._driver(request)
        system = environment.variables if environment.system else script.variables_of(self._outer)
        return script.Script(
            command=script.command(request, self._job, environment.python, arguments),
            folder=workspace.code / request.spec.code_dir,
            environment=script.environment(request, self._job.attempt, environment.python, workspace, system, driver),
            timeout=request.spec.timeout.total_seconds(),
            stop_grace=self._job.stop_grace,
            needs_loopback=script.processes(request) > 1,
            needs_network=self._job.nodes > 1,
            jail=self._jail,
            access=Access(
                [workspace.inputs, *environment.folders],
                workspace.writable,
                temporary=workspace.temporary,
                system=environment.system,
                placed=driver.files if driver else {},
                place=PLACE if driver else None,
                # The container of a run with an image has the devices of its whole machine.
                devices=(driver.devices if driver else []) if environment.system else None,
            ),
            disk_bytes=disk_limit(workspace.root, policy.max_disk_bytes),
            memory_bytes=memory_limit(policy.max_memory_bytes or _memory_of_flavor(request)),
        )

    def _driver(self, request: RunRequest) -> Driver | None:
        """What an image does not bring. Our own has it as every program here."""
        flavor = load_catalogue().flavor(request.spec.flavor)
        needed = request.image is not None and flavor is not None and flavor.accelerator is Accelerator.NVIDIA
        return nvidia_driver(self._outer) if needed else None

    def _stage_inputs(self, request: RunRequest, stop: Stop) -> dict[str, Path]:
        if not request.inputs:
            return {}
        self._log.say(_staging(request))
        with self._stopwatch.stage("inputs"):
            cache = ContentCache(self._job.cache / "content")
            return stage_inputs(self._objects, cache, request.inputs, self._workspace.inputs, stop)

    def _open_environment(self, request: RunRequest, boot_file: Path) -> Environment:
        with self._stopwatch.stage("environment"):
            if request.image is not None:
                return self._images.open(request.image, self._stop, self._log.say)
            framework = _framework(request)
            requirements = Requirements.read(boot_file.with_name(REQUIREMENTS_FILE))
            return self._environments.open(
                requirements,
                framework.python,
                self._stop,
                self._log.say,
                system_packages=bool(framework.provides),
            )

    def _run_script(self, request: RunRequest, ready: script.Script) -> None:
        self._stop.check()
        self._log.say(_starting(request))
        stop = Stop(self._stop)
        with self._stopwatch.stage("script"), self._synced(request), Watching(self._others, stop):
            ended = ready.run(stop, self._log)
        ending, exit_code, reason = reasons.judge(ended, request.spec.timeout)
        if ending is Ending.STOPPED and not self._stop.requested and self._others.lost is not None:
            ending, exit_code, reason = Ending.NODE_LOST, EXIT_NODE_LOST, reasons.node_lost(self._others.lost)
        failed = ending is not Ending.SUCCEEDED
        self._end(ending, exit_code, reason, ended.last_lines if failed else [])
        self._result = self._result.model_copy(
            update={"signal": ended.signal, "kind": ended.limit, "isolation": ended.isolation}
        )
        with self._stopwatch.stage("upload"):
            self._upload(request)
        if self._others.there:
            with self._stopwatch.stage("others"):
                self._look_at_others()

    def _look_at_others(self) -> None:
        """A good ending is none where another machine's was not; a failure is not the script's where one is lost."""
        ending = self._result.ending
        if ending is Ending.SUCCEEDED:
            self._await_others()
        elif ending is Ending.SCRIPT_FAILED and self._result.kind is None:
            self._others.find_lost(self._stop)
        else:
            return
        if self._others.lost is not None and not self._stop.requested:
            self._end(Ending.NODE_LOST, EXIT_NODE_LOST, reasons.node_lost(self._others.lost), self._result.last_lines)

    def _await_others(self) -> None:
        others = self._others.await_results(self._stop)
        failed = {node: each for node, each in others.items() if each.ending is not Ending.SUCCEEDED}
        if self._stop.requested or self._others.lost is not None:
            return
        if failed:
            node, result = min(failed.items())
            exit_code = result.exit_code or reasons.EXIT_SETUP_FAILED
            self._end(Ending.SCRIPT_FAILED, exit_code, reasons.other_failed(node, result.reason), result.last_lines)
        elif len(others) < self._job.nodes - 1:
            self._log.say(reasons.OTHERS_SILENT)

    def _upload(self, request: RunRequest) -> None:
        """Keep what the script left, however it ended. A good ending is none where its output is lost."""
        wanted = request.spec
        try:
            kept = {}
            if wanted.output:
                kept["outputs"] = self._store(self._output)
            if wanted.aim:
                kept["aim_files"] = self._store(
                    Output(self._objects, self._workspace.aim, layout.aim_prefix(self._job.place))
                )
            self._result = self._result.model_copy(update=kept)
        except Exception:  # noqa: BLE001 - any failure to store has the same meaning for the user
            traceback.print_exc()
            if self._result.ending is Ending.SUCCEEDED:
                self._end(Ending.SHIPPING_FAILED, reasons.EXIT_SHIPPING_FAILED, reasons.NOT_STORED)

    def _store(self, output: Output) -> list[OutputFile]:
        return _insist(lambda: output.finish(self._log.say))

    def _restore(self, request: RunRequest) -> None:
        """What an earlier attempt wrote is where the script left it."""
        if self._job.attempt == 1 or not request.spec.output:
            return
        with self._stopwatch.stage("restore"):
            files = self._output.restore(self._stop)
        self._result = self._result.model_copy(update={"restored_files": len(files)})
        self._log.say(_restored(files))

    def _synced(self, request: RunRequest) -> AbstractContextManager[None]:
        return Syncing(self._output, self._job.sync_seconds) if request.spec.output else nullcontext()

    def _end(self, ending: Ending, exit_code: int, reason: Text | None, last_lines: list[str] | None = None) -> None:
        self.exit_code = exit_code
        self._result = self._result.model_copy(
            update={"ending": ending, "reason": reason, "last_lines": last_lines or []}
        )
        for line in last_lines or [] if ending is Ending.SETUP_FAILED else []:
            self._log.write(f"{line}\n".encode())
        self._log.say(reason or Text(en="the script succeeded", zh="脚本运行成功"))


def _insist(store: Callable[[], Kept]) -> Kept:
    """Try a few times; the last error is raised."""
    for tries_left in reversed(range(_STORE_TRIES)):
        try:
            return store()
        except Exception:
            if not tries_left:
                raise
            time.sleep(2.0 ** (_STORE_TRIES - tries_left) / 4)
    raise AssertionError


def _framework(request: RunRequest) -> Framework:
    framework = load_catalogue().framework(request.spec.framework)
    if framework is None:
        raise SetupError(
            Text(
                en=f"The framework {request.spec.framework} is not in the catalogue any more; choose another one.",
                zh=f"目录中已没有框架 {request.spec.framework}，请选择其他框架。",
            )
        )
    return framework


def _restored(files: list[OutputFile]) -> Text:
    size = sum(file.size for file in files) / 1e6
    return Text(
        en=f"restored {len(files)} files of the attempt before, {size:.1f} MB",
        zh=f"已恢复上次尝试的 {len(files)} 个文件，共 {size:.1f} MB",
    )


def _memory_of_flavor(request: RunRequest) -> int | None:
    flavor = load_catalogue().flavor(request.spec.flavor)
    return flavor.memory_mib << 20 if flavor else None


def _staging(request: RunRequest) -> Text:
    files = [file for pinned in request.inputs for file in pinned.files]
    size = sum(file.size for file in files) / 1e6
    return Text(
        en=f"fetching {len(files)} input files, {size:.1f} MB",
        zh=f"正在获取 {len(files)} 个输入文件，共 {size:.1f} MB",
    )


def _starting(request: RunRequest) -> Text:
    return Text(en=f"starting {request.spec.boot_path}", zh=f"开始运行 {request.spec.boot_path}")
