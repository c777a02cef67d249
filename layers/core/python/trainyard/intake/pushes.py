"""A push that somebody told of is stored once, however often and by whomever it is told."""

from __future__ import annotations

from datetime import datetime

from trainyard.hosts.contract import PushedRef
from trainyard.model.ids import push_id
from trainyard.model.ref import Move, Ref
from trainyard.model.repository import Push
from trainyard.store import State, layout
from trainyard.store.table import TooManyConflictsError

_TRIES = 8


def record_push(state: State, repository: str, pushed: PushedRef, evidence: bytes, now: datetime) -> tuple[str, bool]:
    """The push's id, and whether it was new. `evidence` is what arrived: it is stored before the row that speaks."""
    for _ in range(_TRIES):
        ref = state.table.ref(repository, pushed.ref) or Ref(repository=repository, name=pushed.ref)
        known = ref.known(pushed.before, pushed.after, pushed.delivery)
        if known is not None:
            return known.push, False
        push = _push(ref, pushed, now)
        state.objects.put(layout.delivery_key(push.id), evidence, "application/json", if_absent=True)
        move = Move(push=push.id, before=push.before, commit=push.commit, delivery=push.delivery)
        if state.table.create_push(push, ref.moved(move)):
            return push.id, True
    raise TooManyConflictsError(f"{repository} {pushed.ref}")


def _push(ref: Ref, pushed: PushedRef, now: datetime) -> Push:
    delivery = pushed.delivery[:200]
    return Push(
        id=push_id(ref.repository, ref.name, pushed.after, delivery, ref.version),
        repository=ref.repository,
        ref=ref.name,
        commit=pushed.after,
        before=pushed.before,
        pusher=pushed.pusher,
        delivery=delivery,
        received_at=now,
    )
