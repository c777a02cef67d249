"""A git server on loopback and repositories to serve: real git, real smart HTTP, with a token where one is asked for."""

from __future__ import annotations

import base64
import os
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

_MANY = 100
_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
    "GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z",
    "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z",
}


def git(folder: Path, *arguments: str, given: bytes | None = None, **environment: str) -> str:
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", str(folder), *arguments],
        input=given,
        env={**_ENVIRONMENT, **environment},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


class Repository:
    """A bare repository that commits are written into without a work tree."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main")

    def commit(
        self,
        files: Mapping[str, str | bytes],
        ref: str = "refs/heads/main",
        links: Mapping[str, tuple[str, str]] | None = None,
    ) -> str:
        """A commit of exactly these files on top of `ref`. `links`: path to git mode and object id or link target."""
        datas = {path: content.encode() if isinstance(content, str) else content for path, content in files.items()}
        oids = (
            self._blobs(list(datas.values())) if len(datas) > _MANY else [self._blob(data) for data in datas.values()]
        )
        lines = [f"100644 {oid}\t{path}" for path, oid in zip(datas, oids, strict=True)]
        for path, (mode, target) in (links or {}).items():
            oid = target if mode == "160000" else self._blob(target.encode())
            lines.append(f"{mode} {oid}\t{path}")
        index = {"GIT_INDEX_FILE": str(self.folder / "index.tmp")}
        (self.folder / "index.tmp").unlink(missing_ok=True)
        git(self.folder, "update-index", "-z", "--index-info", given="\0".join([*lines, ""]).encode(), **index)
        tree = git(self.folder, "write-tree", **index)
        known = subprocess.run(
            ["git", "-c", "safe.directory=*", "-C", self.folder, "rev-parse", "--verify", "-q", ref],
            capture_output=True,
            text=True,
            check=False,
            env=_ENVIRONMENT,
        ).stdout.strip()
        parent = ["-p", known] if known else []
        commit = git(self.folder, "commit-tree", tree, *parent, "-m", "change")
        git(self.folder, "update-ref", ref, commit)
        return commit

    def _blobs(self, datas: list[bytes]) -> list[str]:
        """Many blobs in one go, named through temporary files."""
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / str(number) for number in range(len(datas))]
            for path, data in zip(paths, datas, strict=True):
                path.write_bytes(data)
            named = "".join(f"{path}\n" for path in paths).encode()
            return git(self.folder, "hash-object", "-w", "--no-filters", "--stdin-paths", given=named).split()

    def _blob(self, data: bytes) -> str:
        return git(self.folder, "hash-object", "-w", "--stdin", given=data)


class GitServer:
    """`git http-backend` for every repository under `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.token: str | None = None
        """Asked for as the password of Basic authentication, where it is set."""
        self.speaks_v2 = True
        self.bytes_sent = 0
        self.requests: list[str] = []
        self.configuration = {"uploadpack.allowFilter": "true", "uploadpack.allowAnySHA1InWant": "true"}
        server = self

        class Handler(_Handler):
            rig = server

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{name}.git"

    def repository(self, name: str) -> Repository:
        return Repository(self.root / f"{name}.git")


class _Handler(BaseHTTPRequestHandler):
    rig: GitServer

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, *_: Any) -> None:
        pass

    def _serve(self) -> None:
        self.rig.requests.append(f"{self.command} {self.path}")
        if self.rig.token is not None:
            pair = base64.b64encode(f"x-access-token:{self.rig.token}".encode()).decode()
            if self.headers.get("Authorization") != f"Basic {pair}":
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        length = int(self.headers.get("Content-Length") or 0)
        path, _, query = self.path.partition("?")
        configuration = {"GIT_CONFIG_COUNT": str(len(self.rig.configuration) + 1)}
        for index, (key, value) in enumerate([("safe.directory", "*"), *self.rig.configuration.items()]):
            configuration |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
        done = subprocess.run(
            ["git", "http-backend"],
            input=self.rfile.read(length),
            capture_output=True,
            check=False,
            env={
                **_ENVIRONMENT,
                **configuration,
                "GIT_PROJECT_ROOT": str(self.rig.root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "REQUEST_METHOD": self.command,
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(length),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", "") if self.rig.speaks_v2 else "",
            },
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.rig.bytes_sent += len(body)
