"""How a benchmark says a figure: one JSON line."""

from __future__ import annotations

import json


def report(name: str, value: float, unit: str) -> None:
    print(json.dumps({"name": name, "value": float(f"{value:.4g}"), "unit": unit}), flush=True)
