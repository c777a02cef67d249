"""How values are written for people."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from trainyard.model.money import amount
from trainyard.model.text import Language

# Characters that change the order or the meaning of what stands around them without being seen themselves.
_BIDI = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_VISIBLE = {code: f"⟦U+{code:04X}⟧" for code in _BIDI}
_VISIBLE |= {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\t\n\r"} | {127: "␡"}
_UNITS: dict[Language, tuple[str, str, str, str]] = {"en": ("d", "h", "min", "s"), "zh": ("天", "小时", "分", "秒")}


def shown(text: str) -> str:
    """`text` with every character visible that could make it look like another text."""
    return text.translate(_VISIBLE)


def duration(language: Language, value: timedelta | None) -> str:
    """The two largest units: `2 h 5 min`; a dash for none."""
    if value is None:
        return "–"
    seconds = int(value.total_seconds())
    parts = [seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60, seconds % 60]
    named = [f"{number} {unit}" for number, unit in zip(parts, _UNITS[language], strict=True) if number]
    return " ".join(named[:2]) or f"0 {_UNITS[language][3]}"


def elapsed(start: datetime | None, end: datetime | None) -> timedelta | None:
    """None where it has not begun; up to now where it has not ended."""
    return None if start is None else max((end or datetime.now(UTC)) - start, timedelta(0))


def figure(value: float | None) -> str:
    """A measured value to six digits; a dash for none."""
    if value is None:
        return "–"
    return f"{value:.6g}" if math.isfinite(value) else "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"


def money(usd: float) -> str:
    """US dollars."""
    return f"${amount(usd)}"


def size(count: float) -> str:
    """Bytes in the largest unit that leaves at least one."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
