"""Where the emulator enforces policies, a rule of the default bus is `rule/default/NAME` to it; on AWS `rule/NAME`.

A policy that is right for AWS would otherwise allow nothing here.
"""

from __future__ import annotations

from functools import wraps
from typing import Any


def name_rules_as_aws() -> None:
    """Let the rules of the default bus have their ARNs of AWS. Once per process, before serving."""
    from ministack.core import iam_actions

    extract = iam_actions.extract_resource_arn

    @wraps(extract)
    def with_aws_names(*arguments: Any, **more: Any) -> str:
        arn: str = extract(*arguments, **more)
        return arn.replace(":rule/default/", ":rule/", 1) if arn.startswith("arn:aws:events:") else arn

    iam_actions.extract_resource_arn = with_aws_names
