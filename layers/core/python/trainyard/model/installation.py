"""What this installation has of what can be asked for, and in one sentence why not of the rest.

Where it is not known, as on a laptop, nothing is missing.
"""

from __future__ import annotations

from datetime import timedelta

from trainyard.model.catalogue import Accelerator, Flavor
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


def nodes_missing(flavor: Flavor, nodes: int) -> tuple[Text, Text] | None:
    """Why that many machines of the flavor cannot train together here, and what to do; None if they can."""
    known, most = settings().job_queues, settings().max_vcpus.get(flavor.queue)
    fitting = flavor.max_nodes if most is None else min(flavor.max_nodes, most // flavor.vcpus)
    if flavor.max_nodes == 1:
        return _one_machine(flavor)
    if known and flavor.queue_for(nodes) not in known:
        return _NO_NODES_NETWORK
    if scripts_lack_network() and flavor.accelerator is not Accelerator.ASCEND:
        return _NO_SCRIPT_NETWORK
    if nodes > fitting:
        return (
            Text(
                en=f"At most {max(fitting, 1)} machines of `{flavor.name}` can train together here.",
                zh=f"当前部署中规格 `{flavor.name}` 最多 {max(fitting, 1)} 台机器共同训练。",
            ),
            Text(
                en=f"Write `nodes: {max(fitting, 1)}` or less, or ask the operator for more vCPUs.",
                zh=f"请改为 `nodes: {max(fitting, 1)}` 或更少，或请管理员提高 vCPU 上限。",
            ),
        )
    return None


def scripts_lack_network() -> bool:
    """Whether it is known that scripts may not use the network."""
    return settings().script_network == "closed"


def _one_machine(flavor: Flavor) -> tuple[Text, Text]:
    return (
        Text(en=f"Runs on `{flavor.name}` have one machine.", zh=f"规格 `{flavor.name}` 的训练只用一台机器。"),
        Text(en="Write `nodes: 1`, or choose another flavor.", zh="请写 `nodes: 1`，或选择其他规格。"),
    )


_ONE_NODE = Text(
    en="Write `nodes: 1` and a flavor with more accelerators, or ask the operator.",
    zh="请写 `nodes: 1` 并选择加速卡更多的规格，或联系管理员。",
)
_NO_NODES_NETWORK = (
    Text(
        en="This installation has no network for several machines of one run (`NodesNatGateway`).",
        zh="当前部署没有多机训练所需的网络（`NodesNatGateway`）。",
    ),
    _ONE_NODE,
)
_NO_SCRIPT_NETWORK = (
    Text(
        en="The ranks could not meet: scripts have no network in this installation (`ScriptNetwork=closed`).",
        zh="各进程无法互相连接：当前部署中脚本不能使用网络（`ScriptNetwork=closed`）。",
    ),
    _ONE_NODE,
)


def longest_timeout() -> timedelta | None:
    """The most that an attempt may take here; None: as long as any run may."""
    seconds = settings().max_run_seconds
    return timedelta(seconds=seconds) if seconds else None


def timeout_if_none_is_said(usual: timedelta = _USUAL_TIMEOUT) -> timedelta:
    """The time limit of what asks for none: the usual one, unless that is longer than it may be here."""
    return min(usual, longest_timeout() or usual)
