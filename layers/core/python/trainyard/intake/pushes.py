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


def record_lost_push(state: State, push_id: str, repository: str, pushed: PushedRef, received_at: datetime) -> bool:
    """Make the row of a push again that was known as `push_id`; False if this is another push, or it is there.

    The ref may remember it although its own row is gone: the two are written together, but not kept together.
    """
    ref = state.table.ref(repository, pushed.ref) or Ref(repository=repository, name=pushed.ref)
    known = ref.known(pushed.before, pushed.after, pushed.delivery)
    push = _push(ref, pushed, received_at)
    if known is not None:
        return known.push == push_id and state.table.create_lost_push(push.model_copy(update={"id": push_id}))
    move = Move(push=push_id, before=push.before, commit=push.commit, delivery=push.delivery)
    return push.id == push_id and state.table.create_push(push, ref.moved(move))


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
