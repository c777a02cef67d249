"""The templates as tests read them: as written, with CloudFormation's short forms written out."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from infra.local.deploy.template import read

ROOT = Path(__file__).resolve().parents[3]
MAIN = ROOT / "template.yaml"
OBSERVABILITY = ROOT / "infra" / "observability.yaml"
TEMPLATES = [MAIN, *sorted((ROOT / "infra").glob("*.yaml"))]


@cache
def template(path: Path = MAIN) -> Any:
    return read(path)


def every_resource() -> Iterator[tuple[Path, str, Any]]:
    """(template, logical id, resource) of all templates."""
    for path in TEMPLATES:
        for name, each in template(path)["Resources"].items():
            yield path, name, each


def properties_of(kind: str, path: Path = MAIN) -> dict[str, Any]:
    """Logical id -> properties of every resource of that type in one template."""
    found = template(path)["Resources"].items()
    return {name: each.get("Properties", {}) for name, each in found if each["Type"] == kind}


def functions() -> dict[str, Any]:
    """`receive_push` -> properties of the function."""
    named = properties_of("AWS::Serverless::Function").values()
    return {each["FunctionName"]["Fn::Sub"].removeprefix("${AWS::StackName}-"): each for each in named}


def statements() -> Iterator[tuple[str, str, Any]]:
    """(template's name, role, statement) of every policy that is written into a role or for one."""
    for path, name, each in every_resource():
        if each["Type"] == "AWS::IAM::Role":
            for policy in each["Properties"].get("Policies", []):
                for statement in policy["PolicyDocument"]["Statement"]:
                    yield path.name, name, statement
        elif each["Type"] == "AWS::IAM::Policy":
            for role in each["Properties"]["Roles"]:
                for statement in each["Properties"]["PolicyDocument"]["Statement"]:
                    yield path.name, role["Ref"], statement


def listed(value: Any) -> list[Any]:
    """A list for what may be written as one thing or as several."""
    return value if isinstance(value, list) else [value]
