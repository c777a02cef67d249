"""What a run left: its log, metrics, evaluation, findings and outputs."""

from __future__ import annotations

from trainyard.logs.live import read_lines, read_log, tail
from trainyard.store import layout
from trainyard.web.messages import Answer
from trainyard.web.routes.routing import LARGEST_LIST, Call, not_yet, route, stored_json

_DEFAULT_LOG_BYTES = 65536
_LARGEST_LOG_BYTES = 1 << 20
_MAX_LINES = 10_000
_MOST_OUTPUTS = 1000


@route("GET", "/v1/runs/{run}/log")
def show_log(call: Call) -> Answer:
    """`offset` and `limit` in bytes; or `line` and `lines`; or `tail`."""
    run, request, objects = call.run(), call.request, call.state.objects
    if "tail" in request.query:
        page = tail(objects, run.id, max(request.number("tail", 100, _MAX_LINES), 1))
    elif "line" in request.query:
        lines = request.number("lines", 100, _MAX_LINES)
        page = read_lines(objects, run.id, request.number("line", 1, 10**12), lines)
    else:
        limit = request.number("limit", _DEFAULT_LOG_BYTES, _LARGEST_LOG_BYTES)
        page = read_log(objects, run.id, request.number("offset", 0, 10**15), limit)
    body = {"text": page.text, "offset": page.offset, "next_offset": page.next_offset, "end": page.end}
    return Answer(200, body if page.lines is None else {**body, "line": page.lines})


@route("GET", "/v1/runs/{run}/metrics")
def show_metrics(call: Call) -> Answer:
    return stored_json(call, layout.metrics_key)


@route("GET", "/v1/runs/{run}/evaluation")
def show_evaluation(call: Call) -> Answer:
    return stored_json(call, layout.evaluation_key)


@route("GET", "/v1/runs/{run}/findings")
def show_findings(call: Call) -> Answer:
    return stored_json(call, layout.findings_key)


@route("GET", "/v1/runs/{run}/outputs")
def list_outputs(call: Call) -> Answer:
    """What the script left, with addresses to download it from for a quarter of an hour."""
    run = call.run()
    prefix = layout.output_prefix(run.id)
    limit = max(call.request.number("limit", LARGEST_LIST, _MOST_OUTPUTS), 1)
    behind = call.request.query.get("cursor")
    found = list(call.state.objects.find(prefix, f"{prefix}{behind}" if behind else None, limit))
    outputs = [
        {
            "path": one.key.removeprefix(prefix),
            "size": one.size,
            "address": call.state.objects.download_address(one.key, one.key.rsplit("/", 1)[1]),
        }
        for one in found
    ]
    return Answer(200, {"outputs": outputs, "next_cursor": outputs[-1]["path"] if len(found) == limit else None})


@route("GET", "/v1/runs/{run}/log.gz")
def download_log(call: Call) -> Answer:
    run = call.run()
    if call.state.objects.size(layout.log_key(run.id)) is None:
        raise not_yet()
    return Answer(302, None, {"location": call.state.objects.download_address(layout.log_key(run.id), f"{run.id}.gz")})
