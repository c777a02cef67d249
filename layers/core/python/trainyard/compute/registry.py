"""The compute backends by name. Adding one is its file and one line here."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from trainyard.compute.contract import ComputeBackend

BACKENDS = {
    "aws_batch": "trainyard.compute.aws_batch:AwsBatch",
    "modelarts": "trainyard.compute.modelarts.backend:ModelArts",
}


@cache
def backend(name: str) -> ComputeBackend:
    """The backend of that name, made on first use. KeyError if the catalogue names one that is not there: a bug."""
    module, _, kind = BACKENDS[name].partition(":")
    made: ComputeBackend = getattr(import_module(module), kind)()
    return made
