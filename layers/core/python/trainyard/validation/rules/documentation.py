"""What every rule means, made from the rules themselves: as data, as text for a terminal, and as pages for a browser.

`rules.html` in this folder is the page of all rules for whoever has no deployment at hand. It is written by
`python -m trainyard.validation.rules.documentation`, and a test tells when that is due.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any

from trainyard.model.text import Language, Text
from trainyard.validation.rules import REGISTRY, all_rules, rule
from trainyard.validation.rules.contract import Example, Rule

ROUTE = "/v1/rules"
LOCAL_PAGE = Path(__file__).with_name("rules.html")
LANGUAGES: tuple[Language, ...] = ("en", "zh")
_SHOWN_EXAMPLES = 3
_SHOWN_BYTES = 2000
_HEADING = Text(en="Rules", zh="规则")
_ABOUT = Text(
    en="What validation looks for before a run may take a machine. An error rejects the run, a warning never does.",
    zh="训练占用机器之前的检查内容。错误会使训练被拒绝，警告不会。",
)
_SEVERITY = {"error": Text(en="Error", zh="错误"), "warning": Text(en="Warning", zh="警告")}
_FOUND, _NOT_FOUND = Text(en="Found", zh="会报告"), Text(en="Not found", zh="不会报告")
_AT_LINE = Text(en="line", zh="行")
_ALL = Text(en="All rules", zh="全部规则")


def rule_address(rule_id: str, service: str | None = None) -> str:
    """Where the rule is explained.

    `service`: root of a deployment's API; empty gives an address relative to whichever answers. None: there is none
    at hand, and the address is that of the page in this package.
    """
    return f"{LOCAL_PAGE.as_uri()}#{rule_id}" if service is None else f"{service.rstrip('/')}{ROUTE}/{rule_id}"


def rule_document(rule_id: str) -> dict[str, Any]:
    """The rule as data, texts in both languages. KeyError if there is none of that id."""
    known = rule(rule_id)
    return {
        "id": known.id,
        "severity": known.severity.value,
        "title": known.title.model_dump(),
        "explanation": known.explanation.model_dump(),
        "failing": [_example_document(example) for example in known.failing],
        "passing": [_example_document(example) for example in known.passing],
    }


def rule_documents() -> list[dict[str, Any]]:
    return [rule_document(rule_id) for rule_id in REGISTRY]


def rule_text(rule_id: str, language: Language) -> str:
    """The rule for a terminal. KeyError if there is none of that id."""
    known = rule(rule_id)
    lines = [
        f"{known.title.in_language(language)} [{known.id}, {_SEVERITY[known.severity.value].in_language(language)}]",
        known.explanation.in_language(language),
    ]
    for label, examples in ((_FOUND, known.failing), (_NOT_FOUND, known.passing)):
        for example in _shown(examples)[:1]:
            lines.append(f"{label.in_language(language)}:")
            for path, content in example.files.items():
                shown = _content(content).rstrip("\n").replace("\n", "\n      ")
                lines.append(f"    {path}{_line_label(example, path, language)}\n      {shown}")
    return "\n\n".join(lines) + "\n"


def rule_page(rule_id: str, language: Language) -> str:
    """One rule as an HTML page. KeyError if there is none of that id."""
    known = rule(rule_id)
    other = next(each for each in LANGUAGES if each != language)
    links = (
        f'<nav><a href="{ROUTE}?lang={language}">{_ALL.in_language(language)}</a>'
        f' · <a href="?lang={other}">{_LANGUAGE_NAMES[other]}</a></nav>'
    )
    return _page(known.title.in_language(language), language, links + _section(known, language, "h1"))


def rules_page(language: Language) -> str:
    """The list of all rules as an HTML page."""
    other = next(each for each in LANGUAGES if each != language)
    rows = "".join(
        f'<li><a href="{ROUTE}/{each.id}?lang={language}"><code>{each.id}</code></a> '
        f"{escape(each.title.in_language(language))} · {_SEVERITY[each.severity.value].in_language(language)}</li>\n"
        for each in all_rules()
    )
    heading = _HEADING.in_language(language)
    return _page(
        heading,
        language,
        f'<nav><a href="?lang={other}">{_LANGUAGE_NAMES[other]}</a></nav>'
        f"<h1>{heading}</h1><p>{_ABOUT.in_language(language)}</p><ul>\n{rows}</ul>",
    )


def local_page() -> str:
    """Every rule in both languages on one page, which needs nothing around it."""
    sections = "\n".join(
        f'<article id="{each.id}">' + "".join(_section(each, language, "h2") for language in LANGUAGES) + "</article>"
        for each in all_rules()
    )
    heading = " / ".join(_HEADING.in_language(language) for language in LANGUAGES)
    about = "<br>".join(_ABOUT.in_language(language) for language in LANGUAGES)
    return _page(heading, "en", f"<h1>{heading}</h1><p>{about}</p>\n{sections}")


_LANGUAGE_NAMES: dict[Language, str] = {"en": "English", "zh": "中文"}
_STYLE = """\
:root{color-scheme:light dark}body{font:16px/1.6 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}
pre{overflow:auto;padding:.8rem;border:1px solid #8884;border-radius:6px;font-size:.85rem;line-height:1.45}
article{border-top:1px solid #8884;margin-top:2rem}code{font-size:.9em}h3{font-size:1rem;margin-bottom:.2rem}
figure{margin:.5rem 0}figcaption{font-size:.85rem;opacity:.75}.kind{opacity:.75}"""


def _page(title: str, language: Language, body: str) -> str:
    return (
        f'<!doctype html>\n<html lang="{language}"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>\n{_STYLE}\n</style></head><body>\n{body}\n</body></html>\n"
    )


def _section(known: Rule, language: Language, heading: str) -> str:
    parts = [
        f'<section lang="{language}"><{heading}>{escape(known.title.in_language(language))}</{heading}>',
        f'<p class="kind"><code>{known.id}</code> · {_SEVERITY[known.severity.value].in_language(language)}</p>',
        f"<p>{_marked(known.explanation.in_language(language))}</p>",
    ]
    for label, examples in ((_FOUND, known.failing), (_NOT_FOUND, known.passing)):
        shown = _shown(examples)
        if shown:
            parts.append(f"<h3>{label.in_language(language)}</h3>")
            parts += [_figures(example, language) for example in shown]
    return "\n".join([*parts, "</section>"])


def _figures(example: Example, language: Language) -> str:
    return "\n".join(
        f"<figure><figcaption><code>{escape(path)}</code>{_line_label(example, path, language)}</figcaption>"
        f"<pre>{escape(_content(content))}</pre></figure>"
        for path, content in example.files.items()
    )


def _marked(text: str) -> str:
    """Text with its `code` marked up."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))


def _line_label(example: Example, path: str, language: Language) -> str:
    """The line of the finding, where the example has one and shows but one file."""
    if example.line is None or list(example.files) != [path]:
        return ""
    return f" · {_AT_LINE.in_language(language)} {example.line}"


def _shown(examples: Iterable[Example]) -> list[Example]:
    """Examples that have something to show; what they leave out on purpose is said in the explanation."""
    return [example for example in examples if example.files][:_SHOWN_EXAMPLES]


def _example_document(example: Example) -> dict[str, Any]:
    return {
        "files": [{"path": path, "content": _content(content)} for path, content in example.files.items()],
        "links": dict(example.links),
        "without": list(example.without),
        "line": example.line,
    }


def _content(content: str | bytes) -> str:
    if isinstance(content, str):
        return content
    return content.decode(errors="replace") if len(content) <= _SHOWN_BYTES else f"({len(content):,} bytes)"


if __name__ == "__main__":
    LOCAL_PAGE.write_text(local_page(), encoding="utf-8")
