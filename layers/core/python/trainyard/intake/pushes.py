"""A push that somebody told of is stored once, however often and by whomever it is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from trainyard.hosts.contract import PushedRef
from trainyard.model.ids import push_id
from trainyard.model.ref import Move, Ref
from trainyard.model.repository import Push
from trainyard.store import State, layout
from trainyard.store.table import TooManyConflictsError

_TRIES = 8
_MAX_DELIVERY = 200


def record_push(state: State, repository: str, pushed: PushedRef, evidence: bytes, now: datetime) -> tuple[str, bool]:
    """The push's id, and whether it was new. `evidence` is what arrived: it is stored before the row that speaks."""
    for _ in range(_TRIES):
        ref = _ref(state, repository, pushed)
        delivery = pushed.delivery[:_MAX_DELIVERY]
        known = ref.known(pushed.before, pushed.after, delivery)
        if known is None:
            push = _push(ref, pushed, now)
            if _record(state, ref, push, evidence, found=False):
                return push.id, True
        elif not known.awaits_webhook or state.table.put_ref(ref.claimed(known, pushed.before, delivery)):
            return known.push, False
    raise TooManyConflictsError(f"{repository} {pushed.ref}")


def record_found_push(
    state: State, repository: str, pushed: PushedRef, evidence: bytes, now: datetime, is_there: Callable[[], bool]
) -> str | None:
    """The id of the push that a sweep found; None where it was told of.

    `is_there` looks whether the ref still is where the sweep saw it: a webhook may have told meanwhile that it has
    gone on. What is told after that look, the write refuses.
    """
    for _ in range(_TRIES):
        ref = _ref(state, repository, pushed)
        if ref.may_be_at(pushed.after) or not is_there():
            return None
        push = _push(ref, pushed, now)
        if _record(state, ref, push, evidence, found=True):
            return push.id
    raise TooManyConflictsError(f"{repository} {pushed.ref}")


def record_lost_push(
    state: State, push_id: str, repository: str, pushed: PushedRef, received_at: datetime, *, found: bool
) -> bool:
    """Make the row of a push again that was known as `push_id`; False if this is another push, or it is there.

    The ref may remember it although its own row is gone: the two are written together, but not kept together.
    `found`: by a sweep.
    """
    ref = _ref(state, repository, pushed)
    push = _push(ref, pushed, received_at)
    if any(move.push == push_id for move in ref.moves):
        return state.table.create_lost_push(push.model_copy(update={"id": push_id}))
    return push.id == push_id and state.table.create_push(push, ref.moved(_move(push, found=found)))


def _ref(state: State, repository: str, pushed: PushedRef) -> Ref:
    return state.table.ref(repository, pushed.ref) or Ref(repository=repository, name=pushed.ref)


def _record(state: State, ref: Ref, push: Push, evidence: bytes, *, found: bool) -> bool:
    """False if somebody else was quicker."""
    state.objects.put(layout.delivery_key(push.id), evidence, "application/json", if_absent=True)
    return state.table.create_push(push, ref.moved(_move(push, found=found)))


def _move(push: Push, *, found: bool) -> Move:
    return Move(push=push.id, before=push.before, commit=push.commit, delivery=push.delivery, found=found)


def _push(ref: Ref, pushed: PushedRef, now: datetime) -> Push:
    delivery = pushed.delivery[:_MAX_DELIVERY]
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
