"""Terminal output as text: what a terminal would show of progress bars, colours and bytes that are no text."""

from __future__ import annotations

import re

# CSI (colours, cursor), OSC (titles, links) and two-byte escapes, ECMA-48.
ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[ -/]?[0-Z\\-~])")
_OVERWRITTEN = re.compile(rb"[\r\x08]+")
_CONTROL = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"} | {127: 0x2421}


def readable(data: bytes) -> str:
    """`data` as a person should see it: each line as it was last drawn, without escape sequences; what is no UTF-8 as
    U+FFFD, other control characters as their pictures (U+2400...). Only for showing: the stored log stays as it was.
    """
    data = ESCAPES.sub(b"", data) if b"\x1b" in data else data
    data = data.replace(b"\r\n", b"\n")
    if b"\r" in data or b"\x08" in data:
        data = b"\n".join(_last_drawn(line) for line in data.split(b"\n"))
    return data.decode("utf-8", "replace").translate(_CONTROL)


def as_lines(data: bytes) -> bytes:
    """`data` for the metric readers: escape sequences removed, and every redrawing of a line is a line of its own."""
    if b"\x1b" in data:
        data = ESCAPES.sub(b"", data)
    if b"\r" in data or b"\x08" in data:
        data = _OVERWRITTEN.sub(b"\n", data)
    return data


def _last_drawn(line: bytes) -> bytes:
    """What stays visible of a line in which `\\r` and `\\b` go back: the last piece that is not blank."""
    if b"\x08" in line and b"\r" not in line:
        return _erase(line)
    pieces = [piece for piece in line.replace(b"\x08", b"").split(b"\r") if piece.strip()]
    return pieces[-1] if pieces else b""


def _erase(line: bytes) -> bytes:
    """Each `\\b` takes away the character before it."""
    shown = bytearray()
    for byte in line:
        if byte != 8:
            shown.append(byte)
        elif shown:
            while len(shown) > 1 and 0x80 <= shown[-1] < 0xC0:
                shown.pop()
            shown.pop()
    return bytes(shown)
