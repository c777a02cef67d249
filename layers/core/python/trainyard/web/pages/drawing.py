"""Sparklines: a curve small enough for a line of a table."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH, HEIGHT = 72, 20
_MARGIN = 2


def spark_points(curve: Sequence[float]) -> str:
    """The `points` of an SVG polyline in a box of `WIDTH` by `HEIGHT`; a single value becomes a flat line."""
    values = list(curve) * 2 if len(curve) == 1 else list(curve)
    low, high = min(values), max(values)
    # Each by itself: the difference of two very large values is no number.
    half = max(abs(low), abs(high)) or 1.0
    span = high / half - low / half
    across = (WIDTH - 2 * _MARGIN) / (len(values) - 1)
    up = HEIGHT - 2 * _MARGIN
    heights = [(value / half - low / half) / span if span else 0.5 for value in values]
    return " ".join(
        f"{_MARGIN + number * across:.1f},{HEIGHT - _MARGIN - height * up:.1f}" for number, height in enumerate(heights)
    )
