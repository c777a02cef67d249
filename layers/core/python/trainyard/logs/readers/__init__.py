"""Readers of metrics, one file each: those of lines here, those of files in `files.py`.

To add one: a file with a `MetricReader`, one line below, and its captured output under tests/data/logs.
"""

from __future__ import annotations

from importlib import import_module

from trainyard.logs.readers.contract import MetricReader

# name -> module:class, imported on first use. Order matters only where two match the same place: the first one wins.
REGISTRY = {
    "mindspore": "trainyard.logs.readers.mindspore:MindSporeReader",
    "mindvision": "trainyard.logs.readers.mindvision:MindVisionReader",
    "mindcv": "trainyard.logs.readers.mindcv:MindCVReader",
    "keras": "trainyard.logs.readers.keras:KerasReader",
    "hugging_face": "trainyard.logs.readers.hugging_face:HuggingFaceReader",
    "lightning": "trainyard.logs.readers.lightning:LightningReader",
    "ultralytics": "trainyard.logs.readers.ultralytics:UltralyticsReader",
    "json_lines": "trainyard.logs.readers.json_lines:JsonLinesReader",
    "key_value": "trainyard.logs.readers.key_value:KeyValueReader",
}


def new_reader(name: str) -> MetricReader:
    """A fresh reader for one log.

    Raises:
        KeyError: there is no reader of that name.
    """
    module, _, attribute = REGISTRY[name].partition(":")
    reader = getattr(import_module(module), attribute)()
    assert isinstance(reader, MetricReader)
    return reader


def new_readers() -> list[MetricReader]:
    """One fresh reader of every kind."""
    return [new_reader(name) for name in REGISTRY]
