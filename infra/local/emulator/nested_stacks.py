"""What the emulator's update of a nested stack forgets or loses; CloudFormation does neither.

It forgets the attributes of every resource that it leaves as it is: the next `Fn::GetAtt` of one fails, and so do the
update and its rollback. It forgets under which seed a name was drawn (a bucket's is drawn anew for each stack, and so
are those of all that is made after it): the table is looked for under another name, and a second, empty one is made.
And what cannot be changed in place is deleted with all that lies in it, where CloudFormation keeps it beside the new
one.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from functools import wraps
from typing import Any, NamedTuple

_SUFFIX = 13
"""Characters at the end of a name that are drawn."""
_CREATE_ONLY = {
    "AWS::DynamoDB::Table": ("TableName", "KeySchema", "LocalSecondaryIndexes", "ImportSourceSpecification"),
    "AWS::S3::Bucket": ("BucketName",),
}
"""What holds people's things: the properties under a change of which a new, empty one would take its place."""


class _Standing(NamedTuple):
    """A resource that is being updated, and the seed of its stack's names as the update began."""

    stack: str
    logical_id: str | None
    physical_id: str
    seed: str


_updated: ContextVar[_Standing | None] = ContextVar("resource that is being updated", default=None)


def keep_what_stands() -> None:
    """Let an update change a stack's resources where they are, or not at all. Once per process, before serving."""
    from ministack.services.cloudformation import provisioners

    update = provisioners._update_resource  # noqa: SLF001  no public names; the package is pinned
    draw_name = provisioners._physical_name  # noqa: SLF001

    @wraps(update)
    def update_in_place(
        resource_type: str,
        physical_id: str,
        old_props: dict[str, Any],
        new_props: dict[str, Any],
        stack_name: str,
        logical_id: str | None = None,
        old_attrs: dict[str, Any] | None = None,
    ) -> tuple[str, dict[str, Any]]:
        if changed := _create_only_changes(resource_type, old_props, new_props):
            raise ValueError(
                f"{', '.join(changed)} of {logical_id} ({resource_type}) cannot be changed where it stands: a new, "
                "empty one would take its place. Nothing was changed; with the template of before all of it is there."
            )
        known = _attributes(stack_name, logical_id) if old_attrs is None else old_attrs
        seed = provisioners._NAME_SEED.get()  # noqa: SLF001
        before = _updated.set(_Standing(stack_name, logical_id, physical_id, seed))
        try:
            kept: tuple[str, dict[str, Any]] = update(
                resource_type, physical_id, old_props, new_props, stack_name, logical_id, known
            )
        finally:
            _updated.reset(before)
        return kept

    @wraps(draw_name)
    def name_that_it_has(stack_name: str, logical_id: str, **options: Any) -> str:
        drawn: str = draw_name(stack_name, logical_id, **options)
        standing = _updated.get()
        if standing is None or (standing.stack, standing.logical_id) != (stack_name, logical_id):
            return drawn
        if provisioners._NAME_SEED.get() != standing.seed:  # noqa: SLF001
            return drawn  # it is to be replaced, by one of another name
        # A physical id is the name, or an address or ARN that has the name in it.
        found = re.search(re.escape(drawn[:-_SUFFIX]) + f"[0-9A-Fa-f]{{{_SUFFIX}}}", standing.physical_id)
        return found[0] if found else drawn

    provisioners._update_resource = update_in_place  # noqa: SLF001
    provisioners._physical_name = name_that_it_has  # noqa: SLF001


def _attributes(stack_name: str, logical_id: str | None) -> dict[str, Any]:
    from ministack.services.cloudformation import _stacks

    resources = (_stacks.get(stack_name) or {}).get("_resources", {})
    return dict(resources.get(logical_id, {}).get("Attributes") or {})


def _create_only_changes(resource_type: str, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    changed = [name for name in _CREATE_ONLY.get(resource_type, ()) if old.get(name) != new.get(name)]
    if resource_type == "AWS::DynamoDB::Table" and _retyped(old, new):
        changed.append("AttributeDefinitions")
    return changed


def _retyped(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether an attribute that stays gets another type."""
    before, after = _types(old), _types(new)
    return any(before[name] != after[name] for name in before.keys() & after.keys())


def _types(properties: dict[str, Any]) -> dict[str, str]:
    return {each["AttributeName"]: each["AttributeType"] for each in properties.get("AttributeDefinitions", ())}
