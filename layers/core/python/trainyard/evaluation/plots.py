"""Curves as SVG, without a plotting library: a page that holds them needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import NamedTuple

from trainyard.model.metric import MetricGroup, Metrics, Point, downsample

_WIDTH, _HEIGHT = 640, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 28, 32
_COLOURS = ("#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2", "#be185d", "#4d7c0f")
_POINTS_DRAWN = 600
_TICKS = 4
_LONGEST_LABEL = 40
# Twice that is still a number: the height of the plot is divided by the difference of two values.
_LARGEST = 1e300


class Curve(NamedTuple):
    label: str
    points: list[tuple[float, float]]
    """Place on the axis of epochs (or steps) and value, both finite."""


def curves_of(metrics: Metrics, names: Sequence[str]) -> list[Curve]:
    """One curve for each group and name; a value that is not finite is left out."""
    many = len(metrics.groups) > 1
    curves = []
    for number, group in enumerate(metrics.groups):
        for name in names:
            points = [
                (x, point.value) for x, point in _placed(group.series.get(name, [])) if abs(point.value) < _LARGEST
            ]
            if points:
                curves.append(Curve(f"{name} {_called(group, number)}" if many else name, points))
    return curves


def _called(group: MetricGroup, number: int) -> str:
    """What tells it from the others: the values that were tried, or its number where those are none or long."""
    values = " ".join(f"{name}={value}" for name, value in group.parameters.items())
    return values if 0 < len(values) <= _LONGEST_LABEL else f"#{number + 1}"


def draw(title: str, curves: Sequence[Curve]) -> str:
    """An SVG element with the curves; empty where there are none."""
    if not curves:
        return ""
    xs = [x for curve in curves for x, _ in curve.points]
    ys = [y for curve in curves for _, y in curve.points]
    left, right = _widened(min(xs), max(xs))
    low, high = _widened(min(ys), max(ys))

    def at(x: float, y: float) -> tuple[float, float]:
        across, up = (x - left) / (right - left), (y - low) / (high - low)
        return (
            round(_LEFT + across * (_WIDTH - _LEFT - _RIGHT), 1),
            round(_HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM), 1),
        )

    height = _HEIGHT + 18 * math.ceil(len(curves) / 4)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '  # noqa: ISC004
        f'aria-label="{escape(title)}" font-family="sans-serif" font-size="11">',
        f'<text x="{_LEFT}" y="16" font-size="13" font-weight="bold">{escape(title)}</text>',
    ]
    for number in range(_TICKS + 1):
        x, y = left + (right - left) * number / _TICKS, low + (high - low) * number / _TICKS
        across, up = at(x, y)
        parts += [
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{up}" y2="{up}" stroke="#ddd"/>',
            f'<text x="{_LEFT - 6}" y="{up + 4}" text-anchor="end">{y:.3g}</text>',
            f'<text x="{across}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{x:.4g}</text>',
        ]
    for number, curve in enumerate(curves):
        parts += _drawn(number, curve, [at(x, y) for x, y in curve.points])
    return "".join([*parts, "</svg>"])


def _drawn(number: int, curve: Curve, places: list[tuple[float, float]]) -> list[str]:
    colour = _COLOURS[number % len(_COLOURS)]
    line = " ".join(f"{x},{y}" for x, y in places)
    key_x, key_y = _LEFT + number % 4 * 140, _HEIGHT + 12 + number // 4 * 18
    dot = f'<circle cx="{places[-1][0]}" cy="{places[-1][1]}" r="2.5" fill="{colour}"/>'
    return [
        f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.6"/>{dot}',
        f'<rect x="{key_x}" y="{key_y - 8}" width="10" height="4" fill="{colour}"/>',
        f'<text x="{key_x + 14}" y="{key_y - 2}">{escape(curve.label[:24])}</text>',
    ]


def _placed(points: list[Point]) -> list[tuple[float, Point]]:
    """Each point with its place: the epoch, with steps spread within it; else the step; else its number."""
    drawn = downsample(points, _POINTS_DRAWN)
    if all(point.epoch is not None for point in drawn):
        steps = max((point.step or 0 for point in drawn), default=0)
        within = _steps_start_anew(drawn)
        return [
            (_in_epoch(point, steps) if within and point.step else float(point.epoch or 0), point) for point in drawn
        ]
    if all(point.step is not None for point in drawn):
        return [(float(point.step or 0), point) for point in drawn]
    return [(float(number), point) for number, point in enumerate(drawn, 1)]


def _in_epoch(point: Point, steps: int) -> float:
    return float(point.epoch or 0) - 1 + (point.step or 0) / steps


def _steps_start_anew(points: list[Point]) -> bool:
    """Whether steps are counted within the epoch: then they fall, or stay, where an epoch begins."""
    steps = [point.step for point in points if point.step is not None]
    return len(steps) == len(points) and any(after <= before for before, after in pairwise(steps))


def _widened(low: float, high: float) -> tuple[float, float]:
    """A range that can be divided by; one of a single value gets some room."""
    if high - low > 0 and math.isfinite(high - low):
        return low, high
    room = abs(low) * 0.1 or 1.0
    return low - room, low + room
