"""What a script tracked with Aim: a list of all of it, with texts, images and distributions ready to be shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from trainyard.logs.readers.aim import AimItem, AimRun, AimSequence
from trainyard.model.metric import number_to_json
from trainyard.store import layout
from trainyard.store.objects import Objects

_MOST_ITEMS = 200
"""Of one sequence; the last ones, as those show what the training came to."""
_MOST_IMAGES = 500


def store_aim_objects(objects: Objects, run_id: str, runs: list[AimRun]) -> None:
    """Write `aim.json`, and each image beside it as a file that a browser shows."""
    if not runs:
        return
    numbers = iter(range(_MOST_IMAGES))
    document = {"runs": [_run(objects, run_id, run, numbers) for run in runs]}
    objects.put(layout.aim_list_key(run_id), json.dumps(document, ensure_ascii=False).encode(), "application/json")


def _run(objects: Objects, run_id: str, run: AimRun, numbers: Iterator[int]) -> dict[str, Any]:
    return {
        "hash": run.hash,
        "parameters": {
            name: number_to_json(value) if isinstance(value, float) else value for name, value in run.parameters.items()
        },
        "metrics": [{**_sequence(one), "title": one.title, "points": len(one.points)} for one in run.metrics()],
        "objects": [
            {
                **_sequence(one),
                "kind": one.kind,
                "count": len(one.items),
                "items": [_item(objects, run_id, item, numbers) for item in one.items[-_MOST_ITEMS:]],
            }
            for one in run.objects()
        ],
    }


def _sequence(one: AimSequence) -> dict[str, Any]:
    return {"name": one.name, "context": {name: str(value) for name, value in one.context.items()}}


def _item(objects: Objects, run_id: str, item: AimItem, numbers: Iterator[int]) -> dict[str, Any]:
    shown: dict[str, Any] = {"step": item.step, "index": item.index}
    if isinstance(caption := item.about.get("caption"), str) and caption:
        shown["caption"] = caption[:200]
    if item.text is not None:
        return {**shown, "text": item.text}
    if (histogram := item.histogram) is not None:
        counts, low, high = histogram
        return {**shown, "counts": counts, "range": [number_to_json(low), number_to_json(high)]}
    if (media := item.image_type) is not None and (number := next(numbers, None)) is not None:
        assert isinstance(item.data, bytes)
        name = f"{number}.{media.rpartition('/')[2]}"
        objects.put(layout.aim_image_key(run_id, name), item.data, media)
        return {**shown, "image": name, "width": _size(item, "width"), "height": _size(item, "height")}
    return shown


def _size(item: AimItem, name: str) -> int | None:
    value = item.about.get(name)
    return value if isinstance(value, int) else None
