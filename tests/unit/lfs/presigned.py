"""Presigned addresses, used as they are and changed on purpose."""

from __future__ import annotations

import urllib.error
import urllib.request


def put(address: str, body: bytes, headers: dict[str, str]) -> int:
    """Status of the answer."""
    return request("PUT", address, body, headers)


def request(method: str, address: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> int:
    """Status of the answer."""
    try:
        made = urllib.request.Request(address, body, headers or {}, method=method)
        with urllib.request.urlopen(made, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def parameters(address: str) -> dict[str, str]:
    """What stands in the query, encoded as it is there."""
    return dict(each.split("=", 1) for each in address.partition("?")[2].split("&"))


def changed(address: str, name: str, value: str | None) -> str:
    """The address with another value of a parameter, or without it."""
    query = parameters(address)
    query = {**query, name: value} if value is not None else {key: query[key] for key in query if key != name}
    return address.partition("?")[0] + "?" + "&".join(f"{key}={text}" for key, text in query.items())
