"""The smallest stack that git and git-lfs can talk to: emulated AWS with S3's own checks, the host, the LFS function."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import boto3
import pytest
from botocore.config import Config

from infra.local.githost.host import Host, open_host
from infra.local.githost.repositories import NewRepository
from trainyard.lfs.batch import handle_lfs
from trainyard.lfs.quota import Quota
from trainyard.model.repository import Repository, RepositoryKind, Scope
from trainyard.store import State
from trainyard.store.access import issue_token
from trainyard.store.bus import Bus
from trainyard.store.objects import Objects
from trainyard.store.secrets import Secrets
from trainyard.store.table import Table

GIT_SECONDS = 120


@contextmanager
def served(application: Any) -> Iterator[str]:
    """The WSGI application on a free port of 127.0.0.1, for as long as the block runs."""
    from waitress import create_server

    server = create_server(application, host="127.0.0.1", port=0, threads=8, max_request_body_size=1 << 33)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        stop_waitress(server, thread)


def stop_waitress(server: Any, thread: threading.Thread) -> None:
    """Close everything on the server's own thread: its loop ends when nothing is left to wait for."""
    # A trigger that is closed already belongs to a loop that has ended; the assertion below holds it to that.
    with contextlib.suppress(OSError):
        server.trigger.pull_trigger(lambda: server.asyncore.close_all(server._map, ignore_all=True))
    thread.join(10)
    server.task_dispatcher.shutdown(timeout=5)
    assert not thread.is_alive()


def client(service: str, endpoint: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(signature_version="s3v4" if service == "s3" else None),
    )


def make_state(endpoint: str, name: str) -> State:
    """A state of its own (table, bucket, prefix) on the emulator."""
    dynamodb = client("dynamodb", endpoint)
    indexed = [{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "project", "sort")]
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=indexed,
        BillingMode="PAY_PER_REQUEST",
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by_project",
                "KeySchema": [
                    {"AttributeName": "project", "KeyType": "HASH"},
                    {"AttributeName": "sort", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    client("s3", endpoint).create_bucket(Bucket=name)
    return State(
        Table(name, dynamodb),
        Objects(name, client("s3", endpoint)),
        Secrets(f"/{name}", client("ssm", endpoint)),
        Bus(""),
    )


def lambda_event(environ: dict[str, Any]) -> dict[str, Any]:
    """A WSGI request as API Gateway's HTTP API hands it to a function."""
    import base64

    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    headers = {n[5:].lower().replace("_", "-"): v for n, v in environ.items() if n.startswith("HTTP_")}
    headers["content-type"] = environ.get("CONTENT_TYPE", "")
    return {
        "version": "2.0",
        "rawPath": quote(environ["PATH_INFO"]),
        "rawQueryString": environ.get("QUERY_STRING", ""),
        "headers": headers,
        "requestContext": {"http": {"method": environ["REQUEST_METHOD"]}},
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }


@dataclass
class Api:
    """Stands in for API Gateway: the real LFS function, and a webhook route that keeps what arrives."""

    state: State
    quota: Quota
    hook_answers: list[int] = field(default_factory=list)
    """Statuses for the next webhooks; 202 once they are used up."""
    hooks: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        event = lambda_event(environ)
        if environ["PATH_INFO"].startswith("/hooks/"):
            return self._hook(event, start_response)
        answer = handle_lfs(event, self.state, self.quota)
        start_response(f"{answer['statusCode']} Status", list(answer["headers"].items()))
        return [answer["body"].encode()]

    def _hook(self, event: dict[str, Any], start_response: Any) -> list[bytes]:
        import base64

        with self.arrived:
            status = self.hook_answers.pop(0) if self.hook_answers else 202
            self.hooks.append((event["rawPath"], event["headers"], base64.b64decode(event["body"])))
            self.arrived.notify_all()
        start_response(f"{status} Status", [("Content-Length", "0")])
        return [b""]

    def wait_for(self, enough: Callable[[list[tuple[str, dict[str, str], bytes]]], bool]) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: enough(self.hooks), timeout=20)


@dataclass
class LittleStack:
    state: State
    host: Host
    api: Api
    api_address: str
    root: Path

    def create(self, name: str, kind: RepositoryKind = RepositoryKind.PROJECT, **more: Any) -> Repository:
        return self.host.create_repository(NewRepository(full_name=name, kind=kind, **more))

    def token(self, user: str, scopes: list[Scope] | None = None) -> str:
        secret, _ = issue_token(self.state.table, user, scopes or [Scope.READ, Scope.WRITE])
        return secret

    def address(self, name: str, user: str = "", token: str = "") -> str:
        where = urlsplit(self.host.address)
        who = f"{user}:{token}@" if user else ""
        return f"{where.scheme}://{who}{where.netloc}/{name}.git"


@contextmanager
def little_stack(root: Path, aws: str, name: str, quota: int = 0) -> Iterator[LittleStack]:
    state = make_state(aws, name)
    api = Api(state, Quota(state.objects, quota))
    with served(api) as api_address:
        host = open_host(root, 0, api_address, state.table, state.secrets)
        thread = threading.Thread(target=host.run)
        thread.start()
        try:
            yield LittleStack(state, host, api, api_address, root)
        finally:
            stop_waitress(host._server, thread)


class Person:
    """Somebody at a terminal of their own: an empty home, real git and git-lfs."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir(parents=True)
        (home / ".gitconfig").write_text(
            "[user]\n\tname = Ada\n\temail = ada@example.org\n[init]\n\tdefaultBranch = main\n"
            "[credential]\n\thelper = store\n[core]\n\tautocrlf = false\n"
        )

    def remember(self, address_with_credentials: str) -> None:
        """What a credential helper keeps after the first sign-in."""
        parts = urlsplit(address_with_credentials)
        with (self.home / ".git-credentials").open("a") as file:
            file.write(f"{parts.scheme}://{parts.netloc}\n")

    def run(self, command: str, folder: Path | None = None, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
        """A line as in the tutorial, word for word."""
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=folder or self.home,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.home),
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_TERMINAL_PROMPT": "0",
                "LC_ALL": "C.UTF-8",
            },
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=False,
        )
        assert expect is None or done.returncode == expect, f"{command}\n{done.stdout}\n{done.stderr}"
        return done


needs_git_lfs = pytest.mark.skipif(shutil.which("git-lfs") is None, reason="git-lfs is not installed")
