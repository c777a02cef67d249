"""Batch's REST wire: a WSGI application that checks requests and answers against botocore's service model."""

import functools
import json
import logging
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from infra.local.batch.records import Wire
from infra.local.batch.refusal import Refusal, Throttled

log = logging.getLogger(__name__)

Operation = Callable[[Wire], Wire]
_LOOPBACK = ("127.0.0.1", "localhost")


class Application:
    """Serves the given operations (by name, e.g. `SubmitJob`).

    A Refusal becomes ClientException 400, anything else that is raised, or an answer that the model doesn't allow,
    ServerException 500.
    """

    def __init__(self, operations: Mapping[str, Operation], faults: Mapping[str, Operation] | None = None) -> None:
        """faults: what AWS has no call for (a machine that goes away), at `/fault/NAME`; see `faults.py`."""
        self._model = _service_model()
        self._operations = operations
        self._faults = {f"/fault/{name}": operation for name, operation in (faults or {}).items()}
        self._routes = [self._route(name) for name in self._model.operation_names]

    def _route(self, name: str) -> tuple[str, re.Pattern[str], str]:
        http = self._model.operation_model(name).http
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(http["requestUri"]))
        return http["method"], re.compile(pattern), name

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        status, kind, answer = self._answer(environ)
        body = json.dumps(answer).encode()
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("x-amzn-RequestId", str(uuid.uuid4())),
        ]
        start_response(status, [*headers, ("x-amzn-errortype", kind)] if kind else headers)
        return [body]

    def _answer(self, environ: dict[str, Any]) -> tuple[str, str, Wire]:
        """Status line, error type ("" for success) and body."""
        # A web page open in a browser can post to loopback but can't sign, nor name this host under its own name.
        if not environ.get("HTTP_AUTHORIZATION", "").startswith("AWS4-HMAC-SHA256 "):
            return "403 Forbidden", "MissingAuthenticationTokenException", {"message": "Missing Authentication Token"}
        if environ.get("HTTP_HOST", "").partition(":")[0] not in _LOOPBACK:
            return "403 Forbidden", "AccessDeniedException", {"message": "Not addressed by its loopback name"}
        try:
            return "200 OK", "", self._perform(environ)
        except Refusal as refusal:
            return "400 Bad Request", "ClientException", {"message": str(refusal)}
        except Throttled:
            return "429 Too Many Requests", "TooManyRequestsException", {"message": "Too Many Requests"}
        except Exception:  # a bug here must look to the client as one of AWS's would
            log.exception("%s %s", environ.get("REQUEST_METHOD"), environ.get("PATH_INFO"))
            return "500 Internal Server Error", "ServerException", {"message": "The embedded Batch failed; see its log"}

    def _perform(self, environ: dict[str, Any]) -> Wire:
        if fault := self._faults.get(environ["PATH_INFO"]):
            return fault(_json_body(environ))
        name, in_path = self._find(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        model = self._model.operation_model(name)
        request = {**_json_body(environ), **in_path}
        if problem := _problems(request, model.input_shape):
            raise Refusal(f"Error parsing request: {problem}")
        operation = self._operations.get(name)
        if operation is None:
            raise Refusal(f"{name} is not offered by the embedded Batch")
        answer = operation(request)
        if problem := _problems(answer, model.output_shape):
            raise RuntimeError(f"{name} would answer what the service model does not allow: {problem}")
        return answer

    def _find(self, method: str, path: str) -> tuple[str, Wire]:
        for its_method, pattern, name in self._routes:
            found = pattern.fullmatch(path)
            if found and its_method == method:
                return name, {key: unquote(value) for key, value in found.groupdict().items()}
        raise Refusal(f"Batch has no operation {method} {path}")


@functools.cache
def _service_model() -> Any:
    import botocore.session

    return botocore.session.get_session().get_service_model("batch")


def _json_body(environ: dict[str, Any]) -> Wire:
    raw = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    try:
        body = json.loads(raw or b"{}")
    except (ValueError, RecursionError):
        raise Refusal("The request's body is not JSON") from None
    if not isinstance(body, dict):
        raise Refusal("The request's body is not a JSON object")
    return body


def _problems(value: Wire, shape: Any) -> str:
    """What the service model finds wrong with it, or ""."""
    from botocore.validate import ParamValidator

    if shape is None:
        return "an answer where there is none" if value else ""
    report = ParamValidator().validate(value, shape).generate_report()
    return report or "; ".join(_wrong_words(value, shape, "")) or ""


def _wrong_words(value: Any, shape: Any, where: str) -> Iterable[str]:
    """Strings that are not among the words their shape lists; botocore's validator lets them pass, Batch doesn't."""
    if shape.type_name == "structure":
        for name, inner in value.items():
            yield from _wrong_words(inner, shape.members[name], f"{where}.{name}")
    elif shape.type_name == "list":
        for inner in value:
            yield from _wrong_words(inner, shape.member, where)
    elif shape.type_name == "string" and shape.enum and value not in _any_case(shape):
        yield f"{where.lstrip('.')} must be one of {', '.join(shape.enum)}, not {value!r}"


def _any_case(shape: Any) -> list[str]:
    """evaluateOnExit's action is the one word whose case does not count."""
    words = list(shape.enum)
    return [*words, *map(str.lower, words)] if shape.name == "RetryAction" else words
