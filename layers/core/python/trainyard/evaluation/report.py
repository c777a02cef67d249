"""The evaluation for people: Markdown for a comment, and one HTML file with plots that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from trainyard.evaluation.plots import curves_of, draw
from trainyard.model.evaluation import Evaluation, GroupEvaluation, MetricFigures, Place, Verdict
from trainyard.model.metric import Metrics
from trainyard.model.text import Language, Text

_GROUPS_SHOWN = 50
_VERDICTS = {
    Verdict.PASSED: Text(en="passed", zh="通过"),
    Verdict.FAILED: Text(en="failed", zh="未通过"),
    Verdict.NOT_REQUIRED: Text(en="nothing was required", zh="没有要求"),
}
_HEADINGS = (
    Text(en="Metric", zh="指标"), Text(en="Last", zh="最后值"), Text(en="Best", zh="最优值"), Text(en="At", zh="位置"),
    Text(en="Mean of the last epochs", zh="末期均值"), Text(en="Points", zh="点数"),
)  # fmt: skip
_EVALUATION = Text(en="Evaluation", zh="评估")
_BEST_GROUP = Text(en="best", zh="最优")
_PLOTS = (
    (Text(en="Loss", zh="损失"), ("loss",)),
    (
        Text(en="Accuracy and other scores", zh="准确率及其他得分"),
        ("acc", "f1", "map", "auc", "precision", "recall", "iou"),
    ),
    (Text(en="Learning rate", zh="学习率"), ("learning_rate", "lr")),
    (Text(en="Time (ms)", zh="时间（毫秒）"), ("step_time",)),
)

_STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#111}"
    "table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #ddd;padding:.3rem .6rem;text-align:left}"
    "td:not(:first-child){font-variant-numeric:tabular-nums}svg{width:100%;height:auto;margin:1rem 0}"
    ".passed{color:#047857}.failed{color:#b91c1c}"
)


def markdown(evaluation: Evaluation, language: Language = "en") -> str:
    """Verdict, gates, and a table for each group."""
    verdict = _VERDICTS[evaluation.verdict].in_language(language)
    lines = [f"## {_EVALUATION.in_language(language)}: {verdict}", ""]
    lines += [
        f"- {'✅' if gate.passed else '❌'} {_plain(gate.message.in_language(language))}" for gate in evaluation.gates
    ]
    headings = [heading.in_language(language) for heading in _HEADINGS]
    for number, group in enumerate(evaluation.groups[:_GROUPS_SHOWN]):
        if len(evaluation.groups) > 1:
            lines += ["", f"### {_plain(_group_title(evaluation, number, language))}"]
        rows = ["| " + " | ".join(map(_plain, row)) + " |" for row in [headings, *_rows(group)]]
        lines += ["", rows[0], "|---" * len(headings) + "|", *rows[1:], ""]
        lines += [f"- {_plain(note.message.in_language(language))}" for note in group.notes]
    return "\n".join(lines).rstrip() + "\n"


def html(evaluation: Evaluation, metrics: Metrics, title: str = "", language: Language = "en") -> str:
    """A whole page: no script, no font, no address of anything else; safe to open from anywhere."""
    verdict = _VERDICTS[evaluation.verdict].in_language(language)
    heading = escape(f"{_EVALUATION.in_language(language)} {title}".strip())
    parts = [
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{heading}</title>',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<style>{_STYLE}</style></head><body><h1>{heading}</h1>",
        f'<p class="{evaluation.verdict.value}"><strong>{escape(verdict)}</strong></p>',
        _list(gate.message.in_language(language) for gate in evaluation.gates),
    ]
    parts += [draw(text.in_language(language), curves_of(metrics, _names(metrics, words))) for text, words in _PLOTS]
    for number, group in enumerate(evaluation.groups[:_GROUPS_SHOWN]):
        if len(evaluation.groups) > 1:
            parts.append(f"<h2>{escape(_group_title(evaluation, number, language))}</h2>")
        parts.append(_table([heading.in_language(language) for heading in _HEADINGS], _rows(group)))
        parts.append(_list(note.message.in_language(language) for note in group.notes))
    return "".join([*parts, "</body></html>"])


def _group_title(evaluation: Evaluation, number: int, language: Language) -> str:
    parameters = ", ".join(f"{name}={value}" for name, value in evaluation.groups[number].parameters.items())
    title = f"第 {number + 1} 组" if language == "zh" else f"Group {number + 1}"
    best = f" ({_BEST_GROUP.in_language(language)})" if number == evaluation.best_group else ""
    return f"{title}{best}{': ' if parameters else ''}{parameters}"


def _rows(group: GroupEvaluation) -> list[list[str]]:
    return [[name, *_cells(figures)] for name, figures in group.metrics.items()]


def _cells(figures: MetricFigures) -> list[str]:
    best = figures.best
    mean = "" if figures.mean_of_last is None else f"{figures.mean_of_last:.6g}"
    return [f"{figures.last.value:.6g}", f"{best.value:.6g}" if best else "", _where(best), mean, str(figures.points)]


def _where(place: Place | None) -> str:
    if place is None:
        return ""
    words = [f"epoch {place.epoch:g}"] if place.epoch is not None else []
    return ", ".join([*words, f"step {place.step}"] if place.step is not None else words)


def _names(metrics: Metrics, words: tuple[str, ...]) -> list[str]:
    return [name for name in metrics.names() if any(word in name.lower() for word in words)][:8]


def _table(headings: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _list(items: Iterable[str]) -> str:
    entries = "".join(f"<li>{escape(item)}</li>" for item in items)
    return f"<ul>{entries}</ul>" if entries else ""


def _plain(text: str) -> str:
    """What a metric is called comes from the user's log: no markup of Markdown or HTML may come out of it."""
    for character in "\\`*_[]<>|#":
        text = text.replace(character, f"\\{character}")
    return text.replace("\n", " ")
