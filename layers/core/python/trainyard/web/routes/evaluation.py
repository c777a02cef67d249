"""What runs are worth: evaluations, reports, comparisons and leaderboards."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice

from trainyard.evaluation.comparison import compare, entrant, entrants, leaderboard
from trainyard.evaluation.history import best_run, evaluated_runs, previous_run
from trainyard.evaluation.repeat import repeat_evaluation, repeated_evaluation, repeated_evaluations
from trainyard.evaluation.report import html, markdown
from trainyard.evaluation.standard import deciding_metric
from trainyard.hosts.registry import host
from trainyard.intake.permissions import commandable_run, readable_repository, readable_run
from trainyard.model.bundle import Bundle
from trainyard.model.errors import InvalidInput, NotFound
from trainyard.model.evaluation import Evaluation, RepeatedEvaluation
from trainyard.model.metric import Metrics
from trainyard.model.repository import Repository
from trainyard.model.run import Run
from trainyard.model.settings import settings
from trainyard.model.text import Text
from trainyard.store import layout
from trainyard.store.objects import ObjectMissingError
from trainyard.store.table import wrong_cursor
from trainyard.web.messages import Answer
from trainyard.web.result_views import ComparisonView, EvaluationList, Leaderboard, NewEvaluation, ReportView
from trainyard.web.routes.routing import PAGED, Call, Parameter, body, not_yet, route, stored_json
from trainyard.web.views import show_run

_MOST_COMPARED = 20
_MOST_PLACES = 200
_RUNS_LOOKED_AT = 1000
_AT_ONCE = 16
_MARKDOWN, _HTML = "text/markdown; charset=utf-8", "text/html; charset=utf-8"
_PEM = "application/x-pem-file"
_METRIC = Parameter("metric", "By which runs are placed; accuracy if left out.")
_PLACES = Parameter("limit", f"Places in the answer; 50 if left out, {_MOST_PLACES} at most.", "integer")
_REVISION = Parameter("revision", "Only runs on this commit of it.")


@route("GET", "/v1/runs/{run}/evaluation", gives=Evaluation)
def show_evaluation(call: Call) -> Answer:
    return stored_json(call, layout.evaluation_key)


@route("GET", "/v1/runs/{run}/bundle", gives=Bundle)
def show_bundle(call: Call) -> Answer:
    """What the run was made of and came to, signed. `trainyard verify` checks it."""
    return stored_json(call, layout.bundle_key)


@route("GET", "/v1/keys/{key}", media=_PEM)
def show_public_key(call: Call) -> Answer:
    """The public key of that id, which bundles name in their signature."""
    key = call.place["key"]
    try:
        if re.fullmatch(r"[0-9a-f]{64}", key):
            return Answer(200, call.state.objects.get(layout.public_key_key(key)), {"content-type": _PEM})
    except ObjectMissingError:
        pass
    raise NotFound(Text(en="No bundle was ever signed here with a key of that id.", zh="此处从未用该密钥签名。"))


@route("GET", "/v1/runs/{run}/report.json", gives=ReportView)
def report_as_json(call: Call) -> Answer:
    run, evaluation, metrics = _evaluated(call)
    document = {
        "run": show_run(run),
        "evaluation": json.loads(evaluation.model_dump_json()),
        "metrics": metrics.to_dict(),
    }
    return Answer(200, document)


@route("GET", "/v1/runs/{run}/report.md", media=_MARKDOWN)
def report_as_markdown(call: Call) -> Answer:
    _, evaluation, _ = _evaluated(call)
    text = markdown(evaluation, call.language)
    return Answer(200, text.encode(), {"content-type": _MARKDOWN})


@route("GET", "/v1/runs/{run}/report.html", media=_HTML)
def report_as_html(call: Call) -> Answer:
    run, evaluation, metrics = _evaluated(call)
    page = html(evaluation, metrics, f"{run.name} {run.id}", call.language)
    return Answer(200, page.encode(), {"content-type": _HTML})


@route(
    "GET",
    "/v1/runs/{run}/comparison",
    gives=ComparisonView,
    query=(
        Parameter("with", "Ids of runs, `previous` (on the branch) or `best` (of the project), with commas between."),
        Parameter("metric", "By which `best` is best."),
    ),
)
def show_comparison(call: Call) -> Answer:
    """The run beside others; the previous one if nothing is said."""
    run = call.run()
    others = [_other(call, run, wanted) for wanted in _wanted(call.request.query.get("with", "previous"))]
    runs = [run, *(other for other in others if other is not None)]
    compared = compare([entrant(call.state.objects, one) for one in runs])
    document = json.loads(compared.model_dump_json())
    return Answer(200, {**document, "code": [_code_between(call, run, other) for other in runs[1:]]})


@route(
    "GET",
    "/v1/projects/{owner}/{name}/leaderboard",
    gives=Leaderboard,
    query=(_METRIC, Parameter("dataset", "Only runs on this data set, owner/name."), _REVISION, _PLACES),
)
def project_leaderboard(call: Call) -> Answer:
    """The best runs of the project."""
    project = readable_repository(call.state.table, call.repository, call.token)
    dataset, revision = call.request.query.get("dataset"), call.request.query.get("revision")
    data = None if dataset is None else f"dataset {dataset}@{revision}" if revision else f"dataset {dataset}"
    return _leaderboard(call, evaluated_runs(call.state, project.full_name), data)


@route("GET", "/v1/repositories/{owner}/{name}/leaderboard", gives=Leaderboard, query=(_METRIC, _REVISION, _PLACES))
def repository_leaderboard(call: Call) -> Answer:
    """The best of all runs that had this data set or model as an input and that the caller may read."""
    repository = readable_repository(call.state.table, call.repository, call.token)
    revision = call.request.query.get("revision", "")
    if revision and not (revision.isalnum() and len(revision) <= 64):
        raise InvalidInput(Text(en="revision must be a full commit id.", zh="revision 必须是完整的提交 ID。"))
    marks = call.state.objects.find(layout.trained_on_prefix(repository.full_name, revision))
    # Ids rise with time: the newest count where there are very many.
    ids = sorted(mark.key.rsplit("/", 1)[1] for mark in islice(marks, 10 * _RUNS_LOOKED_AT))[-_RUNS_LOOKED_AT:]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = list(pool.map(lambda run_id: _readable(call, run_id), ids))
    return _leaderboard(call, [run for run in found if run is not None], None)


def _leaderboard(call: Call, runs: Iterable[Run], data: str | None) -> Answer:
    metric = call.request.query.get("metric", "accuracy")[:200]
    limit = max(call.request.number("limit", 50, _MOST_PLACES), 1)
    places = leaderboard(entrants(call.state.objects, runs), metric, data, limit)
    return Answer(200, {"metric": metric, "places": [place.model_dump(mode="json") for place in places]})


def _readable(call: Call, run_id: str) -> Run | None:
    with suppress(NotFound):
        return readable_run(call.state.table, run_id, call.token)
    return None


def _evaluated(call: Call) -> tuple[Run, Evaluation, Metrics]:
    run, objects = call.run(), call.state.objects
    try:
        evaluation = Evaluation.model_validate_json(objects.get(layout.evaluation_key(run.id)))
        return run, evaluation, Metrics.from_json(objects.get(layout.metrics_key(run.id)))
    except ObjectMissingError:
        raise not_yet() from None


def _wanted(names: str) -> list[str]:
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if len(wanted) > _MOST_COMPARED:
        raise InvalidInput(
            Text(
                en=f"At most {_MOST_COMPARED} runs can be compared at once.",
                zh=f"一次最多比较 {_MOST_COMPARED} 个训练。",
            ),
            details={"field": "with"},
        )
    return wanted


def _other(call: Call, run: Run, wanted: str) -> Run | None:
    if wanted == "previous":
        return previous_run(call.state, run)
    if wanted == "best":
        metric = call.request.query.get("metric") or deciding_metric(list(run.evaluation.best))
        return best_run(call.state, run, metric) if metric else None
    return readable_run(call.state.table, wanted, call.token)


def _code_between(call: Call, run: Run, other: Run) -> dict[str, str | None]:
    """What changed in the code from the other run to this one, on the git host's own page."""
    address = None
    if run.project == other.project and run.commit and other.commit and run.commit != other.commit:
        repository = call.state.table.repository(run.project)
        if repository is not None and not _is_embedded(repository):
            address = host(repository.host).compare_address(repository, other.commit, run.commit)
    return {"run": other.id, "base": other.commit, "head": run.commit, "address": address}


def _is_embedded(repository: Repository) -> bool:
    """The embedded git host has no pages."""
    root = settings().git_base_url
    return bool(root) and repository.clone_url.startswith(root)


@route("POST", "/v1/runs/{run}/evaluations", status=201, takes=NewEvaluation, gives=RepeatedEvaluation)
def evaluate_again(call: Call) -> Answer:
    """Evaluate a run that has ended with other requirements; its own evaluation and all others stay.

    With `script` the project's evaluation script is run first; `evaluation` is null until that has ended.
    """
    wanted = body(call, NewEvaluation)
    call.run()
    run = commandable_run(call.state.table, call.place["run"], call.token)
    assert call.token is not None
    made = repeat_evaluation(
        call.state,
        run,
        wanted.require,
        call.token.user,
        datetime.now(UTC),
        script=wanted.script,
        scopes=wanted.scopes,
    )
    location = f"/v1/runs/{run.id}/evaluations/{made.number}"
    return Answer(201, json.loads(made.model_dump_json()), {"location": location})


@route("GET", "/v1/runs/{run}/evaluations", gives=EvaluationList, query=PAGED)
def list_evaluations(call: Call) -> Answer:
    """The evaluations that were asked for, in that order; the run's own is at /evaluation."""
    run, limit = call.run(), call.list_limit
    cursor = call.request.query.get("cursor", "0")
    if not re.fullmatch(r"\d{1,6}", cursor, re.ASCII):
        raise wrong_cursor()
    found = list(repeated_evaluations(call.state, run.id, int(cursor), limit))
    following = str(found[-1].number) if len(found) == limit else None
    return Answer(200, {"evaluations": [json.loads(one.model_dump_json()) for one in found], "next_cursor": following})


@route("GET", "/v1/runs/{run}/evaluations/{number}", gives=RepeatedEvaluation)
def show_repeated_evaluation(call: Call) -> Answer:
    run, number = call.run(), call.place["number"]
    known = repeated_evaluation(call.state, run.id, int(number)) if re.fullmatch(r"[1-9]\d{0,5}", number) else None
    if known is None:
        raise NotFound(
            Text(en="There is no evaluation of that number.", zh="没有该编号的评估。"),
        )
    return Answer(200, json.loads(known.model_dump_json()))
