"""The embedded stack: the emulator, the Batch server, the real template on them, and the git host.

All of them live exactly as long as the process that holds the Stack, however that ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import sys
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TextIO
from urllib.parse import urlsplit

from infra.local.deploy.errors import DeploymentFailed
from infra.local.emulator.client import Emulator, client
from infra.local.emulator.state import CREDENTIALS
from infra.local.processes import Child, answers, free_port, kill_group, started_at
from trainyard.model.errors import Conflict, NotFound
from trainyard.model.ids import new_run_id
from trainyard.model.text import Text

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".trainyard"
START_SECONDS = 30.0
DOWN_SECONDS = 60.0
CPU_IMAGE = "local/runner:cpu"
VALIDATE_IMAGE = "local/validate-repo:local"
BATCH_EVENTS = "trainyard.batch"
OBS_BUCKET = "obs-trainyard"
SMN_TOPIC = "urn:smn:cn-north-4:local-project:trainyard"


@dataclass(frozen=True)
class Addresses:
    """Where everything is. `outputs`: the template's; `functions`: logical id -> name in the emulator."""

    endpoint: str
    api: str
    batch: str
    git: str
    git_admin_token_file: str
    outputs: dict[str, str]
    functions: dict[str, str]


class Stack:
    """`with Stack("demo") as stack: stack.addresses.api ...`.

    `keep`: the state is kept for the next start. `tell` is called with a line about each step. One process at a time
    may hold the stack of a name (Conflict otherwise).
    """

    addresses: Addresses

    # `ascend`: with a ModelArts of its own; a path: the interpreter that stands for its image.
    def __init__(
        self,
        name: str = "main",
        *,
        home: Path = HOME,
        keep: bool = True,
        ascend: bool | Path = False,
        parameters: dict[str, str] | None = None,
        tell: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.name = name
        self.folder = home / name
        self._cache = home / "cache"
        self._keep = keep
        self._ascend = ascend
        self._parameters = parameters or {}
        self._tell = tell
        self._emulator = Emulator(self.folder / "emulator", keep=keep)
        self._children: dict[str, Child] = {}
        self._lock: TextIO | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Start everything and wait until it is ready; bounded. Call it from the main thread."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        try:
            self._start()
        except BaseException:  # an interrupt too: nothing may stay behind
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End everything in reverse order, saving the state; bounded, and silent about what has ended already."""
        for child in reversed(self._children.values()):
            child.stop()
        self._children.clear()
        self._emulator.stop()
        (self.folder / "stack.json").unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def healthy(self) -> dict[str, bool]:
        """Part -> whether its process lives and takes connections."""
        addresses = {"batch": self.addresses.batch, "githost": self.addresses.git}
        parts = {
            name: child.alive() and (name not in addresses or answers(addresses[name]))
            for name, child in self._children.items()
        }
        return {"emulator": self._emulator.alive() and answers(self.addresses.endpoint), **parts}

    def revive_batch(self) -> None:
        """Start the Batch server again where it was, after it died; it finds its jobs by its state file."""
        port = urlsplit(self.addresses.batch).port
        assert port is not None
        self._children.pop("batch").stop()
        self._run("batch", *self._batch_arguments(self.addresses.endpoint, port))
        self._write_down()

    def warm(self, at_once: int = 4) -> dict[str, float]:
        """Call every function once with an event that does nothing; logical id -> seconds. Bounded by their limits."""
        sources = _event_sources(self._emulator)
        with ThreadPoolExecutor(max_workers=at_once) as pool:
            calls = {
                logical: pool.submit(_invoke, self._emulator, name, _harmless(sources.get(name, "")))
                for logical, name in self.addresses.functions.items()
            }
            return {logical: call.result() for logical, call in calls.items()}

    def calls(self) -> list[dict[str, Any]]:
        """AWS API calls since the last reset, oldest first: `[{"caller", "service", "operation", "at", ...}]`."""
        return self._emulator.calls()

    def reset_calls(self) -> None:
        self._emulator.reset_calls()

    def _start(self) -> None:
        from infra.local.deploy.stack import deploy, functions

        if not self._keep:
            self._forget()
        ports = self._remembered_ports()
        self._emulator.start()
        endpoint, api = self._emulator.endpoint, self._emulator.api
        self._tell(f"AWS emulator   {endpoint}")
        batch = self._run("batch", *self._batch_arguments(endpoint, ports["batch"]))["address"]
        self._tell(f"Batch server   {batch}")
        git = f"http://127.0.0.1:{ports['git']}"
        parameters = {
            "ValidateRepoImage": VALIDATE_IMAGE,
            "CpuImage": CPU_IMAGE,
            "PublicUrl": api,
            "GitBaseUrl": git,
            "AllowLoopbackHttp": "true",
            "BatchEventSource": BATCH_EVENTS,
            "JournalSeconds": "10",
            **self._parameters,
        }
        if self._ascend:
            parameters |= self._start_modelarts(endpoint)
        try:
            outputs = deploy(ROOT / "template.yaml", endpoint, "trainyard", parameters, batch, cache=self._cache)
        except DeploymentFailed as failed:
            raise self._with_a_way_out(failed) if self._keep else failed from failed
        self._tell(f"template.yaml  {api}")
        host = self._run("githost", *self._githost_arguments(endpoint, api, outputs, ports["git"]))
        self._tell(f"git host       {host['address']}")
        if self._ascend:
            _subscribe(parameters["SmnEndpoint"], f"{api}/hooks/smn")
        self.addresses = Addresses(
            endpoint=endpoint,
            api=api,
            batch=batch,
            git=host["address"],
            git_admin_token_file=host.get("admin_token_file", ""),
            outputs=outputs,
            functions=functions(endpoint, "trainyard"),
        )
        self._write_down()

    def _with_a_way_out(self, failed: DeploymentFailed) -> DeploymentFailed:
        """The emulator does not manage every update that CloudFormation does; a stack left half-way stays so."""
        return DeploymentFailed(
            Text(
                en=f"{failed.message.en}\nIf the template was changed since this stack was first started, start it "
                f"afresh: rm -r {self.folder} (its repositories and runs go with it).",
                zh=f"{failed.message.zh}\n如果模板在堆栈首次启动后有改动，请重新开始："
                f"rm -r {self.folder}（其中的仓库和训练会一并删除）。",
            )
        )

    def _start_modelarts(self, endpoint: str) -> dict[str, str]:
        """Start it with what it needs; the template's parameters that lead there. The emulator's S3 is its OBS."""
        from infra.local.modelarts.image import ensure
        from infra.local.setup import find_uv

        if isinstance(self._ascend, Path):
            python = str(self._ascend)
        else:
            self._tell("the image of ModelArts is played by a Python with MindSpore for the CPU")
            python = ensure(self._cache, find_uv())
        project = "local-project"
        account = {**_obs_user(endpoint, OBS_BUCKET), "project_id": project, "region": "cn-north-4"}
        client(endpoint, "ssm").put_parameter(
            Name="/trainyard/trainyard/huawei", Value=json.dumps(account), Type="SecureString", Overwrite=True
        )
        started = self._run(
            "modelarts",
            *("--obs-endpoint", endpoint, "--work-dir", str(self.folder / "modelarts"), "--python", python),
            *("--access-key", account["ak"], "--secret-key", account["sk"], "--project", project),
            *("--smn-topic", SMN_TOPIC),
        )
        self._tell(f"ModelArts      {started['address']}")
        return {
            "ObsBucket": OBS_BUCKET,
            "ObsEndpoint": endpoint,
            "ModelArtsEndpoint": started["address"],
            "SmnTopic": SMN_TOPIC,
            "SmnEndpoint": started["smn"],
        }

    def _forget(self) -> None:
        """Remove what an earlier stack of this name left: its rows are gone, so nothing may refer to them."""
        (self.folder / "batch.json").unlink(missing_ok=True)
        for part in ("git", "batch", "modelarts"):
            shutil.rmtree(self.folder / part, ignore_errors=True)

    def _run(self, name: str, *arguments: str) -> dict[str, Any]:
        argv = [sys.executable, "-m", f"infra.local.{name}", *arguments]
        log = self.folder / f"{name}.log"
        child = Child(name, argv, log=log, environment=_environment(), cwd=ROOT)
        self._children[name] = child
        child.start()
        return child.wait_ready(START_SECONDS)

    def _batch_arguments(self, endpoint: str, port: int) -> list[str]:
        config = self.folder / "batch-config.json"
        config.write_text(json.dumps(_batch_config(endpoint, self._cache)))
        state = self.folder / "batch.json"
        return [
            *("--port", str(port), "--state", str(state), "--work-dir", str(self.folder / "batch")),
            *("--config", str(config), "--aws-endpoint", endpoint, "--event-source", BATCH_EVENTS, "--ship-logs"),
        ]

    def _githost_arguments(self, endpoint: str, api: str, outputs: dict[str, str], port: int) -> list[str]:
        return [
            *("--root", str(self.folder / "git"), "--port", str(port), "--aws-endpoint", endpoint, "--api-url", api),
            *("--table", outputs["TableName"], "--bucket", outputs["BucketName"]),
            *("--secrets-prefix", outputs["SecretsPrefix"]),
        ]

    def _remembered_ports(self) -> dict[str, int]:
        """Ports of the servers: as before where they are free, so that addresses and remotes stay good."""
        path = self.folder / "ports.json"
        before: dict[str, int] = json.loads(path.read_text()) if self._keep and path.exists() else {}
        ports = {name: free_port(before.get(name, 0)) for name in ("batch", "git")}
        path.write_text(json.dumps(ports))
        return ports

    def _take_lock(self) -> None:
        lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise Conflict(
                Text(
                    en=f"The stack {self.name!r} is running already; `make down` stops it.",
                    zh=f"堆栈 {self.name!r} 已在运行；可用 `make down` 停止。",
                )
            ) from error
        self._lock = lock

    def _write_down(self) -> None:
        pids = {"emulator": self._emulator.pid, **{name: child.pid for name, child in self._children.items()}}
        record = {
            "holder": _identity(os.getpid()),
            "processes": {name: _identity(pid) for name, pid in pids.items()},
            "addresses": asdict(self.addresses),
        }
        path = self.folder / "stack.json"
        path.with_suffix(".new").write_text(json.dumps(record, indent=2))
        path.with_suffix(".new").replace(path)


def running(name: str = "main", *, home: Path = HOME) -> Addresses:
    """Where the stack of that name is. NotFound if it does not run."""
    record = _record(name, home)
    if record is None or not _lives(record["holder"]):
        raise NotFound(
            Text(
                en=f"The stack {name!r} does not run; `make up` starts it.",
                zh=f"堆栈 {name!r} 未运行；可用 `make up` 启动。",
            )
        )
    return Addresses(**record["addresses"])


def down(name: str = "main", *, home: Path = HOME) -> bool:
    """End the stack that another process holds; whether there was one. Bounded."""
    record = _record(name, home)
    if record is None:
        return False
    held = _lives(record["holder"])
    if held:
        os.kill(record["holder"]["pid"], signal.SIGTERM)
        _until_gone(record["holder"], DOWN_SECONDS)
    for process in record["processes"].values():  # whatever its holder could not end
        if _lives(process):
            with suppress(ProcessLookupError):
                os.kill(process["pid"], signal.SIGTERM)
            _until_gone(process, DOWN_SECONDS / 4)
            kill_group(process["pid"])
    (home / name / "stack.json").unlink(missing_ok=True)
    return held


def _record(name: str, home: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads((home / name / "stack.json").read_text()))
    except FileNotFoundError:
        return None


def _identity(pid: int) -> dict[str, Any]:
    return {"pid": pid, "started": started_at(pid)}


def _lives(process: dict[str, Any]) -> bool:
    return bool(process["started"]) and started_at(process["pid"]) == process["started"]


def _until_gone(process: dict[str, Any], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while _lives(process) and time.monotonic() < deadline:
        time.sleep(0.05)


def _obs_user(endpoint: str, bucket: str) -> dict[str, str]:
    """A new bucket that stands for OBS, and the keys of whoever may use it and nothing else of the emulator."""
    client(endpoint, "s3").create_bucket(Bucket=bucket)
    iam = client(endpoint, "iam")
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_user(UserName=bucket)
    resource = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    allowed = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": resource}]}
    iam.put_user_policy(UserName=bucket, PolicyName="obs", PolicyDocument=json.dumps(allowed))
    key = iam.create_access_key(UserName=bucket)["AccessKey"]
    return {"ak": key["AccessKeyId"], "sk": key["SecretAccessKey"]}


def _subscribe(smn: str, address: str) -> None:
    """What an operator does once in SMN's console: from then on `address` hears of ends of jobs."""
    body = json.dumps({"endpoint": address}).encode()
    with urllib.request.urlopen(f"{smn}/subscriptions", body, timeout=START_SECONDS) as answer:  # noqa: S310
        told = json.loads(answer.read())
    if told["answered"] != 202:
        raise RuntimeError(f"SMN's subscription was not confirmed: {told}")


def _environment() -> dict[str, str]:
    """For our own servers: this repository's packages, nobody's credentials."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE")
    core = {"PYTHONPATH": str(ROOT / "layers" / "core" / "python")}
    return {name: os.environ[name] for name in kept if name in os.environ} | CREDENTIALS | core


def _batch_config(endpoint: str, cache: Path) -> dict[str, Any]:
    """How the runner's image is run here: the same program with the same packages, and uv on the path."""
    from infra.local.deploy.dependencies import RUNNER, interpreter

    beside = [Path(sys.executable).parent, ROOT / ".tools" / "uv" / "bin"]  # where `make setup` may have put uv
    path = [*map(str, (interpreter(ROOT, cache, RUNNER), *beside)), os.environ.get("PATH", os.defpath)]
    runner = {"PATH": os.pathsep.join(path), "PYTHONPATH": str(ROOT / "layers" / "core" / "python")}
    kept = cache / "runner"  # stands for the folder that a machine mounts into its jobs
    kept.mkdir(parents=True, exist_ok=True)
    return {
        "images": {CPU_IMAGE: {"command_prefix": [], "env": runner}},
        # No credentials: a job gets its own, as in AWS.
        "platform_env": {
            **_way_out(),
            **{name: value for name, value in CREDENTIALS.items() if "KEY" not in name},
            "AWS_ENDPOINT_URL": endpoint,
            "TRAINYARD_CACHE": str(kept),
            # For a registry on this machine, as git may be on it.
            "TRAINYARD_ALLOW_LOOPBACK_HTTP": "true",
        },
    }


def _way_out() -> dict[str, str]:
    """How this machine reaches package indexes: its certificates, proxies and the settings of uv."""
    names = ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
    return {name: value for name, value in os.environ.items() if name.upper() in names or name.startswith("UV_")}


def _event_sources(emulator: Emulator) -> dict[str, str]:
    """Function -> service that its events are polled from."""
    pages = emulator.client("lambda").get_paginator("list_event_source_mappings").paginate()
    mappings = [mapping for page in pages for mapping in page["EventSourceMappings"]]
    return {each["FunctionArn"].rpartition(":")[2]: each["EventSourceArn"].split(":")[2] for each in mappings}


def _harmless(source: str) -> dict[str, Any]:
    """An event that a function takes in the way it always does, and that means nothing: it is about no run."""
    if source == "dynamodb":
        return {"Records": []}
    if source == "sqs":
        body = {"source": "trainyard", "detail-type": "warm", "detail": _about_no_run()}
        record = {"messageId": "warm", "eventSource": "aws:sqs", "body": json.dumps(body), "attributes": {}}
        return {"Records": [record]}
    return {
        "version": "2.0",
        "routeKey": "GET /warm",
        "rawPath": "/warm",
        "rawQueryString": "",
        "headers": {"host": "127.0.0.1"},
        "pathParameters": {},
        "requestContext": {
            "http": {"method": "GET", "path": "/warm", "sourceIp": "127.0.0.1"},
            "requestId": "warm",
            "stage": "$default",
        },
        "isBase64Encoded": False,
    }


def _about_no_run() -> dict[str, Any]:
    from trainyard.model.events import RunEvent

    now = datetime.now(UTC)
    event = RunEvent(
        run_id=new_run_id(now, "warm"),
        project="warm/warm",
        name="warm",
        state="requested",
        attempt=1,
        version=1,
        commit=None,
        verdict=None,
        at=now,
    )
    return event.model_dump(mode="json")


def _invoke(emulator: Emulator, function: str, event: dict[str, Any]) -> float:
    began = time.monotonic()
    client(emulator.endpoint, "lambda").invoke(FunctionName=function, Payload=json.dumps(event).encode())
    return time.monotonic() - began
