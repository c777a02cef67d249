"""Why a job of AWS Batch waits, in one sentence, and what would change it.

Batch says it in `statusReason`, with codes before the sentence:
https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html
"""

from __future__ import annotations

from trainyard.model.text import Text

NO_CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"
MISCONFIGURED = "MISCONFIGURATION:"
CANCELED_BY_LIMIT = "Canceled by JobStateTimeLimit action due to reason: "

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
_NO_CAPACITY = Text(
    en="AWS has no free machine of this flavor at the moment. It starts when one is free; `machines: spot_first`, "
    "on-demand machines or another flavor would start sooner.",
    zh="AWS 暂时没有该规格的空闲机器，有空闲时会自动启动；改用 `machines: spot_first`、按需机器或其他规格可更快启动。",
)
_IMPOSSIBLE = Text(
    en="No machine of this queue is large enough for it, so it will be ended. Choose a smaller flavor, or ask the "
    "operator to raise the maximum of vCPUs.",
    zh="该队列中没有足够大的机器，作业将被终止。请选择更小的规格，或请管理员提高 vCPU 上限。",
)
_UNKNOWN = Text(
    en="AWS Batch holds the queue up and gives as its reason: {reason}. The operator can change that.",
    zh="AWS Batch 队列受阻，原因：{reason}。请联系管理员处理。",
)


def why(reason: str) -> Text:
    """From the job's own status reason; "" where Batch gives none."""
    if not reason:
        return _QUEUED
    if reason.startswith(NO_CAPACITY):
        return _NO_CAPACITY
    if reason.startswith(("MISCONFIGURATION:JOB_RESOURCE", "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX")):
        return _IMPOSSIBLE
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
