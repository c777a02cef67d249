"""The schema of `trainyard.yaml`, for editors: completion, descriptions and errors while typing."""

from __future__ import annotations

import json
from typing import Any

from trainyard.model.catalogue import Catalogue, load_catalogue
from trainyard.model.spec import RunFile

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def run_file_schema(catalogue: Catalogue | None = None) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the run file; frameworks and flavors are those of the catalogue.

    An editor takes it by `# yaml-language-server: $schema=ADDRESS` in the first line, or by file name.
    """
    catalogue = catalogue or load_catalogue()
    schema = RunFile.model_json_schema(mode="validation")
    run = schema["$defs"]["RunSpec"]["properties"]
    for key, entries in (("framework", catalogue.frameworks), ("flavor", catalogue.flavors)):
        usable = [entry for entry in entries if not entry.retired]
        run[key] = {
            "description": run[key]["description"],
            "anyOf": [{"const": entry.name, "title": entry.title.en} for entry in usable],
        }
    schema["$defs"]["RunSpec"]["oneOf"] = [{"required": [ground]} for ground in ("framework", "image")]
    short = [{"const": "push"}, {"const": ["push"]}]
    run["on"] = {"description": run["on"]["description"], "anyOf": [*short, {"$ref": run["on"]["$ref"]}]}
    schema["patternProperties"] = {"^x-": {"description": "Free: for what anchors share."}}
    return {"$schema": DRAFT, **schema, "title": "trainyard.yaml", "description": "What to train, and when."}


def schema_text() -> str:
    return json.dumps(run_file_schema(), ensure_ascii=False, indent=2, sort_keys=True) + "\n"
