"""Templates: read with CloudFormation's tags, put through the SAM transform, searched for references."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from infra.local.deploy.errors import CannotTranslate
from trainyard.model.text import Text

Template = dict[str, Any]
_SUBSTITUTED = re.compile(r"\$\{([A-Za-z0-9]+)(?:\.[A-Za-z0-9.]+)?\}")


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms (`!Ref`, `!Sub`, ...)."""


def _short_form(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    if tag in ("Ref", "Condition"):
        return {tag: value}
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _short_form)
# A version such as 2010-09-09 is a word here, not a date.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(path: Path) -> Template:
    """A template with every short form written out. CannotTranslate if it is no template."""
    template = yaml.load(path.read_text(), _Loader)  # noqa: S506  a SafeLoader
    if not isinstance(template, dict) or not isinstance(template.get("Resources"), dict):
        raise CannotTranslate(Text(en=f"{path} has no Resources.", zh=f"{path} 中没有 Resources。"))
    return template


def transform(template: Template, parameters: dict[str, str]) -> Template:
    """The template as plain CloudFormation, through AWS's own SAM translator. Without a Transform: the same."""
    if "Transform" not in template:
        return template
    from samtranslator.internal.managed_policies import get_bundled_managed_policy_map
    from samtranslator.model.exceptions import InvalidDocumentException
    from samtranslator.translator.transform import transform as sam

    class Policies:
        """AWS's managed policies by name, as the translator brings them along."""

        def load(self) -> dict[str, str]:
            return get_bundled_managed_policy_map("aws") or {}

    given = _defaults(template) | parameters
    with _a_region():
        try:
            plain: Template = sam(copy.deepcopy(template), given, Policies())
        except InvalidDocumentException as error:
            reasons = "; ".join(cause.message for cause in error.causes)
            raise CannotTranslate(
                Text(en=f"The SAM transform refused the template: {reasons}", zh=f"SAM 转换拒绝了模板：{reasons}")
            ) from error
    plain.pop("Transform", None)
    return plain


def references(node: object) -> Iterator[str]:
    """Names that a part of a template refers to, through Ref, GetAtt, Sub or DependsOn."""
    if isinstance(node, list):
        for item in node:
            yield from references(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _named_by(key, value)
            yield from references(value)


def _named_by(key: str, value: Any) -> Iterator[str]:
    if key == "Ref":
        yield str(value)
    elif key == "Fn::GetAtt":
        yield str(value[0] if isinstance(value, list) else value.split(".")[0])
    elif key == "Fn::Sub":
        text = value[0] if isinstance(value, list) else value
        yield from _SUBSTITUTED.findall(text)
    elif key == "DependsOn":
        yield from [value] if isinstance(value, str) else value


def _defaults(template: Template) -> dict[str, Any]:
    declared = template.get("Parameters", {})
    return {name: about["Default"] for name, about in declared.items() if "Default" in about}


def _a_region() -> Any:
    """The translator asks boto3 which region it is in, to know the partition."""
    from unittest.mock import patch

    from infra.local.emulator.state import REGION

    return patch.dict("os.environ", {"AWS_DEFAULT_REGION": REGION})
