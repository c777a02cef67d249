"""Why an attempt did not succeed, in a sentence."""

from __future__ import annotations

import signal
from datetime import timedelta

from trainyard.model.result import EXIT_NODE_LOST, Ending
from trainyard.model.spec import format_duration
from trainyard.model.text import Text
from trainyard.runner import process
from trainyard.runner.limits import Limit
from trainyard.runner.script import Ended

EXIT_SETUP_FAILED = 70
EXIT_SHIPPING_FAILED = 74
EXIT_TIMED_OUT = 124
EXIT_FAILED = 1
EXIT_LIMITED = 137
EXIT_STOPPED = 143

STOPPED = Text(
    en="The run was stopped; what it had written until then is kept.",
    zh="训练已被停止，此前写入的输出已保存。",
)
NOT_STORED = Text(
    en="The script ended well, but its output could not be stored; start the run again.",
    zh="脚本已正常结束，但输出保存失败，请重新创建训练。",
)
INTERNAL = Text(
    en="The platform failed while it made the run ready; start the run again.",
    zh="平台在准备训练时出错，请重新创建训练。",
)
OTHERS_SILENT = Text(
    en="not every other machine has ended; what it had not stored yet is lost",
    zh="并非所有其他机器都已结束，其尚未保存的内容将丢失",
)
_LIMITS = {
    Limit.MEMORY: Text(
        en="The script was ended because it used more memory than its flavor has: "
        "use a smaller batch or a larger flavor.",
        zh="脚本使用的内存超过所选规格，已被终止：请减小 batch 或选择更大的规格。",
    ),
    Limit.DISK: Text(
        en="The script was ended because it filled the disk: write less, or remove older checkpoints while training.",
        zh="脚本占满了磁盘空间，已被终止：请减少写入，或在训练过程中删除旧的检查点。",
    ),
}


_KILLED_FOR_MEMORY = Text(
    en="The system ended a process of the script because all of the flavor's memory was used up: use a smaller batch, "
    "fewer data loaders, or a larger flavor.",
    zh="所选规格的内存已耗尽，系统终止了脚本的一个进程：请减小 batch、减少数据加载进程，或选择更大的规格。",
)


def judge(ended: Ended, timeout: timedelta) -> tuple[Ending, int, Text | None]:
    """The ending, the runner's exit code, and the reason where it did not succeed."""
    match ended.outcome:
        case process.Outcome.STOPPED:
            return Ending.STOPPED, EXIT_STOPPED, STOPPED
        case process.Outcome.TIMED_OUT:
            return Ending.TIMED_OUT, EXIT_TIMED_OUT, timed_out(timeout)
        case process.Outcome.LIMITED:
            assert ended.limit is not None
            return Ending.SCRIPT_FAILED, EXIT_LIMITED, _LIMITS[ended.limit]
    if ended.exit_code == 0:
        return Ending.SUCCEEDED, 0, None
    return Ending.SCRIPT_FAILED, ended.exit_code, _failed(ended)


def timed_out(timeout: timedelta) -> Text:
    limit = format_duration(timeout)
    return Text(
        en=f"The script did not end within its timeout of {limit}; raise `timeout` or train for fewer epochs.",
        zh=f"脚本未能在 timeout（{limit}）内结束，请增大 timeout 或减少训练轮数。",
    )


def other_failed(node: int, reason: Text | None) -> Text:
    en, zh = (f" {reason.en}", reason.zh) if reason else ("", "")
    return Text(en=f"Machine {node} failed.{en}", zh=f"第 {node} 号机器失败。{zh}")


def node_lost(node: int) -> Text:
    return Text(
        en=f"Machine {node} was lost, and the others cannot go on without it: run it again, or set `retries` so that "
        "this happens by itself.",
        zh=f"第 {node} 号机器丢失，其他机器无法继续：请重新运行，或设置 `retries` 以自动重试。",
    )


def exit_of_container(ending: Ending, exit_code: int) -> int:
    """What the backend is told. A script's own code must not read there as a machine that was lost."""
    return EXIT_FAILED if exit_code == EXIT_NODE_LOST and ending is not Ending.NODE_LOST else exit_code


def _failed(ended: Ended) -> Text:
    last = ended.last_lines[-1] if ended.last_lines else ""
    if ended.limit is Limit.MEMORY:
        return _KILLED_FOR_MEMORY
    if ended.signal == signal.SIGKILL:
        return Text(
            en="The script was killed, most likely because memory ran out: use a smaller batch or a larger flavor.",
            zh="脚本被强制终止，很可能是内存不足：请减小 batch 或选择更大的规格。",
        )
    if ended.signal is not None:
        name = signal.Signals(ended.signal).name if ended.signal in set(signal.Signals) else str(ended.signal)
        return Text(
            en=f"The script was ended by the signal {name}{_after(': ', last)}",
            zh=f"脚本被信号 {name} 终止{_after('：', last)}",
        )
    return Text(
        en=f"The script ended with exit code {ended.exit_code}{_after(': ', last)}",
        zh=f"脚本以退出码 {ended.exit_code} 结束{_after('：', last)}",
    )


def _after(separator: str, line: str) -> str:
    return f"{separator}{line}" if line else ""
