"""The few calls of ModelArts that we need, over urllib3, which boto3 brings along.

The official SDK is 52 MB with its dependencies and takes 0.7 s to import; it is the tests' oracle instead.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from trainyard.compute.modelarts.credentials import Credentials
from trainyard.compute.modelarts.signing import signed

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

_CONNECT_SECONDS, _READ_SECONDS = 3.0, 15.0
# Between tries; with their time limits, all of them fit into a function's minute.
PAUSES = (0.3, 0.9)
_PAGE = 50
_LARGEST_ANSWER = 32 << 20
_LEAST_SKEW = timedelta(seconds=60)


class ModelArtsError(Exception):
    """What ModelArts, or the gateway before it, answered."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message = status, code, message

    @property
    def is_final(self) -> bool:
        """It would be answered the same again: the request is wrong, not the moment."""
        return 400 <= self.status < 500 and self.status not in (401, 408, 409, 425, 429)


class UnansweredError(Exception):
    """No answer that says what became of the request. It may have been heard: look before you repeat it."""


class _NotNowError(Exception):
    """It may go through in a moment."""

    def __init__(self, reason: ModelArtsError | UnansweredError) -> None:
        super().__init__(str(reason))
        self.reason = reason


@dataclass(frozen=True)
class _Answer:
    status: int
    data: bytes
    date: str
    """The server's clock, as HTTP writes it."""


class ModelArtsClient:
    """`credentials` says region and project; `endpoint`: where ModelArts is, if not at Huawei's own address.

    Every call is bounded in time and size. Raises ModelArtsError, or UnansweredError after the last try.
    """

    def __init__(
        self, credentials: Credentials, endpoint: str = "", pauses: tuple[float, ...] = PAUSES, read_seconds: float = 0
    ) -> None:
        self._credentials, self._endpoint, self._pauses = credentials, endpoint.rstrip("/"), pauses
        self._read_seconds = read_seconds or _READ_SECONDS
        self._skew = timedelta()
        self._made: PoolManager | None = None

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        """Tried again only where the request was certainly not carried out: ModelArts knows no client token."""
        return self._call("POST", "training-jobs", body=body, repeatable=False)

    def get(self, job_id: str) -> dict[str, Any] | None:
        return self._found("GET", f"training-jobs/{_part(job_id)}")

    def stop(self, job_id: str) -> None:
        """Silent about a job that has ended, or is gone: it can only be stopped before."""
        try:
            self._call("POST", f"training-jobs/{_part(job_id)}/actions", body={"action_type": "terminate"})
        except ModelArtsError as error:
            if not error.is_final:
                raise
            job = self.get(job_id)
            if job is not None and job["status"]["phase"] in ("Creating", "Pending", "Running"):
                raise

    def delete(self, job_id: str) -> None:
        """Remove a job that has ended from ModelArts' memory; silent where it is not there."""
        self._found("DELETE", f"training-jobs/{_part(job_id)}")

    def find(self, name: str) -> list[dict[str, Any]]:
        """All jobs of exactly that name, oldest first. ModelArts' own filter finds more than that."""
        jobs = [job for job in self.search(name) if job["metadata"]["name"] == name]
        return sorted(jobs, key=lambda job: (job["metadata"].get("create_time", 0), job["metadata"]["id"]))

    def search(self, like: str) -> Iterator[dict[str, Any]]:
        """Jobs whose name holds `like`, newest first."""
        offset = 0
        while True:
            body = {
                "offset": offset,
                "limit": _PAGE,
                "sort_by": "create_time",
                "order": "desc",
                "filters": [{"key": "name", "operator": "like", "value": [like]}],
            }
            page = self._call("POST", "training-job-searches", body=body)
            items = page.get("items") or []
            yield from items
            offset += len(items)
            if not items or offset >= page.get("total", 0):
                return

    def log_preview(self, job_id: str, task: str = "worker-0") -> dict[str, Any] | None:
        """`{content, current_size, full_size}`: the log's last 5 MB at most; None where there is no log yet."""
        return self._found("GET", f"training-jobs/{_part(job_id)}/tasks/{_part(task)}/logs/preview")

    def events(self, job_id: str, limit: int = 50) -> list[dict[str, Any]]:
        query = {"limit": str(limit), "offset": "0", "order": "desc"}
        answer = self._found("GET", f"training-jobs/{_part(job_id)}/events", query)
        return list((answer or {}).get("events") or [])

    def stages(self, job_id: str) -> list[str]:
        """Names of the stages that its newest start has reached: scheduling, preparing, running, end."""
        answer = self._found("GET", f"training-jobs/{_part(job_id)}/stages")
        records = sorted((answer or {}).get("running_records") or [], key=lambda record: record.get("record_order", 0))
        reached = records[-1].get("stages") or [] if records else []
        return [stage["name"] for stage in reached if stage.get("start_time")]

    def flavors(self, kind: str = "Ascend") -> list[dict[str, Any]]:
        answer = self._call("GET", "training-job-flavors", {"flavor_type": kind})
        return list(answer.get("flavors") or [])

    def engines(self) -> list[dict[str, Any]]:
        return list(self._call("GET", "training-job-engines").get("items") or [])

    def _found(self, method: str, path: str, query: dict[str, str] | None = None) -> dict[str, Any] | None:
        try:
            return self._call(method, path, query)
        except ModelArtsError as error:
            if error.status == 404:
                return None
            raise

    def _call(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: dict[str, Any] | None = None,
        *,
        repeatable: bool = True,
    ) -> dict[str, Any]:
        content = json.dumps(body).encode() if body is not None else b""
        send = self._sender(method, path, query, content)
        for pause in (*self._pauses, None):
            try:
                return self._once(send, repeatable=repeatable)
            except _NotNowError as not_now:
                if pause is None:
                    raise not_now.reason from None
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads tries, hides nothing
        raise AssertionError

    def _once(self, send: Callable[[], _Answer], *, repeatable: bool) -> dict[str, Any]:
        """One try. _NotNowError where another one may be made."""
        try:
            answer = send()
            if answer.status == 401:
                # A key that was changed meanwhile, or a clock that is off.
                self._credentials.forget()
                self._set_clock(answer)
                answer = send()
            if answer.status < 300:
                return _json(answer)
        except UnansweredError as error:
            if repeatable:
                raise _NotNowError(error) from error
            raise
        refusal = _error(answer)
        if answer.status == 429 or (answer.status >= 500 and repeatable):
            raise _NotNowError(refusal)
        if answer.status >= 500:
            raise UnansweredError(str(refusal))
        raise refusal

    def _sender(self, method: str, path: str, query: dict[str, str] | None, content: bytes) -> Callable[[], _Answer]:
        def send() -> _Answer:
            from urllib3.exceptions import HTTPError

            account, key = self._credentials.account, self._credentials.key()
            root = self._endpoint or f"https://modelarts.{account.region}.myhuaweicloud.com"
            url = f"{root}/v2/{account.project_id}/{path}" + (f"?{urlencode(query)}" if query else "")
            headers = {"Content-Type": "application/json", "X-Project-Id": account.project_id}
            if key.security_token:
                headers["X-Security-Token"] = key.security_token
            at = datetime.now(UTC) + self._skew
            headers = signed(method, url, headers, content, key.access_key, key.secret_key, at)
            try:
                return _read(
                    self._pool.request(method, url, body=content or None, headers=headers, preload_content=False)
                )
            except HTTPError as error:
                raise UnansweredError(f"{method} {path}: {error}") from error

        return send

    def _set_clock(self, answer: _Answer) -> None:
        """Sign with the server's clock from now on, where ours is far from it."""
        if answer.date:
            skew = parsedate_to_datetime(answer.date) - datetime.now(UTC)
            self._skew = skew if abs(skew) > _LEAST_SKEW else timedelta()

    @property
    def _pool(self) -> PoolManager:
        if self._made is None:
            import urllib3

            limits = urllib3.Timeout(connect=_CONNECT_SECONDS, read=self._read_seconds)
            self._made = urllib3.PoolManager(timeout=limits, retries=False, maxsize=4)
        return self._made


def _read(response: BaseHTTPResponse) -> _Answer:
    """The whole answer, if it is of a sane size."""
    from urllib3.exceptions import HTTPError

    data = response.read(_LARGEST_ANSWER + 1)
    if len(data) > _LARGEST_ANSWER:
        response.close()
        raise HTTPError("the answer is too long")
    response.release_conn()
    return _Answer(response.status, data, response.headers.get("Date", ""))


def _json(answer: _Answer) -> dict[str, Any]:
    try:
        found = json.loads(answer.data or b"{}")
    except ValueError:
        raise UnansweredError("the answer is no JSON") from None
    return dict(found)


def _error(answer: _Answer) -> ModelArtsError:
    try:
        said = json.loads(answer.data)
        return ModelArtsError(answer.status, said.get("error_code", ""), str(said.get("error_msg", ""))[:500])
    except (ValueError, AttributeError):
        return ModelArtsError(answer.status, "", answer.data[:200].decode(errors="replace"))


def _part(text: str) -> str:
    return quote(text, safe="")
