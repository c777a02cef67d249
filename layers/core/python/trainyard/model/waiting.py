"""Why a run is not running yet, and what would change that, as far as its own row tells."""

from __future__ import annotations

from trainyard.model.run import Run, RunState
from trainyard.model.text import Text

_BY_STATE = {
    RunState.REQUESTED: Text(
        en="Its commit is being checked: seconds, unless its git host does not answer, which is asked again for hours.",
        zh="正在校验提交，通常只需几秒；若 Git 平台没有响应，会在数小时内重试。",
    ),
    RunState.ADMITTED: Text(
        en="It was admitted and is being submitted, which takes seconds. Nothing is charged yet.",
        zh="已通过校验，正在提交，通常只需几秒；尚未计费。",
    ),
    RunState.QUEUED: Text(
        en="It waits for a machine. Nothing is charged while it waits.",
        zh="正在等待机器，等待期间不计费。",
    ),
    RunState.STARTING: Text(
        en="A machine was found and loads the image; a fresh one needs a few minutes for it.",
        zh="已分配机器，正在加载镜像；新机器需要几分钟。",
    ),
}


def waiting(run: Run) -> Text | None:
    """One sentence for every run that has neither begun to run nor ended; None for the others."""
    if run.state not in _BY_STATE:
        return None
    if run.stop is not None:
        return Text(
            en=f"{run.stop.by} asked for it to stop; it ends as soon as that reaches the queue.",
            zh=f"{run.stop.by} 已请求停止，命令到达队列后即结束。",
        )
    return run.waiting or _BY_STATE[run.state]
