"""The emulator's update of a nested stack forgets the attributes of every resource that it leaves as it is.

The next `Fn::GetAtt` of one then fails, and so do the update and its rollback: a kept stack could take no changed
template.
"""

from __future__ import annotations

from functools import wraps
from typing import Any


def remember_attributes() -> None:
    """Let an update without the attributes of before find them in the stack. Once per process, before serving."""
    from ministack.services.cloudformation import provisioners

    update = provisioners._update_resource  # noqa: SLF001  no public name; the package is pinned

    @wraps(update)
    def with_attributes(
        resource_type: str,
        physical_id: str,
        old_props: dict[str, Any],
        new_props: dict[str, Any],
        stack_name: str,
        logical_id: str | None = None,
        old_attrs: dict[str, Any] | None = None,
    ) -> tuple[str, dict[str, Any]]:
        known = _attributes(stack_name, logical_id) if old_attrs is None else old_attrs
        kept: tuple[str, dict[str, Any]] = update(
            resource_type, physical_id, old_props, new_props, stack_name, logical_id, known
        )
        return kept

    provisioners._update_resource = with_attributes  # noqa: SLF001


def _attributes(stack_name: str, logical_id: str | None) -> dict[str, Any]:
    from ministack.services.cloudformation import _stacks

    resources = (_stacks.get(stack_name) or {}).get("_resources", {})
    return dict(resources.get(logical_id, {}).get("Attributes") or {})
