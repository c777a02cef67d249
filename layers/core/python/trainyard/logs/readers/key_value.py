"""Lines that a script prints itself: `epoch 3 | val accuracy: 0.95`, `loss=0.3`, `{'accuracy': np.float64(0.97)}`.

People write anything before a colon, so a name counts only when it is made of the words that metrics are called by.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from trainyard.logs.readers.contract import Form, MetricReader, Row
from trainyard.model.metric import Parameter

_NUMBER = rb"[-+]?(?:\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|(?i:nan|inf(?:inity)?))"
# A name's end, a separator and a number; the rest of the line is looked at only where this is found. Digits alone are a
# time of day far more often than a name; a letter before them makes one (f1, top5, p@10, mAP50, 50-95).
_BEHIND = rb"(?:(?<=[A-Za-z_)\]\"' ].)|(?<=[A-Za-z@_-]\d.)|(?<=[pP@-]\d\d.))"
_AHEAD = rb" {0,4}\[?(?:[A-Za-z][\w.]{0,20}\()?[-+]?(?:[\d.]|[nN][aA][nN]|[iI][nN][fF])[^\n]*"
_COLON = re.compile(rb":" + _BEHIND + _AHEAD)
_EQUALS = re.compile(rb"=" + _BEHIND + _AHEAD)
_VALUE = re.compile(rb"[:=] {0,4}\[?(?:[A-Za-z][\w.]{0,20}\()?(" + _NUMBER + rb")(?:( ?%)|/(\d+)\b)?(?![\w:/]|\.\d)")
_NOT_IN_NAME = re.compile(rb"[^\w ./@-]")
_LONGEST_NAME = 60
_EPOCH = re.compile(rb"(?<!per )(?i:\bepoch)[\"']?[\s:=#\[(]{0,6}(\d+(?:\.\d+)?)")
_STEP = re.compile(rb"(?i:\b(?:global_step|step|iteration|iter|batch))[\"']?[\s:=#\[(]{0,6}(\d+)")
# tqdm's bar: how far it has come, in steps
_BAR = re.compile(rb"%\|[^|\n]{0,500}\| *(\d+)/\d+ \[")
# Where the line is in the training, before a name: the only words that differ from line to line.
_COUNTER = re.compile(rb"(?i:\b(?:epoch|global_step|step|iteration|iter|batch))[\s:=#\[(]{1,6}[\d./]+")
_LONGEST_LINE = 2000

# fmt: off
_METRICS = frozenset(
    (
        "loss", "acc", "accuracy", "error", "err", "precision", "recall", "f1", "auc", "auroc", "map", "map50",
        "ap", "iou", "miou", "dice", "bleu", "rouge", "perplexity", "ppl", "mse", "mae", "rmse", "r2", "psnr",
        "ssim", "fid", "wer", "cer", "top1", "top5", "reward", "score", "kappa", "mcc", "specificity",
        "sensitivity", "lr", "throughput",
    )
)
_QUALIFIERS = frozenset(
    (
        "train", "training", "trn", "val", "valid", "validation", "eval", "evaluation", "test", "testing",
        "dev", "avg", "average", "mean", "running", "best", "top", "min", "max", "final", "macro", "micro",
        "weighted", "total", "box", "cls", "obj", "dfl", "seg", "mask", "learning", "rate", "top-1", "top-5",
        "per", "ms",
    )
)
# fmt: on
_SINGLE = {"learning_rate": "learning_rate", "lr": "learning_rate"}
# What is a part of a whole when it is printed with it.
_SHARES = ("acc", "accuracy", "precision", "recall", "top1", "top5")
_NEVER_MEASURED = {"batch_size", "momentum", "weight_decay", "dropout"}
_PARAMETERS = {
    "batch_size": "batch_size", "batchsize": "batch_size", "bs": "batch_size",
    "lr": "learning_rate", "learning_rate": "learning_rate", "momentum": "momentum",
    "weight_decay": "weight_decay", "dropout": "dropout", "seed": "seed",
}  # fmt: skip


class KeyValueReader(MetricReader):
    name = "key_value"
    fallback = True

    def forms(self) -> Sequence[Form]:
        return (Form(b":", _COLON, _read), Form(b"=", _EQUALS, _read))


def _read(match: re.Match[bytes]) -> Row | None:
    text = match.string
    start = text.rfind(b"\n", max(0, match.start() - _LONGEST_LINE), match.start()) + 1
    if start == 0:
        return None
    return row_of_line(text[start : min(match.end(), start + _LONGEST_LINE)])


def row_of_line(line: bytes) -> Row | None:
    """What a line printed by hand says, or None.

    A percentage becomes a fraction (`97.5 %` -> 0.975). Hyperparameters on a line without any metric describe the
    training that follows.
    """
    values: dict[str, float] = {}
    parameters: dict[str, Parameter] = {}
    hints: dict[str, Parameter] = {}
    behind = 0
    for match in _VALUE.finditer(line):
        before = line[max(behind, match.start() - _LONGEST_NAME) : match.start()]
        behind = match.end()
        name, parameter, hint = _meaning(_COUNTER.split(before)[-1])
        number, percent, of = match.groups()
        if of is not None:  # `Accuracy: 9906/10000` is one; of anything else it says how far it has come
            if name and name.endswith(_SHARES) and int(of):
                values[name] = float(number) / int(of)
            continue
        if name:
            values[name] = float(number) / (100 if percent else 1)
        if parameter:
            parameters[parameter] = _parameter(number)
        elif hint:
            hints[hint] = _parameter(number)
    if parameters and not values.keys() - {"learning_rate"}:
        parameters = hints | parameters
    if parameters and not values.keys() - {"learning_rate"}:
        return Row({}, parameters=parameters)
    if not values:
        return None
    bar = _BAR.search(line) if b"%|" in line else None
    epoch, step = _EPOCH.search(line), bar or _STEP.search(line)
    return Row(values, float(epoch[1]) if epoch else None, int(step[1]) if step else None, redrawn=bar is not None)


@lru_cache(4096)
def _meaning(before: bytes) -> tuple[str | None, str | None, str | None]:
    """Which metric the words before a separator name, and which hyperparameter; and which one they may name.

    A script prints the same ones again. `Training with batch size: 32, lr: 0.1` states both; `with lr: 0.1` alone may
    be what every epoch says.
    """
    words = _label(before).split()
    ends = ["_".join(words[-count:]) for count in (2, 1)]
    at_end = next((_PARAMETERS[end] for end in ends if end in _PARAMETERS), None)
    whole = _PARAMETERS.get("_".join(words)) or (at_end if at_end in _NEVER_MEASURED else None)
    return _metric_name(" ".join(words)), whole, at_end


def _label(before: bytes) -> str:
    """The words right before a separator: `, 'val accuracy'` -> `val accuracy`, `| Loss (avg)` -> `loss`."""
    before = before.rstrip(b" \"'")
    if before.endswith(b")"):
        before = before[: max(before.rfind(b"("), 0)].rstrip()
    return " ".join(_NOT_IN_NAME.split(before)[-1].decode("ascii", "replace").lower().split())


def _metric_name(label: str) -> str | None:
    """The words at the end of `label` that name a metric, joined by `_`; None when its last word is not one."""
    words: list[str] = []
    for word in reversed(label.replace("/", " ").split()):
        parts = word.split("_")
        if not all(part in _METRICS or part in _QUALIFIERS or part.isdigit() for part in parts):
            break
        words.insert(0, word)
    while words and words[0].isdigit():  # `step 10 loss`: the number of the step
        words.pop(0)
    name = "_".join(words)
    parts = name.split("_")
    if name in _SINGLE or parts[-1] == "lr":
        return _SINGLE.get(name, name)
    return name if any(part in _METRICS for part in parts) else None


def _parameter(number: bytes) -> Parameter:
    return int(number) if number.isdigit() else float(number)
