"""OBS -> S3: outputs, log and result, as a run on Batch leaves them."""

from __future__ import annotations

import gzip
import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from trainyard.compute.contract import JobEnd
from trainyard.compute.modelarts.place import REPORT_ARGUMENT, Place
from trainyard.compute.modelarts.states import Seen
from trainyard.model.request import RunRequest
from trainyard.model.result import AttemptResult, Ending, OutputFile, Stage
from trainyard.model.spec import AIM_ARGUMENT, OUTPUT_ARGUMENT
from trainyard.model.text import Text
from trainyard.runner import reasons
from trainyard.runner.stop import Stop
from trainyard.runner.tail import Tail
from trainyard.store import layout
from trainyard.store.log_end import log_end
from trainyard.store.objects import Objects

_PARALLEL = 8
# `modelarts-job-{id}-worker-0.log`; beside it lies what the cards themselves logged.
_WORKER = re.compile(r"worker-(\d{1,3})\.log$")
_MOST_LOGS = 10_000
_MOST_REPORTS, _REPORT_BYTES = 1000, 4 << 20
ATTEMPT = 1


class Report(BaseModel):
    """What the boot file said of its script."""

    model_config = ConfigDict(extra="ignore")

    ending: Ending
    exit_code: int
    signal: int | None = None
    last_lines: list[str] = []
    packages: list[str] = []
    stages: list[Stage] = []


def carry_home(objects: Objects, obs: Objects, request: RunRequest, training: Seen, stop: Stop) -> AttemptResult:
    """Store what the run left and say how it ended; what was stored before is stored again, the same."""
    place = Place(obs.bucket, request.run_id)
    outputs = _fetch(obs, place.output(OUTPUT_ARGUMENT), objects, layout.output_prefix(request.run_id), stop)
    aim = _fetch(obs, place.output(AIM_ARGUMENT), objects, layout.aim_prefix(request.run_id), stop)
    tail = Tail()
    log_bytes = _fetch_logs(obs, place, objects, request.run_id, tail)
    result = _result(request, training, _report(obs, place), tail)
    return result.model_copy(update={"outputs": outputs, "aim_files": aim, "log_bytes": log_bytes})


def _fetch(obs: Objects, source: str, objects: Objects, target: str, stop: Stop) -> list[OutputFile]:
    """All files below `source`, in the order of their paths. ModelArts marks a folder by an object of its own."""

    def one(key: str) -> OutputFile:
        digest, size = hashlib.sha256(), 0
        path = key.removeprefix(source)
        with objects.writer(target + path) as writer:
            for piece in obs.stream(key):
                stop.check()
                digest.update(piece)
                size += len(piece)
                writer.write(piece)
            if size != sizes[key]:
                raise RuntimeError(f"{key} has {size} bytes instead of {sizes[key]}")
        return OutputFile(path=path, size=size, sha256=digest.hexdigest())

    sizes = {entry.key: entry.size for entry in obs.find(source) if not entry.key.endswith("/")}
    with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="fetch") as pool:
        fetched = list(pool.map(one, sorted(sizes)))
    _require_home(objects, target, fetched)
    return fetched


def _require_home(objects: Objects, target: str, files: list[OutputFile]) -> None:
    """Asked before anything is removed there: RuntimeError unless all of it is stored here."""
    stored = {entry.key: entry.size for entry in objects.find(target)}
    missing = [file.path for file in files if stored.get(target + file.path) != file.size]
    if missing:
        raise RuntimeError(f"{len(missing)} files were not stored, {missing[0]} for one")


def _fetch_logs(obs: Objects, place: Place, objects: Objects, run_id: str, tail: Tail) -> int:
    """Store what was not stored while it ran of each machine's log; the first one's length, and its end in `tail`."""
    length = 0
    for entry in obs.find(place.log, limit=_MOST_LOGS):
        worker = _WORKER.search(entry.key)
        if worker and int(worker[1]) == 0:
            length = _fetch_log(obs, entry.key, objects, run_id, tail)
        elif worker:
            _fetch_log(obs, entry.key, objects, layout.node_id(run_id, int(worker[1])), Tail())
    return length


def _fetch_log(obs: Objects, key: str, objects: Objects, owner: str, tail: Tail) -> int:
    """`owner`: in place of the run's id in the keys of its chunks."""
    stored = end = log_end(objects, owner, ATTEMPT)
    at = 0
    for piece in obs.stream(key):
        tail.add(piece)
        fresh = piece[max(0, stored - at) :]
        at += len(piece)
        if fresh:
            objects.put(layout.log_chunk_key(owner, ATTEMPT, end), gzip.compress(fresh, 6, mtime=0), "application/gzip")
            end += len(fresh)
    return end


def _report(obs: Objects, place: Place) -> Report | None:
    """The first card's that did not succeed, else the first card's. The script could write there, too."""
    files = [
        entry.key
        for entry in obs.find(place.output(REPORT_ARGUMENT), limit=_MOST_REPORTS)
        if entry.key.endswith(".json") and entry.size <= _REPORT_BYTES
    ]
    found = [report for report in (_read_report(obs.get(key)) for key in files) if report is not None]
    return next((report for report in found if report.ending is not Ending.SUCCEEDED), found[0] if found else None)


def _read_report(text: bytes) -> Report | None:
    try:
        return Report.model_validate_json(text)
    except ValidationError:
        return None


def _result(request: RunRequest, training: Seen, report: Report | None, tail: Tail) -> AttemptResult:
    ending = _ending(training, report)
    code = report.exit_code if report else training.exit_code
    lines = (report.last_lines if report else []) or tail.lines()
    failed = ending is not Ending.SUCCEEDED
    return AttemptResult(
        run_id=request.run_id,
        attempt=ATTEMPT,
        ending=ending,
        exit_code=0 if not failed else code,
        signal=report.signal if report else None,
        reason=_reason(ending, request, code, lines) if failed else None,
        last_lines=lines if failed else [],
        stages=report.stages if report else [],
        packages=report.packages if report else [],
        finished_at=datetime.now(UTC),
    )


def _ending(training: Seen, report: Report | None) -> Ending:
    if training.end is None:
        return Ending.SUCCEEDED
    if training.end is JobEnd.TIMED_OUT:
        return Ending.TIMED_OUT
    if training.end is JobEnd.STOPPED:
        return Ending.STOPPED
    if training.end is JobEnd.SETUP:
        return Ending.SETUP_FAILED
    return report.ending if report and report.ending is not Ending.SUCCEEDED else Ending.SCRIPT_FAILED


def _reason(ending: Ending, request: RunRequest, code: int | None, lines: list[str]) -> Text:
    if ending is Ending.STOPPED:
        return reasons.STOPPED
    if ending is Ending.TIMED_OUT:
        return reasons.timed_out(request.spec.timeout)
    last = f": {lines[-1]}" if lines else ""
    if ending is Ending.SETUP_FAILED:
        return Text(en=f"The packages could not be installed{last}", zh=f"无法安装依赖{last}")
    return Text(en=f"The script ended with exit code {code}{last}", zh=f"脚本以退出码 {code} 结束{last}")
