"""What commands need of the terminal and of the environment that they are called in."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from trainyard.cli.client import Client
from trainyard.cli.config import find_login
from trainyard.model.repository import FULL_NAME
from trainyard.model.text import Language

if TYPE_CHECKING:
    from rich.console import Console

_HELP = {"project": "OWNER/NAME", "repository": "OWNER/NAME", "run": "id of the run"}
# Each word says the state too: colour is only a help.
_STATE_STYLES = {
    "succeeded": "green",
    "passed": "green",
    "failed": "red",
    "rejected": "red",
    "timed_out": "red",
    "stopped": "yellow",
    "running": "cyan",
    "starting": "cyan",
}


def command(subparsers: Any, name: str, act: Any, words: str, *places: str, **kept: Any) -> argparse.ArgumentParser:
    """Add a command to the parser; `act` gets its options. Places are `project`, `repository` and `run`."""
    added: argparse.ArgumentParser = subparsers.add_parser(name, help=words, description=words, **kept)
    for place in places:
        added.add_argument(place, help=_HELP[place], type=str if place == "run" else _full_name)
    added.set_defaults(act=act)
    return added


def _full_name(text: str) -> str:
    """OWNER/NAME: anything else would ask for another address of the API."""
    if not FULL_NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no OWNER/NAME, such as demo/lenet5")
    return text


def with_json(added: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Let the command answer programs: with `--json`, and by itself where no terminal is there to read it."""
    added.add_argument("--json", action="store_true", help="JSON, as when the output is no terminal")
    return added


def with_json_on_request(added: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """For commands whose text is what programs want as well, such as a log for grep."""
    added.add_argument("--json", action="store_true", help="JSON instead of text")
    return added


def language() -> Language:
    """The language of the terminal, by the variables and in the order that POSIX says."""
    known = (os.environ.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return "zh" if next(filter(None, known), "").startswith("zh") else "en"


def client(options: argparse.Namespace) -> Client:
    """ApiError where nobody said where the API is."""
    login = find_login(options.url, os.environ)
    return Client(login.url, login.token, language())


def wants_json(options: argparse.Namespace) -> bool:
    return bool(options.json) or not is_terminal()


def is_terminal() -> bool:
    """Whether a person reads the output."""
    return sys.stdout.isatty()


def print_json(document: Any) -> None:
    print(json.dumps(document, ensure_ascii=False, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table as wide as the terminal; a state among the cells has its colour.

    However narrow the terminal, the first column is whole: it is what one copies into the next command.
    """
    from rich.table import Column, Table

    cells = [[_cell(value) for value in row] for row in rows]
    widest = max((row[0].cell_len for row in cells), default=0)
    first, *others = columns
    own = Column(first, no_wrap=True, min_width=widest)
    table = Table(own, *others, box=None, pad_edge=False, header_style="bold")
    for row in cells:
        table.add_row(*row)
    console().print(table)


def print_pairs(pairs: Iterable[tuple[str, object]]) -> None:
    """One thing, a line for each of its properties; those without a value are left out."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for name, value in pairs:
        if value not in (None, "", []):
            table.add_row(_cell(name), _cell(value))
    console().print(table)


def console() -> Console:
    from rich.console import Console

    return Console(highlight=False)


def unknown() -> str:
    """In place of a figure that nobody knows, which is neither nothing nor zero."""
    return "未知" if language() == "zh" else "unknown"


def ago(time: str | None, now: datetime | None = None) -> str:
    """`2026-01-31T12:00:00Z` as `3 h ago`."""
    if not time:
        return ""
    seconds = int(((now or datetime.now(UTC)) - datetime.fromisoformat(time)).total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return "now" if seconds < 5 else f"{seconds} s ago"


def _cell(value: object) -> Any:
    from rich.text import Text

    # Never as markup: names and messages come from users.
    text = "" if value is None else str(value)
    return Text(text, style=_STATE_STYLES.get(text, ""))
