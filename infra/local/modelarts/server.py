"""ModelArts' HTTP interface, as far as it is used here."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from infra.local.modelarts import shapes, signatures
from infra.local.modelarts.faults import Faults, Kind
from infra.local.modelarts.jobs import Jobs, MakeContainer, TrainingJob

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
PREVIEW_BYTES = 5 << 20
_LARGEST_BODY = 1 << 20
FLAVORS = [
    {
        "flavor_id": flavor,
        "flavor_name": f"Computing NPU({cards}*Ascend) instance",
        "flavor_type": "Ascend",
        "max_num": 16,
        "billing": {"code": flavor, "unit_num": 1},
        "flavor_info": {
            "max_num": 16,
            "cpu": {"arch": "aarch64", "core_num": 24 * cards},
            "npu": {"unit_num": str(cards), "product_name": "ascend-d910b", "memory": "32GB"},
            "memory": {"size": 96 * cards, "unit": "GB"},
            "disk": {"size": 3200, "unit": "GB"},
        },
        "attributes": {"is_free": "false"},
    }
    for flavor, cards in (("modelarts.kat1.xlarge.public", 1), ("modelarts.kat1.8xlarge.public", 8))
]
ENGINES = [
    {
        "engine_id": f"mindspore_{number}",
        "engine_name": "Ascend-Powered-Engine",
        "engine_version": version,
        "v1_compatible": False,
        "run_user": "1102",
        "image_info": {"cpu_image_url": "", "gpu_image_url": f"atelier/{version}", "image_version": "1"},
    }
    for number, version in enumerate(
        (
            "mindspore_1.7.0-cann_5.1.0-py_3.7-euler_2.8.3-aarch64",
            "mindspore_2.3.0-cann_8.0.rc1-py_3.9-euler_2.10.7-aarch64",
        )
    )
]


class RefusedError(Exception):
    """ModelArts' own kind of answer to what is wrong."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class ModelArtsServer:
    """`with ModelArtsServer(make) as server: server.endpoint`.

    `make`: what carries a job out. `keys`: access keys and their secrets. `skew`: how far its clock is from ours.
    """

    def __init__(
        self,
        make: MakeContainer,
        *,
        keys: Mapping[str, str],
        project: str,
        beat: float = 0.05,
        port: int = 0,
        on_end: Callable[[TrainingJob], None] = lambda _job: None,
    ) -> None:
        self.faults = Faults()
        self.skew = timedelta()
        self.requests: list[tuple[str, Any]] = []
        """Operation and body of every request that was taken."""
        self.jobs = Jobs(make, beat, on_end)
        self.keys, self.project = dict(keys), project
        self._http = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), {"modelarts": self}))
        self._http.daemon_threads = True

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), name="modelarts", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self.jobs.close()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.skew

    def answer(self, operation: str, groups: Mapping[str, str], query: Mapping[str, str], body: Any) -> tuple[int, Any]:
        self.requests.append((operation, body))
        if groups["project"] != self.project:
            raise RefusedError(403, "ModelArts.0112", "the project does not belong to the user")
        act: Callable[[Mapping[str, str], Mapping[str, str], Any], tuple[int, Any]] = getattr(self, f"_{operation}")
        return act(groups, query, body)

    def _create(self, _groups: Mapping[str, str], _query: Mapping[str, str], body: Any) -> tuple[int, Any]:
        _require_shape(body, "Job")
        _require_sense(body)
        return 201, self.jobs.create(body).described()

    def _get(self, groups: Mapping[str, str], _query: Mapping[str, str], _body: Any) -> tuple[int, Any]:
        return 200, self._job(groups).described()

    def _act(self, groups: Mapping[str, str], _query: Mapping[str, str], body: Any) -> tuple[int, Any]:
        _require_shape(body, "JobActionType")
        job = self._job(groups)
        if body.get("action_type") != "terminate":
            raise RefusedError(400, "ModelArts.0101", "action_type is invalid")
        if not self.jobs.stop(job):
            raise RefusedError(400, "ModelArts.2763", f"a job that is {job.phase} cannot be terminated")
        return 202, job.described()

    def _delete(self, groups: Mapping[str, str], _query: Mapping[str, str], _body: Any) -> tuple[int, Any]:
        if not self.jobs.delete(self._job(groups)):
            raise RefusedError(400, "ModelArts.2763", "a job that has not ended cannot be deleted")
        return 202, {}

    def _search(self, _groups: Mapping[str, str], _query: Mapping[str, str], body: Any) -> tuple[int, Any]:
        _require_shape(body, "JobSearches")
        offset, limit = body.get("offset", 0), body.get("limit", 10)
        if not 1 <= limit <= 50:
            raise RefusedError(400, "ModelArts.0101", "limit must be from 1 to 50")
        like = ""
        for each in body.get("filters", []):
            if each["operator"] not in ("between", "like", "in", "not"):
                raise RefusedError(400, "ModelArts.0101", "operator is invalid")
            like = each["value"][0] if each["key"] == "name" else like
        found = self.jobs.named_like(like)
        items = [job.described() for job in found[offset : offset + limit]]
        return 200, {"total": len(found), "count": len(items), "limit": limit, "offset": offset,
                     "sort_by": "create_time", "order": "desc", "items": items}  # fmt: skip

    def _preview(self, groups: Mapping[str, str], _query: Mapping[str, str], _body: Any) -> tuple[int, Any]:
        first = self._job(groups).container.log
        path = Path(str(first).replace("worker-0", f"worker-{groups['worker']}"))
        content = path.read_bytes() if path.exists() else b""
        shown = content[-PREVIEW_BYTES:]
        return 200, {"content": shown.decode(errors="replace"), "current_size": len(shown), "full_size": len(content)}

    def _events(self, groups: Mapping[str, str], query: Mapping[str, str], _body: Any) -> tuple[int, Any]:
        job = self._job(groups)
        events = [{"message": f"[worker-0] {text}", "level": "Info", "source": "training-job"} for text in job.events]
        limit = int(query.get("limit", "10"))
        return 200, {"total": len(events), "limit": limit, "offset": 0, "order": "desc", "events": events[::-1][:limit]}

    def _stages(self, groups: Mapping[str, str], _query: Mapping[str, str], _body: Any) -> tuple[int, Any]:
        job = self._job(groups)
        stages = [
            {"job_id": job.id, "name": name, "start_time": "2026-01-01T00:00:00Z", "stage_order": number}
            for number, name in enumerate(job.stages, start=1)
        ]
        return 200, {"total_count": 1, "running_records": [{"record_order": 1, "stages": stages}]}

    def _flavors(self, _groups: Mapping[str, str], query: Mapping[str, str], _body: Any) -> tuple[int, Any]:
        found = [flavor for flavor in FLAVORS if query.get("flavor_type") in (None, flavor["flavor_type"])]
        return 200, {"total_count": len(found), "flavors": found}

    def _engines(self, _groups: Mapping[str, str], _query: Mapping[str, str], _body: Any) -> tuple[int, Any]:
        return 200, {"total": len(ENGINES), "items": ENGINES}

    def _job(self, groups: Mapping[str, str]) -> TrainingJob:
        job = self.jobs.get(groups["job"])
        if job is None:
            raise RefusedError(404, "ModelArts.2758", "the training job does not exist")
        return job


_JOB = r"/v2/(?P<project>[^/]+)/training-jobs/(?P<job>[^/]+)"
ROUTES = [
    (method, re.compile(pattern), operation)
    for method, pattern, operation in (
        ("POST", r"/v2/(?P<project>[^/]+)/training-jobs", "create"),
        ("POST", r"/v2/(?P<project>[^/]+)/training-job-searches", "search"),
        ("GET", r"/v2/(?P<project>[^/]+)/training-job-flavors", "flavors"),
        ("GET", r"/v2/(?P<project>[^/]+)/training-job-engines", "engines"),
        ("GET", _JOB, "get"),
        ("DELETE", _JOB, "delete"),
        ("POST", _JOB + "/actions", "act"),
        ("GET", _JOB + "/events", "events"),
        ("GET", _JOB + "/stages", "stages"),
        ("GET", _JOB + r"/tasks/worker-(?P<worker>\d+)/logs/preview", "preview"),
    )
]


def _require_shape(body: Any, kind: str) -> None:
    wrong = shapes.faults(body, kind)
    if wrong:
        raise RefusedError(400, "ModelArts.0101", f"{kind}: {'; '.join(wrong)}")


def _require_sense(body: dict[str, Any]) -> None:
    """What the service's own documents say beyond the types."""
    algorithm, spec = body["algorithm"], body["spec"]
    checks = {
        "kind must be job": body.get("kind") == "job",
        "the name is invalid": bool(NAME.fullmatch(body["metadata"]["name"])),
        "the description is too long": len(body["metadata"].get("description", "")) <= 256,
        "the flavor does not exist": spec["resource"]["flavor_id"] in {flavor["flavor_id"] for flavor in FLAVORS},
        "the engine does not exist": algorithm["engine"] in
        [{"engine_name": one["engine_name"], "engine_version": one["engine_version"]} for one in ENGINES],
        "the boot file must lie in the code directory": algorithm["boot_file"].startswith(algorithm["code_dir"]),
        "folders must end in a slash": all(url.endswith("/") for url in _folders(body)),
        "too many environment variables": len(algorithm.get("environments", {})) <= 100,
        "MA_ variables are reserved": not any(
            name.startswith("MA_") and name != "MA_RUN_METHOD" for name in algorithm.get("environments", {})
        ),
        "auto_stop must be at least an hour": spec.get("auto_stop", {}).get("duration", 1) >= 1,
    }  # fmt: skip
    wrong = [what for what, right in checks.items() if not right]
    if wrong:
        raise RefusedError(400, "ModelArts.2755", "; ".join(wrong))


def _folders(body: dict[str, Any]) -> list[str]:
    algorithm, spec = body["algorithm"], body["spec"]
    channels = [*algorithm.get("inputs", []), *algorithm.get("outputs", [])]
    urls = [algorithm["code_dir"], *(channel["remote"]["obs"]["obs_url"] for channel in channels)]
    return urls + ([spec["log_export_path"]["obs_url"]] if "log_export_path" in spec else [])


class _Handler(BaseHTTPRequestHandler):
    timeout = 30
    modelarts: ModelArtsServer

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_DELETE = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(min(length, _LARGEST_BODY))
        operation, groups = self._route()
        fault = self.modelarts.faults.next(operation)
        if fault is Kind.UNANSWERED:
            self.close_connection = True
            return
        if fault is Kind.THROTTLED:
            self._send(429, _error("APIGW.0308", "the throttling threshold has been reached"))
            return
        if fault is Kind.BROKEN:
            self._send(500, _error("ModelArts.0010", "internal error"))
            return
        status, answer = self._do(operation, groups, body)
        if fault is Kind.UNANSWERED_AFTER:
            self.close_connection = True
        elif fault is Kind.BROKEN_AFTER:
            self._send(500, _error("ModelArts.0010", "internal error"))
        else:
            self._send(status, answer)

    def _route(self) -> tuple[str, Mapping[str, str]]:
        path = urlsplit(self.path).path
        for method, pattern, operation in ROUTES:
            found = pattern.fullmatch(path)
            if found and method == self.command:
                return operation, found.groupdict()
        return "", {}

    def _do(self, operation: str, groups: Mapping[str, str], body: bytes) -> tuple[int, Any]:
        why = signatures.refusal(
            self.command, self.path, dict(self.headers.items()), body, self.modelarts.keys, self.modelarts.now()
        )
        if why is not None:
            return 401, _error("APIGW.0301", why)
        if not operation:
            return 404, _error("APIGW.0101", "the API does not exist")
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        try:
            return self.modelarts.answer(operation, groups, query, json.loads(body) if body else None)
        except RefusedError as error:
            return error.status, _error(error.code, error.message)
        except (KeyError, TypeError, ValueError) as error:
            return 400, _error("ModelArts.0101", f"the body is invalid: {error!r}")

    def _send(self, status: int, answer: Any) -> None:
        content = json.dumps(answer).encode()
        self.send_response_only(status)
        self.send_header("Date", format_datetime(self.modelarts.now(), usegmt=True))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _error(code: str, message: str) -> dict[str, str]:
    return {"error_code": code, "error_msg": message}
