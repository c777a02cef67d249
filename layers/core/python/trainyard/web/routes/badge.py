"""A badge for a project's README: how its newest run came out."""

from __future__ import annotations

from html import escape

from trainyard.intake.permissions import readable_repository
from trainyard.model.run import Run, RunState
from trainyard.web.messages import Answer
from trainyard.web.routes.routing import Call, Parameter, route

_LABEL = "training"
# White on each of them has a contrast of at least 4.5 to 1.
_GREEN, _RED, _BLUE, _GREY = "#22713c", "#b3261e", "#1d5fa8", "#5b5f66"
_COLOURS = {
    RunState.SUCCEEDED: _GREEN,
    RunState.FAILED: _RED,
    RunState.REJECTED: _RED,
    RunState.TIMED_OUT: _RED,
    RunState.STOPPED: _GREY,
}
_LOOKED_AT = 100
"""Of a project's newest runs; an older one is no news."""
_CHARACTER_PIXELS = 7
_PADDING_PIXELS = 12
_QUERY = (
    Parameter("run", "Only runs of this name."),
    Parameter("branch", "Only runs on this branch."),
    Parameter("metric", "Also the best value of this metric."),
)


@route("GET", "/v1/projects/{owner}/{name}/badge.svg", query=_QUERY, media="image/svg+xml")
def show_badge(call: Call) -> Answer:
    """How the newest run came out, as an image. Of a private project only those see it who may read it."""
    project = readable_repository(call.state.table, call.repository, call.token)
    wanted = call.request.query
    page = call.state.table.runs_of(project.full_name, _LOOKED_AT if wanted.keys() & {"run", "branch"} else 1)
    run = next((run for run in page.rows if _fits(run, wanted.get("run"), wanted.get("branch"))), None)
    words, colour = _words(run, wanted.get("metric"))
    headers = {
        "content-type": "image/svg+xml; charset=utf-8",
        "content-security-policy": "default-src 'none'",
        # Image proxies of git hosts keep what may be kept for a minute, and ask again.
        "cache-control": "max-age=60" if call.token is None else "private, no-cache",
    }
    return Answer(200, svg(_LABEL, words, colour).encode(), headers)


def _fits(run: Run, name: str | None, branch: str | None) -> bool:
    ref = (run.ref or "").removeprefix("refs/heads/")
    return (name is None or run.name == name) and (branch is None or ref == branch)


def _words(run: Run | None, metric: str | None) -> tuple[str, str]:
    if run is None:
        return "no runs", _GREY
    failed = run.state is RunState.SUCCEEDED and run.evaluation.verdict == "failed"
    words = "evaluation failed" if failed else run.evaluation.verdict or run.state.value
    if run.state is not RunState.SUCCEEDED or words == "not_required":
        words = run.state.value
    value = run.evaluation.best.get(metric) if metric else None
    if value is not None:
        words += f", {metric} {value:.4g}"
    return words.replace("_", " "), _RED if failed else _COLOURS.get(run.state, _BLUE)


def svg(label: str, words: str, colour: str) -> str:
    """Two words side by side, as such badges look everywhere."""
    left = len(label) * _CHARACTER_PIXELS + _PADDING_PIXELS
    right = len(words) * _CHARACTER_PIXELS + _PADDING_PIXELS
    said = escape(f"{label}: {words}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{said}">'
        f"<title>{said}</title>"
        f'<rect width="{left + right}" height="20" rx="3" fill="#3c4043"/>'
        f'<path d="M{left} 0h{right - 3}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3H{left}z" fill="{colour}"/>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f'<text x="{left / 2}" y="14">{escape(label)}</text>'
        f'<text x="{left + right / 2}" y="14">{escape(words)}</text></g></svg>'
    )
