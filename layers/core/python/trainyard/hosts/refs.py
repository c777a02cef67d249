"""Where a repository's branches and tags point, asked over git's own HTTP: two small requests, and no git program.

https://git-scm.com/docs/protocol-v2 (ls-refs), https://git-scm.com/docs/http-protocol (older servers list everything)
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from trainyard.hosts.contract import FetchAddress, HostUnavailableError
from trainyard.hosts.requests import send

MAX_BYTES = 4 << 20
"""Of the list; about 60,000 refs."""
_SERVICE = "git-upload-pack"
_WATCHED = ("refs/heads/", "refs/tags/")
_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_PEELED = "^{}"


def list_refs(address: FetchAddress) -> dict[str, str]:
    """Every branch and tag with its commit; an annotated tag with the commit that it stands for.

    The same rules as for a fetch: only the registered address, no redirect, an end in time and size.

    Raises:
        InvalidInput: an address that we do not connect to.
        HostRefusedError: no access, or no repository there.
        HostUnavailableError: no answer, or none that git would understand.
    """
    offered = _answer(address, "info/refs", b"", query=f"service={_SERVICE}")
    lines = list(_lines(offered))
    if lines[:1] == [f"# service={_SERVICE}"]:
        lines = lines[1:]
    if lines[:1] == ["version 2"]:
        formats = [line for line in lines if line.startswith("object-format=")]
        return _read_v2(_lines(_answer(address, _SERVICE, _question(formats))))
    return _read_v0(lines)


def _answer(address: FetchAddress, place: str, question: bytes, query: str = "") -> bytes:
    headers = {**address.headers, "Git-Protocol": "version=2"}
    if question:
        headers |= {
            "Content-Type": f"application/x-{_SERVICE}-request",
            "Accept": f"application/x-{_SERVICE}-result",
        }
    body = send(
        f"{address.url.rstrip('/')}/{place}",
        question,
        headers,
        method="POST" if question else "GET",
        query=query,
        largest=MAX_BYTES + 1,
        # Whoever asks comes again by itself.
        tries=1,
    ).body
    if len(body) > MAX_BYTES:
        raise HostUnavailableError(f"more than {MAX_BYTES >> 20} MiB of refs")
    return body


def _question(formats: list[str]) -> bytes:
    command = [b"command=ls-refs\n", *(line.encode() + b"\n" for line in formats)]
    arguments = [b"peel\n", *(f"ref-prefix {prefix}\n".encode() for prefix in _WATCHED)]
    return b"".join(map(_packet, command)) + b"0001" + b"".join(map(_packet, arguments)) + b"0000"


def _packet(content: bytes) -> bytes:
    return f"{len(content) + 4:04x}".encode() + content


def _lines(answer: bytes) -> Iterator[str]:
    """The text of each packet. HostUnavailableError where the answer is cut off or is none of git's."""
    place, length = 0, -1
    while place < len(answer):
        digits = answer[place : place + 4]
        if not re.fullmatch(rb"[0-9a-fA-F]{4}", digits):
            raise _not_git()
        length = int(digits, 16)
        if length > 4:
            content = answer[place + 4 : place + length]
            if len(content) != length - 4:
                raise _not_git()
            yield content.decode(errors="replace").rstrip("\n")
        place += max(length, 4)
    if length != 0:  # every answer ends with a flush packet
        raise _not_git()


def _read_v2(lines: Iterator[str]) -> dict[str, str]:
    """`ID REF[ peeled:ID]` on each line."""
    refs: dict[str, str] = {}
    for line in lines:
        commit, _, rest = line.partition(" ")
        name, _, attributes = rest.partition(" ")
        peeled = re.search(r"(?:^| )peeled:(\S+)", attributes)
        _add(refs, name, peeled[1] if peeled else commit)
    return refs


def _read_v0(lines: list[str]) -> dict[str, str]:
    """`ID REF` on each line, behind a tag another one `ID REF^{}`; the first names the server's abilities, too."""
    refs: dict[str, str] = {}
    for line in lines:
        commit, _, name = line.partition("\0")[0].partition(" ")
        _add(refs, name.removesuffix(_PEELED), commit)
    return refs


def _add(refs: dict[str, str], name: str, commit: str) -> None:
    if not _ID.fullmatch(commit):
        raise _not_git()
    if name.startswith(_WATCHED) and name.isprintable():
        refs[name] = commit


def _not_git() -> HostUnavailableError:
    return HostUnavailableError("the answer is not a list of refs")
