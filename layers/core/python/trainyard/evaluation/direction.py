"""Whether a higher or a lower value of a metric is better, decided by its name alone."""

from __future__ import annotations

import re

from trainyard.model.evaluation import Direction

# `top1_error` and `score_loss`: these words decide whatever else is in the name.
_ALWAYS_LOWER = re.compile(r"loss|error|\berr\b")
_LOWER = re.compile(
    r"perplexity|\bppl\b|\bmse\b|\bmae\b|rmse|\bfid\b|\bwer\b|\bcer\b|time|latency|runtime|memory|divergence|\bnll\b"
)
_HIGHER = re.compile(
    r"acc|precision|recall|\bf1|auc|\bmap|iou|dice|bleu|rouge|\br2\b|psnr|ssim|top.?\d|reward|score|kappa|mcc|specificity"
    r"|sensitivity|throughput|per_second|samples_s|\bap\b|fps"
)


def direction_of(metric: str) -> Direction:
    """`val_accuracy` -> higher, `train_loss` -> lower, `learning_rate` -> unknown."""
    name = metric.lower()
    words = re.sub(r"[_\W]+", " ", name)
    if _ALWAYS_LOWER.search(words):
        return Direction.LOWER
    if _HIGHER.search(name) or _HIGHER.search(words):
        return Direction.HIGHER
    if _LOWER.search(name) or _LOWER.search(words):
        return Direction.LOWER
    return Direction.UNKNOWN
