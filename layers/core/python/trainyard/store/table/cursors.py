"""Pages of a list, and the cursors that continue them."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from trainyard.model.errors import InvalidInput
from trainyard.model.text import Text

Row = TypeVar("Row", bound=BaseModel)


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Rows and, where there may be more, the cursor that continues behind them."""

    rows: list[Row]
    cursor: str | None


def write_cursor(key: dict[str, Any]) -> str:
    plain = {name: value["S"] for name, value in key.items()}
    return base64.urlsafe_b64encode(json.dumps(plain, sort_keys=True).encode()).decode().rstrip("=")


def read_cursor(cursor: str, attribute: str, value: str) -> dict[str, Any]:
    """The start key in a cursor, only for the very list it came from: a cursor must not open another one."""
    try:
        plain = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        key = {name: {"S": str(plain[name])} for name in ("pk", "sort", attribute)}
    except (ValueError, KeyError, TypeError):
        plain, key = None, {}
    if plain is None or plain[attribute] != value:
        raise wrong_cursor()
    return key


def wrong_cursor() -> InvalidInput:
    return InvalidInput(Text(en="The cursor is not valid; start again without it.", zh="游标无效，请去掉它重新查询。"))
