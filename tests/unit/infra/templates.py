"""The templates as tests read them: as written, with CloudFormation's short forms written out."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from infra.local.deploy.template import read

ROOT = Path(__file__).resolve().parents[3]
MAIN = ROOT / "template.yaml"
TEMPLATES = [MAIN, *sorted((ROOT / "infra").glob("*.yaml"))]


@cache
def template(path: Path = MAIN) -> Any:
    return read(path)


def resources(kind: str, path: Path = MAIN) -> dict[str, Any]:
    """Logical id -> properties of every resource of that type in one template."""
    return {
        name: each.get("Properties", {}) for name, each in template(path)["Resources"].items() if each["Type"] == kind
    }


def every_resource() -> Iterator[tuple[Path, str, Any]]:
    """(template, logical id, resource) of all templates."""
    for path in TEMPLATES:
        for name, each in template(path)["Resources"].items():
            yield path, name, each


def policies() -> Iterator[tuple[str, Any]]:
    """(place, statement) of every policy that a role of ours carries."""
    for path, name, each in every_resource():
        if each["Type"] == "AWS::IAM::Role":
            for policy in each["Properties"].get("Policies", []):
                for statement in policy["PolicyDocument"]["Statement"]:
                    yield f"{path.name}:{name}:{statement.get('Sid')}", statement


def listed(value: Any) -> list[Any]:
    """A list for what may be written as one thing or as several."""
    return value if isinstance(value, list) else [value]
