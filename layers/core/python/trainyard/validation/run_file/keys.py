"""The keys of a run file, and which of them somebody meant who wrote another."""

from __future__ import annotations

from pydantic import BaseModel

from trainyard.model.spec import EvaluationSpec, Input, PushTrigger, RunFile, RunSpec, Triggers
from trainyard.validation.document import Path
from trainyard.validation.suggestion import nearest

_MODELS: dict[str, type[BaseModel]] = {"on": Triggers, "push": PushTrigger, "evaluation": EvaluationSpec}
# Words that people write for ours.
_SYNONYMS = {
    "entry": "boot_file",
    "entrypoint": "boot_file",
    "script": "boot_file",
    "main": "boot_file",
    "container": "image",
    "docker": "image",
    "instance": "flavor",
    "machine": "flavor",
    "compute": "flavor",
    "params": "hyperparameters",
    "parameters": "hyperparameters",
    "hyper_parameters": "hyperparameters",
    "args": "hyperparameters",
    "environment": "env",
    "desc": "description",
    "enable_output": "output",
    "enable_aim": "aim",
    "datasets": "inputs",
    "models": "inputs",
    "data": "inputs",
    "repo": "dataset",
    "trigger": "on",
    "triggers": "on",
    "branch": "branches",
    "tag": "tags",
    "max_runtime": "timeout",
    "retry": "retries",
}


def known_keys(path: Path) -> list[str]:
    """The keys that may be written where the last part of `path` is."""
    match path[:-1]:
        case ():
            return list(RunFile.model_fields)
        case ("runs", _):
            return list(RunSpec.model_fields)
        case ("runs", _, "inputs", _):
            return list(Input.model_fields)
        case (*_, last) if last in _MODELS:
            return list(_MODELS[str(last)].model_fields)
    return []


def meant_key(key: str, location: Path) -> str | None:
    known = known_keys(location)
    synonym = _SYNONYMS.get(key.lower())
    return synonym if synonym in known else nearest(key, known)
