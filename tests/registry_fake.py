"""A small registry on loopback: the OCI distribution API with tokens and contents that lie elsewhere, and ECR's calls.

It keeps the specification where it matters to whoever pulls: challenges, media types, digests, redirects.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import re
import secrets
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from trainyard.registries.contract import OCI_INDEX, OCI_MANIFEST

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
ZSTD_LAYER = "application/vnd.oci.image.layer.v1.tar+zstd"
CONFIG = "application/vnd.oci.image.config.v1+json"
ACCOUNT = "123456789012"
_PLACE = re.compile(r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs)/(?P<reference>[^/]+)")


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def layer(files: Mapping[str, bytes | tarfile.TarInfo]) -> bytes:
    """A compressed layer of these files and, spelled out, of whatever else a layer may hold."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as members:
        for name, content in files.items():
            if isinstance(content, tarfile.TarInfo):
                content.name = name
                members.addfile(content)
                continue
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755 if name.startswith(("usr/bin/", "usr/lib64/ld-")) else 0o644
            members.addfile(member, io.BytesIO(content))
    return gzip.compress(raw.getvalue(), 1, mtime=0)


@dataclass
class FakeRegistry:
    host: str = ""
    """`127.0.0.1:PORT`."""
    wants_token: bool = True
    redirects: bool = True
    """Contents lie at another address, as with every registry of a cloud."""
    private: set[str] = field(default_factory=set)
    """Repositories that a token for everybody does not open."""
    login: tuple[str, str] | None = None
    """User and password that open the private ones."""
    basic: bool = False
    """It wants user and password themselves, and gives out no tokens."""
    fails: list[int] = field(default_factory=list)
    """Statuses of the next answers."""
    realm: str = ""
    """Where tokens are given out, if not here."""
    received: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """Method, path, headers."""
    contents: dict[str, bytes] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    tags: dict[tuple[str, str], str] = field(default_factory=dict)
    _tokens: dict[str, str] = field(default_factory=dict)
    """Token to the scope that it is good for."""

    def keep(self, content: bytes, kind: str = "") -> dict[str, Any]:
        """Store it; returns its descriptor."""
        digest = digest_of(content)
        self.contents[digest] = content
        if kind:
            self.kinds[digest] = kind
        return {"mediaType": kind, "digest": digest, "size": len(content)}

    def push(
        self,
        name: str,
        tag: str,
        layers: list[bytes],
        *,
        platforms: tuple[str, ...] = ("linux/amd64",),
        indexed: bool = True,
        environment: Mapping[str, str] | None = None,
        layer_kind: str = LAYER,
        config: Mapping[str, Any] | None = None,
    ) -> str:
        """An image, in an index of its platforms (`OS/ARCHITECTURE[/VARIANT]`, "": not told) or alone. Returns the digest that the tag stands for."""
        entries = []
        for platform in platforms:
            system, architecture, variant = (*platform.split("/"), "", "")[:3]
            document = {
                "os": system or "linux",
                "architecture": architecture or "amd64",
                # Otherwise two platforms with the same layers were one image.
                "variant": variant,
                "config": {"Env": [f"{key}={value}" for key, value in (environment or {}).items()], **(config or {})},
                "rootfs": {"type": "layers", "diff_ids": []},
            }
            manifest = {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": self.keep(json.dumps(document).encode(), CONFIG),
                "layers": [self.keep(content, layer_kind) for content in layers],
            }
            descriptor = self.keep(json.dumps(manifest).encode(), OCI_MANIFEST)
            told = {"os": system, "architecture": architecture, **({"variant": variant} if variant else {})}
            entries.append({**descriptor, "platform": told} if platform else descriptor)
        pushed = entries[0]["digest"]
        if indexed:
            index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
            pushed = self.keep(json.dumps(index).encode(), OCI_INDEX)["digest"]
        self.tags[name, tag] = pushed
        return str(pushed)

    def answer(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        self.received.append((method, target, headers))
        parts = urlsplit(target)
        if self.fails:
            return self.fails.pop(0), {}, b"not now"
        if headers.get("x-amz-target", "").startswith("AmazonEC2ContainerRegistry"):
            return self._ecr(headers["x-amz-target"].rpartition(".")[2], json.loads(body))
        if parts.path == "/token":
            return self._give_token(parse_qs(parts.query), headers)
        if parts.path.startswith("/elsewhere/"):
            # Storage of a cloud refuses whoever brings two ways of signing in.
            if "authorization" in headers or "signature=good" not in parts.query:
                return 400, {}, b"InvalidArgument"
            return 200, {}, self.contents[parts.path.rpartition("/")[2]]
        found = _PLACE.fullmatch(parts.path)
        if found is None:
            return 404, {}, b""
        return self._serve(found["name"], found["kind"], found["reference"], headers)

    def _serve(
        self, name: str, kind: str, reference: str, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        scope = f"repository:{name}:pull"
        if self.basic and not self._is_login(headers):
            return 401, {"WWW-Authenticate": 'Basic realm="registry.test"'}, self._unauthorized(headers)
        token = headers.get("authorization", "").removeprefix("Bearer ")
        opened = {scope} if name not in self.private else set()
        if self.login:
            opened.add(f"{scope} as {self.login[0]}")
        if not self.basic and self.wants_token and self._tokens.get(token) not in opened:
            realm = self.realm or f"http://{self.host}/token?via=test"
            told = f'Bearer realm="{realm}",service="registry.test",scope="{scope}"'
            return 401, {"WWW-Authenticate": told}, self._unauthorized(headers)
        digest = self.tags.get((name, reference), reference)
        if digest not in self.contents:
            return 404, {}, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}'
        if kind == "blobs":
            if self.redirects:
                return 307, {"Location": f"/elsewhere/{digest}?signature=good&x=%2F"}, b""
            return 200, {}, self.contents[digest]
        if self.kinds[digest] not in headers.get("accept", ""):
            return 404, {}, b"no such representation"
        return 200, {"Content-Type": self.kinds[digest], "Docker-Content-Digest": digest}, self.contents[digest]

    def _unauthorized(self, headers: dict[str, str]) -> bytes:
        """It repeats what it was sent, as some do."""
        return json.dumps({"errors": [{"code": "UNAUTHORIZED", "detail": headers.get("authorization")}]}).encode()

    def _is_login(self, headers: dict[str, str]) -> bool:
        return self.login is not None and headers.get("authorization") == basic(*self.login)

    def _give_token(self, asked: dict[str, list[str]], headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        if asked.get("service") != ["registry.test"] or asked.get("via") != ["test"]:
            return 400, {}, b"no such service"
        if "authorization" in headers and not self._is_login(headers):
            return 401, {}, self._unauthorized(headers)
        token = secrets.token_hex(8)
        by = f" as {self.login[0]}" if self.login and "authorization" in headers else ""
        self._tokens[token] = asked["scope"][0] + by
        return 200, {}, json.dumps({"token": token, "expires_in": 300}).encode()

    def _ecr(self, call: str, asked: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        name = asked["repositoryName"]
        if asked["registryId"] != ACCOUNT or name in self.private:
            return _ecr_error("AccessDeniedException", "not authorized to perform this")
        if name not in {one for one, _ in self.tags}:
            return _ecr_error("RepositoryNotFoundException", "The repository does not exist")
        if call == "GetDownloadUrlForLayer":
            url = f"http://{self.host}/elsewhere/{asked['layerDigest']}?signature=good"
            if asked["layerDigest"] not in self.contents:
                return _ecr_error("LayersNotFoundException", "no such layer")
            return _ecr_answer({"downloadUrl": url, "layerDigest": asked["layerDigest"]})
        (wanted,) = asked["imageIds"]
        digest = wanted.get("imageDigest") or self.tags.get((name, wanted["imageTag"]), "")
        if digest not in self.contents:
            failure = {"imageId": wanted, "failureCode": "ImageNotFound", "failureReason": "Requested image not found"}
            return _ecr_answer({"images": [], "failures": [failure]})
        image = {
            "registryId": ACCOUNT,
            "repositoryName": name,
            "imageId": {"imageDigest": digest},
            "imageManifest": self.contents[digest].decode(),
            "imageManifestMediaType": self.kinds[digest],
        }
        return _ecr_answer({"images": [image], "failures": []})


def _ecr_answer(document: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(document).encode()


def _ecr_error(code: str, message: str) -> tuple[int, dict[str, str], bytes]:
    content = json.dumps({"__type": code, "message": message}).encode()
    return 400, {"Content-Type": "application/x-amz-json-1.1"}, content


@contextmanager
def registry_fake() -> Iterator[FakeRegistry]:
    fake = FakeRegistry()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, told, content = fake.answer(self.command, self.path, headers, body)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **told}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            return

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    fake.host = f"127.0.0.1:{listener.server_port}"
    try:
        yield fake
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join(5)
