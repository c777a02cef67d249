"""Which pushes start a run."""

from __future__ import annotations

from trainyard.model.spec import Triggers
from trainyard.validation.patterns import any_matches

_BRANCH = "refs/heads/"
_TAG = "refs/tags/"


def started_by(on: Triggers, ref: str, changed: list[str] | None) -> bool:
    """Whether a push to `ref` that touched the paths `changed` starts the run.

    `changed` None: it is not known what it touched, so every path counts. Where neither branches nor tags are named,
    every branch starts it and no tag does; `paths` do not hold for tags, which move no code.
    """
    push = on.push
    if push is None:
        return False
    if ref.startswith(_TAG):
        return push.tags is not None and any_matches(push.tags, ref.removeprefix(_TAG))
    if push.branches is None:
        if push.tags is not None:
            return False
    elif not any_matches(push.branches, ref.removeprefix(_BRANCH)):
        return False
    if push.paths is None or changed is None:
        return True
    return any(any_matches(push.paths, path) for path in changed)
