"""Templates: everything that is put into one is text and becomes text."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainyard.model.text import Language, Text
from trainyard.web.pages.drawing import spark_points
from trainyard.web.pages.shown import duration, figure, money, shown, size
from trainyard.web.pages.words import WORDS
from trainyard.web.static_files import static_url

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_FOLDER = Path(__file__).resolve().parents[1] / "templates"


class Exact(str):
    """Text that goes into a form's field and comes back from it: to be escaped, but not to be made visible."""

    __slots__ = ()


def render(template: str, language: Language, **values: Any) -> str:
    return _environment(language).get_template(template).render(now=datetime.now(UTC), **values)


def word(language: Language, key: str, **values: object) -> str:
    """The text of that key. KeyError if there is none, or if a value for it is missing."""
    said = WORDS[key].in_language(language)
    return said.format(**values) if values else said


@cache
def _environment(language: Language) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def finalize(value: object) -> object:
        if isinstance(value, Text):
            value = value.in_language(language)
        return shown(value) if isinstance(value, str) and not isinstance(value, Markup | Exact) else value

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals |= {"language": language, "t": partial(word, language), "static": static_url}
    environment.filters |= {
        "duration": partial(duration, language),
        "exact": Exact,
        "figure": figure,
        "money": money,
        "size": size,
        "spark": spark_points,
        "utc": _utc,
        "iso": _iso,
        "marked": partial(_marked, language),
    }
    return environment


def _marked(language: Language, text: str | Text) -> Markup:
    """A sentence of ours, in which what stands between backquotes is to be typed as it is."""
    from markupsafe import Markup, escape

    said = shown(text.in_language(language) if isinstance(text, Text) else text)
    pieces = said.split("`")
    if len(pieces) % 2 == 0:
        return escape(said)
    odd = Markup("<code>{}</code>")
    return Markup("").join(odd.format(piece) if number % 2 else escape(piece) for number, piece in enumerate(pieces))


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _iso(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
