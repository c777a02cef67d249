"""A host may repeat in a refusal what it was sent. What of that is a secret is taken out before anybody reads it."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any
from urllib.parse import parse_qsl

MASK = "•••"
# Whatever else a header holds counts as a secret.
_PLAIN_HEADERS = frozenset(
    {"accept", "content-type", "git-protocol", "user-agent", "webhook-id", "webhook-timestamp", "x-github-api-version"}
)
_SECRET_FIELD = re.compile(r"secret|token|passw|key|assertion|verifier|signature|^code$|^sig$", re.IGNORECASE)
_DEEPEST = 20
# Shorter ones stand in any text by chance, and a header's whole value is known anyway.
_SHORTEST_CODED = 6


def secrets_of(headers: Mapping[str, str], body: bytes, query: str = "") -> set[str]:
    """What of a request is nobody else's business: credentials in its headers, and fields that are called a secret."""
    found: set[str] = set()
    for name, value in headers.items():
        if name.lower() not in _PLAIN_HEADERS:
            found |= set(_of_header(value))
    return {secret for secret in found | set(_of_body(body)) | set(_of_form(query)) if secret.strip()}


def redacted(text: str, secrets: Collection[str], most: int) -> str:
    """At most the first `most` characters of `text`, without the secrets.

    However their characters are escaped (for an address, JSON or HTML), also within something that is in base64.
    Where `text` was cut off, so was perhaps a secret in its last characters: see `margin`.
    """
    searched = _Searched(text)
    hidden = 0
    for secret in secrets:
        for written in (secret, *_in_base64(secret)):
            hidden |= searched.cover([_ways_to_write(character) for character in written])
    shown = ""
    for at, character in enumerate(text[:most]):
        if not hidden >> at & 1:
            shown += character
        elif not (at and hidden >> (at - 1) & 1):
            shown += MASK
    return shown


def margin(secrets: Collection[str]) -> int:
    """How many characters one of these secrets may take at most."""
    return _LONGEST_WAY * max((len(secret.encode(errors="surrogatepass")) for secret in secrets), default=0)


def _of_header(value: str) -> Iterator[str]:
    """Of `Bearer SECRET` and the like, and of what `Basic` holds."""
    yield value
    scheme, _, credentials = value.partition(" ")
    if not credentials:
        return
    yield credentials
    if scheme.lower() == "basic":
        try:
            pair = base64.b64decode(credentials, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return
        yield pair
        yield pair.partition(":")[2]


def _of_body(body: bytes) -> Iterator[str]:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        yield from _of_form(text)
    else:
        yield from _of_document(document, _DEEPEST)


def _of_document(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, dict) and depth:
        for name, inner in value.items():
            if isinstance(inner, str) and _SECRET_FIELD.search(name):
                yield inner
            yield from _of_document(inner, depth - 1)
    elif isinstance(value, list) and depth:
        for inner in value:
            yield from _of_document(inner, depth - 1)


def _of_form(text: str) -> Iterator[str]:
    for name, value in parse_qsl(text):
        if _SECRET_FIELD.search(name):
            yield value


class _Searched:
    """A text in which words are looked for, whatever the case of their letters.

    A set of places in it is the bits of one number, so that all of them are handled at once: no secret and no text can
    make it take long, as they could with an expression that has several ways to match.
    """

    def __init__(self, text: str) -> None:
        self._text = text.translate(_LOWER)
        self._known: dict[str, int] = {}

    def cover(self, ways: Sequence[Sequence[str]]) -> int:
        """Every place that is part of a sequence of words, each of which is one of those given for its turn."""
        reached = [(1 << len(self._text) + 1) - 1]
        for words in ways:
            reached.append(_any((reached[-1] & self._places(word)) << len(word) for word in words))
            if not reached[-1]:
                return 0
        covered, ends = 0, reached.pop()
        for words in reversed(ways):
            before, starts = reached.pop(), 0
            for word in words:
                begun = ends >> len(word) & self._places(word) & before
                covered |= _any(begun << offset for offset in range(len(word)))
                starts |= begun
            ends = starts
        return covered

    def _places(self, word: str) -> int:
        """Where the word begins."""
        if word not in self._known:
            wanted, found, at = word.translate(_LOWER), 0, -1
            while (at := self._text.find(wanted, at + 1)) >= 0:
                found |= 1 << at
            self._known[word] = found
        return self._known[word]


def _any(sets: Iterable[int]) -> int:
    return reduce(or_, sets, 0)


def _in_base64(secret: str) -> Iterator[str]:
    """What the secret looks like in base64, whichever bytes stand before and behind it."""
    data = secret.encode(errors="surrogatepass")
    for before, foreign in ((0, 0), (1, 2), (2, 3)):
        coded = base64.b64encode(b"\0" * before + data).decode().rstrip("=")
        own = coded[foreign : len(coded) - ((before + len(data)) % 3 > 0)]
        if len(own) >= _SHORTEST_CODED:
            yield own


def _ways_to_write(character: str) -> list[str]:
    """As it is, or as addresses, JSON, HTML and the two alphabets of base64 write it."""
    code, units = ord(character), character.encode("utf-16-be", errors="surrogatepass")
    return [
        character,
        "".join(f"%{byte:02x}" for byte in character.encode(errors="surrogatepass")),
        "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2)),
        *(f"&#{code};", f"&#0{code};", f"&#x{code:x};"),
        f"\\{character}",
        *_OTHERWISE.get(character, ()),
    ]


_OTHERWISE = {
    "+": ("-",),
    "/": ("_",),
    " ": ("+",),
    "&": ("&amp;",),
    "<": ("&lt;",),
    ">": ("&gt;",),
    '"': ("&quot;",),
    "'": ("&apos;",),
    "\b": ("\\b",),
    "\f": ("\\f",),
    "\n": ("\\n",),
    "\r": ("\\r",),
    "\t": ("\\t",),
}
_LONGEST_WAY = 16
"""Characters for one byte of a secret: an entity has eight, for three quarters of a byte in base64."""
_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
