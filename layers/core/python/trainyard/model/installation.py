"""What this installation has of what can be asked for, and in one sentence why not of the rest.

Where it is not known, as on a laptop, nothing is missing.
"""

from __future__ import annotations

from datetime import timedelta

from trainyard.model.catalogue import Flavor
from trainyard.model.settings import settings
from trainyard.model.text import Text

_USUAL_TIMEOUT = timedelta(hours=24)


def missing(flavor: Flavor) -> Text | None:
    """Why the flavor cannot be chosen here; None if it can."""
    known = settings().job_queues
    if known and flavor.queue and flavor.queue not in known:
        return Text(
            en=f"This installation has no machines for `{flavor.name}`. Its operator can add them.",
            zh=f"当前部署没有规格 `{flavor.name}` 的机器，可请管理员添加。",
        )
    most = settings().max_vcpus.get(flavor.queue)
    if most is not None and flavor.vcpus > most:
        return Text(
            en=f"A machine of `{flavor.name}` has {flavor.vcpus} vCPUs, and this installation runs at most {most} of "
            "its family at a time. Its operator can raise that.",
            zh=f"规格 `{flavor.name}` 的机器有 {flavor.vcpus} 个 vCPU，而当前部署该系列同时最多运行 {most} 个；"
            "可请管理员提高上限。",
        )
    return None


def longest_timeout() -> timedelta | None:
    """The most that an attempt may take here; None: as long as any run may."""
    seconds = settings().max_run_seconds
    return timedelta(seconds=seconds) if seconds else None


def timeout_if_none_is_said(usual: timedelta = _USUAL_TIMEOUT) -> timedelta:
    """The time limit of what asks for none: the usual one, unless that is longer than it may be here."""
    return min(usual, longest_timeout() or usual)
