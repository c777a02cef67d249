"""What commands need of the terminal and of the environment that they are called in."""

from __future__ import annotations

import argparse
import json
import os
import unicodedata
from collections.abc import Sequence
from typing import Any

from trainyard.cli.client import ApiError, Client
from trainyard.model.text import Language


def command(subparsers: Any, name: str, act: Any, words: str, *places: str) -> argparse.ArgumentParser:
    """Add a command to the parser; `act` gets its options. Places are `project` and `run`."""
    added: argparse.ArgumentParser = subparsers.add_parser(name, help=words, description=words)
    for place in places:
        added.add_argument(place, help="OWNER/NAME" if place == "project" else "id of the run")
    added.set_defaults(act=act)
    return added


def language() -> Language:
    """The language of the terminal, by the variables and in the order that POSIX says."""
    known = (os.environ.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return "zh" if next(filter(None, known), "").startswith("zh") else "en"


def client(options: argparse.Namespace) -> Client:
    """ApiError where nobody said where the API is."""
    if not options.url:
        raise ApiError(0, "no_url", "say where the API is: --url https://HOST, or TRAINYARD_URL")
    return Client(options.url, os.environ.get("TRAINYARD_TOKEN"), language())


def print_json(document: Any) -> None:
    print(json.dumps(document, ensure_ascii=False, indent=2))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as they need to be; Chinese characters take two places of a terminal."""
    table = [headings, *rows]
    widths = [max(_width(row[column]) for row in table) for column in range(len(headings))]
    for row in table:
        cells = (cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
