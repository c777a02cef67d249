"""Whether a failed attempt is tried again: Batch's retry strategy.

Source: https://docs.aws.amazon.com/batch/latest/userguide/job_retries.html
"""

import re
from typing import Any

from infra.local.batch.refusal import Refusal

_TEXT = re.compile(r"[A-Za-z0-9.:\s]*\*?")
_CODE = re.compile(r"[0-9]*\*?")


def check(strategy: dict[str, Any]) -> None:
    """Raise Refusal for a strategy that Batch would not take."""
    rules = strategy.get("evaluateOnExit", [])
    attempts = strategy.get("attempts")
    if attempts is None and rules:
        raise Refusal("retryStrategy.attempts must be specified when evaluateOnExit is specified")
    if attempts is not None and not 1 <= attempts <= 10:
        raise Refusal("retryStrategy.attempts must be between 1 and 10")
    if len(rules) > 5:
        raise Refusal("retryStrategy.evaluateOnExit may have at most 5 conditions")
    for rule in rules:
        _check_rule(rule)


def _check_rule(rule: dict[str, Any]) -> None:
    if rule["action"].upper() not in ("RETRY", "EXIT"):
        raise Refusal("evaluateOnExit.action must be RETRY or EXIT")
    patterns = {"onStatusReason": _TEXT, "onReason": _TEXT, "onExitCode": _CODE}
    if not any(name in rule for name in patterns):
        raise Refusal("evaluateOnExit needs at least one of onStatusReason, onReason, onExitCode")
    for name, allowed in patterns.items():
        if len(rule.get(name, "")) > 512 or not allowed.fullmatch(rule.get(name, "")):
            raise Refusal(
                f"evaluateOnExit.{name} has characters that are not allowed: "
                "only the start can be matched, with one asterisk at the end"
            )


def again(strategy: dict[str, Any], tried: int, attempt: dict[str, Any]) -> bool:
    """Whether the failed `attempt` (AttemptDetail shape), the `tried`-th, is followed by another one.

    The first rule that fits decides; when none does, the job is retried.
    """
    if tried >= strategy.get("attempts", 1):
        return False
    container = attempt.get("container", {})
    seen = {
        "onStatusReason": attempt.get("statusReason", ""),
        "onReason": container.get("reason", ""),
        "onExitCode": str(container.get("exitCode", "")),
    }
    for rule in strategy.get("evaluateOnExit", []):
        if all(_fits(rule[name], value) for name, value in seen.items() if name in rule):
            return str(rule["action"]).upper() == "RETRY"
    return True


def _fits(pattern: str, value: str) -> bool:
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern
