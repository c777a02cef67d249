"""What a run left: its log, metrics, evaluation, findings and outputs."""

from __future__ import annotations

import json
from dataclasses import replace

from trainyard.logs.live import read_lines, tail
from trainyard.logs.viewers import shared_page
from trainyard.model.run import RunState
from trainyard.store import layout
from trainyard.store.objects import ObjectMissingError
from trainyard.store.table import wrong_cursor
from trainyard.web.messages import Answer
from trainyard.web.parts import part_of
from trainyard.web.result_views import AimView, FileList
from trainyard.web.routes.parts import CHILD, NODE
from trainyard.web.routes.routing import CURSOR, LARGEST_LIST, WAIT, Call, Parameter, not_yet, route, stored_json
from trainyard.web.views import FindingList, LogView, OutputList

_DEFAULT_LOG_BYTES = 65536
_LARGEST_LOG_BYTES = 1 << 20
_MAX_LINES = 10_000
_MOST_OUTPUTS = 1000
_LOG_QUERY = (
    Parameter("offset", "First byte of the page; 0 if left out.", "integer"),
    Parameter("limit", f"Bytes of the page; {_DEFAULT_LOG_BYTES} if left out.", "integer"),
    Parameter("line", "Or: number of the first line, from 1.", "integer"),
    Parameter("lines", "How many lines; 100 if left out.", "integer"),
    Parameter("tail", "Or: how many of the last lines.", "integer"),
    CHILD,
    NODE,
    WAIT,
)
_OUTPUTS = Parameter("limit", f"Files in the answer; {LARGEST_LIST} if left out, {_MOST_OUTPUTS} at most.", "integer")


@route("GET", "/v1/runs/{run}/log", gives=LogView, query=_LOG_QUERY)
def show_log(call: Call) -> Answer:
    """`offset` and `limit` in bytes; or `line` and `lines`; or `tail`."""
    run, request, objects = call.run(), call.request, call.state.objects
    place = part_of(request, run).place
    if "tail" in request.query:
        page = tail(objects, place, max(request.number("tail", 100, _MAX_LINES), 1))
    elif "line" in request.query:
        lines = request.number("lines", 100, _MAX_LINES)
        page = read_lines(objects, place, request.number("line", 1, 10**12), lines)
    else:
        limit = request.number("limit", _DEFAULT_LOG_BYTES, _LARGEST_LOG_BYTES)
        page = shared_page(objects, place, request.number("offset", 0, 10**15), limit)
    # A rejected run never printed anything and is not indexed: nothing will follow.
    end = page.end or run.state is RunState.REJECTED
    body = {"text": page.text, "offset": page.offset, "next_offset": page.next_offset, "end": end}
    return Answer(200, body if page.lines is None else {**body, "line": page.lines})


@route("GET", "/v1/runs/{run}/findings", gives=FindingList)
def show_findings(call: Call) -> Answer:
    answer = stored_json(call, layout.findings_key)
    if isinstance(answer.body, bytes):
        # Stored by a deployment that did not know its own address. In texts the quotes would be escaped.
        root = json.dumps(call.request.public_url.rstrip("/")).strip('"').encode()
        return replace(answer, body=answer.body.replace(b'"url": "/', b'"url": "' + root + b"/"))
    return answer


@route("GET", "/v1/runs/{run}/outputs", gives=OutputList, query=(_OUTPUTS, CURSOR, CHILD, NODE))
def list_outputs(call: Call) -> Answer:
    """What the script left, with addresses to download it from for a quarter of an hour."""
    return _files(call, layout.output_prefix(part_of(call.request, call.run()).place), "outputs")


@route("GET", "/v1/runs/{run}/aim", gives=AimView)
def show_aim(call: Call) -> Answer:
    """What the script tracked with Aim: metrics, texts, distributions and images, which stand for a quarter of an hour.

    The metrics' points are among the run's metrics, under their title.
    """
    run, objects = call.run(), call.state.objects
    try:
        document = json.loads(objects.get(layout.aim_list_key(run.id)))
    except ObjectMissingError:
        raise not_yet() from None
    for item in (item for aim_run in document["runs"] for one in aim_run["objects"] for item in one["items"]):
        if "image" in item:
            item["address"] = objects.download_address(layout.aim_image_key(run.id, item.pop("image")))
    return Answer(200, document)


@route("GET", "/v1/runs/{run}/aim/files", gives=FileList, query=(_OUTPUTS, CURSOR))
def list_aim_files(call: Call) -> Answer:
    """The files of the Aim repository: downloaded into one folder, `aim up` opens it."""
    return _files(call, layout.aim_prefix(call.run().id), "files")


def _files(call: Call, prefix: str, key: str) -> Answer:
    """A page of the objects under `prefix`, with addresses to download them from."""
    limit = max(call.request.number("limit", LARGEST_LIST, _MOST_OUTPUTS), 1)
    behind = call.request.query.get("cursor", "")
    if not behind.isprintable():  # S3 answers in XML, which has no words for the rest
        raise wrong_cursor()
    found = list(call.state.objects.find(prefix, f"{prefix}{behind}" if behind else None, limit))
    files = [
        {
            "path": one.key.removeprefix(prefix),
            "size": one.size,
            "address": call.state.objects.download_address(one.key, one.key.rsplit("/", 1)[1]),
        }
        for one in found
    ]
    return Answer(200, {key: files, "next_cursor": files[-1]["path"] if len(found) == limit else None})


@route("GET", "/v1/runs/{run}/log.gz", status=302, query=(CHILD, NODE))
def download_log(call: Call) -> Answer:
    run = call.run()
    part = part_of(call.request, run)
    key = layout.log_key(part.place)
    if call.state.objects.size(key) is None:
        raise not_yet()
    return Answer(302, None, {"location": call.state.objects.download_address(key, f"{part.name_of(run.id)}.gz")})
