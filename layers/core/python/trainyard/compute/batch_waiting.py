"""Why a job of AWS Batch waits, in one sentence, and what would change it.

Batch says it in `statusReason`, with codes before the sentence:
https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html
"""

from __future__ import annotations

import re

from trainyard.model.spec import Machines
from trainyard.model.text import Text

NO_CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"
TOO_LARGE = ("MISCONFIGURATION:JOB_RESOURCE", "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX")
UNDETERMINED = "UNDETERMINED"
CANCELED_BY_LIMIT = "Canceled by JobStateTimeLimit action due to reason: "
# Before the sentence, where it is one of a queue that is held up. A job that is tried again may show its last end.
_CODE = re.compile(r"[A-Z][A-Z0-9_]+(:[A-Z0-9_]+)?( - |$)")
# EC2's own words, should Batch repeat them.
_QUOTA = re.compile(r"quota|LimitExceeded|vCPU limit|limit of \S* ?vCPU", re.IGNORECASE)

_NEXT = Text(
    en="It is next. A machine is being started, which takes a few minutes; where as many run as may, it waits for one"
    " of them to end. Nothing is charged meanwhile.",
    zh="即将轮到：正在启动机器，通常需要几分钟；若已达到机器上限，则等待其他训练结束。期间不计费。",
)
_QUEUED = Text(
    en="Waiting for a machine: the queue starts one as soon as it can. Nothing is charged while it waits.",
    zh="正在等待计算资源：队列会尽快启动机器，等待期间不计费。",
)
_FAR = Text(
    en="More than 100 jobs are before it. Another flavor may start sooner, or ask the operator for more vCPUs.",
    zh="队列中前面还有 100 多个作业。换用其他规格可更快启动，或请管理员提高 vCPU 上限。",
)
_NO_CAPACITY = {
    Machines.ON_DEMAND: Text(
        en="AWS has no free machine of this flavor at the moment. It starts when one is free; another flavor, or "
        "`machines: spot`, may start sooner.",
        zh="AWS 暂时没有该规格的空闲机器，有空闲时会自动启动；换用其他规格或 `machines: spot` 可能更快启动。",
    ),
    Machines.SPOT: Text(
        en="AWS has no free spot machine of this flavor at the moment. It starts when one is free; "
        "`machines: spot_first`, on-demand machines or another flavor would start sooner.",
        zh="AWS 暂时没有该规格的空闲竞价机器，有空闲时会自动启动；"
        "改用 `machines: spot_first`、按需机器或其他规格可更快启动。",
    ),
    Machines.SPOT_FIRST: Text(
        en="AWS has no free spot machine of this flavor at the moment. If none comes it changes to an on-demand one by "
        "itself; `machines: on_demand` would start sooner.",
        zh="AWS 暂时没有该规格的空闲竞价机器。若一直没有，会自动改用按需机器；改用 `machines: on_demand` 可更快启动。",
    ),
}
_IMPOSSIBLE = Text(
    en="No machine of this queue is large enough for it, so it will be ended. Choose a smaller flavor, or ask the "
    "operator to raise the maximum of vCPUs.",
    zh="该队列中没有足够大的机器，作业将被终止。请选择更小的规格，或请管理员提高 vCPU 上限。",
)
_UNDETERMINED = Text(
    en="The queue cannot start it, and AWS Batch does not know why; most often the account's EC2 quota of vCPUs for "
    "this family of machines is used up. The operator can have it raised; another flavor may start sooner.",
    zh="队列无法启动该作业，AWS Batch 也未能确定原因；最常见的是账号在该机型系列上的 EC2 vCPU 配额已用完。"
    "请管理员申请提高配额；换用其他规格可能更快启动。",
)
_QUOTA_USED_UP = Text(
    en="The account's EC2 quota for this family of machines is used up. It starts when other machines end; the "
    "operator can have the quota raised, and another flavor may start sooner.",
    zh="账号在该机型系列上的 EC2 配额已用完，其他机器释放后会自动启动；"
    "请管理员申请提高配额，换用其他规格可能更快启动。",
)
_UNKNOWN = Text(
    en="AWS Batch holds the queue up and gives as its reason: {reason}. The operator can change that.",
    zh="AWS Batch 队列受阻，原因：{reason}。请联系管理员处理。",
)


def is_blocked(reason: str) -> bool:
    """Whether the job's status reason says that it holds up its queue."""
    return _CODE.match(reason) is not None


def why(reason: str, machines: Machines = Machines.ON_DEMAND) -> Text:
    """From the job's own status reason; `machines`: what its queue has."""
    if not is_blocked(reason):
        return _QUEUED
    if reason.startswith(NO_CAPACITY):
        return _NO_CAPACITY[machines]
    if reason.startswith(TOO_LARGE):
        return _IMPOSSIBLE
    if reason.startswith(UNDETERMINED):
        return _UNDETERMINED
    if _QUOTA.search(reason):
        return _QUOTA_USED_UP
    words = reason[:200].rstrip(". ")
    return Text(en=_UNKNOWN.en.format(reason=words), zh=_UNKNOWN.zh.format(reason=words))


def place_in_queue(before: int | None) -> Text:
    """From the queue's snapshot: how many jobs start before it, None where the snapshot does not reach that far."""
    if before is None:
        return _FAR
    if before == 0:
        return _NEXT
    jobs = "1 job starts" if before == 1 else f"{before} jobs start"
    return Text(
        en=f"{jobs} before it: whose owner used least lately comes first. It moves up as runs end; another flavor, or "
        "more vCPUs from the operator, would start it sooner.",
        zh=f"前面还有 {before} 个作业：近期用量少的所有者优先。有训练结束时会前移；换用其他规格，"
        "或请管理员提高 vCPU 上限，可更快启动。",
    )
