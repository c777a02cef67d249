"""Every AWS call that a function makes, seen by botocore's own events, and what can go wrong with one of them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError


class Fault(StrEnum):
    """What goes wrong with one call."""

    REFUSED = "refused"
    """No connection, in every try: nothing took effect. The same operation fails for the rest of the invocation."""
    THROTTLED = "throttled"
    """As REFUSED, with the service's own word for "too many"."""
    TIMED_OUT = "timed out"
    """No answer, and nothing took effect."""
    LOST = "answer lost"
    """It took effect; nobody heard of that."""
    REPEATED = "repeated"
    """It took effect and the answer was lost; botocore by itself asked again and that answer came."""
    KILLED_BEFORE = "killed before"
    KILLED_AFTER = "killed after"


class KilledError(BaseException):
    """The function's environment is gone at this very moment: nothing of ours can catch it."""


_THROTTLES = {
    "dynamodb": ("ProvisionedThroughputExceededException", 400),
    "s3": ("SlowDown", 503),
    "batch": ("TooManyRequestsException", 429),
}
Target = tuple[int, Fault]
"""The number of a call within its invocation, from 0, and what goes wrong with it."""


@dataclass
class Wire:
    """A session whose every client is watched. Calls outside `watch` pass untouched."""

    session: Any = field(default_factory=lambda: boto3.Session("test", "test", region_name="us-east-1"))
    sent: list[dict[str, str]] = field(default_factory=list)
    """Entries that the bus took, in order."""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[str] | None = None
        self._killed = False
        self._target: Target | None = None
        self._down = ""
        self._repeat: str | None = None
        self.struck = 0
        """Calls that something went wrong with so far."""
        events = self.session.events
        events.register("before-call", self._before)
        events.register("after-call", self._after)
        # Behind moto's own, which takes the request in its place.
        events.register_last("before-send", self._answered)

    def watch(self, act: Callable[[], Any], target: Target | None = None) -> tuple[Any, list[str]]:
        """`act()` and the calls that it made. KilledError comes out as it is."""
        self._calls, self._target, self._down, self._repeat = [], target, "", None
        calls, self._killed = self._calls, False
        try:
            answer = act()
            if self._killed:
                raise KilledError("in a thread of its own, which could not end the others")
            return answer, calls
        finally:
            self._calls = None

    def _before(self, model: Any, params: dict[str, Any], context: dict[str, Any], **_: Any) -> Any:
        if self._calls is None:
            return None
        if self._killed:
            raise KilledError("what is dead calls nobody")
        name = f"{model.service_model.service_id.hyphenize()}.{model.name}"
        with self._lock:
            number = len(self._calls)
            self._calls.append(name)
        context["number"] = number
        if name == "eventbridge.PutEvents":
            context["entries"] = json.loads(params["body"])["Entries"]
        fault = self._target[1] if self._target and self._target[0] == number else None
        if fault in (Fault.REFUSED, Fault.THROTTLED):
            self._down = name
        elif self._down == name and self._target:
            fault = self._target[1]
        if fault is None:
            return None
        return self._strike(fault, name, params)

    def _strike(self, fault: Fault, name: str, params: dict[str, Any]) -> Any:
        self.struck += fault in (Fault.REFUSED, Fault.THROTTLED, Fault.TIMED_OUT, Fault.KILLED_BEFORE)
        match fault:
            case Fault.REFUSED:
                raise EndpointConnectionError(endpoint_url=params["url"])
            case Fault.TIMED_OUT:
                raise ReadTimeoutError(endpoint_url=params["url"])
            case Fault.KILLED_BEFORE:
                self._killed = True
                raise KilledError(name)
            case Fault.THROTTLED:
                code, status = _THROTTLES.get(name.partition(".")[0], ("ThrottlingException", 400))
                error = {"Error": {"Code": code, "Message": "Rate exceeded"}}
                answer = SimpleNamespace(status_code=status, headers={}, raw_headers={})
                return answer, {**error, "ResponseMetadata": {"HTTPStatusCode": status}}
            case Fault.REPEATED:
                self._repeat = name
        return None

    def _answered(self, request: Any, **_: Any) -> None:
        if self._calls is not None and self._repeat is not None:
            self._repeat = None
            # A request to a real server has not been sent yet at this moment.
            if "127.0.0.1" in request.url:
                return
            self.struck += 1
            raise ReadTimeoutError(endpoint_url=request.url)

    def _after(self, http_response: Any, model: Any, context: dict[str, Any], **_: Any) -> None:
        if self._calls is None:
            return
        if model.name == "PutEvents" and http_response.status_code < 300:
            self.sent += context.get("entries", [])
        fault = self._target[1] if self._target and self._target[0] == context.get("number") else None
        self.struck += fault in (Fault.LOST, Fault.KILLED_AFTER)
        if fault is Fault.LOST:
            raise ReadTimeoutError(endpoint_url=model.service_model.endpoint_prefix)
        if fault is Fault.KILLED_AFTER:
            self._killed = True
            raise KilledError(model.name)
