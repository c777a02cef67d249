"""Pushes of which only what arrived is left: their rows were lost, and are made again from it."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection
from datetime import datetime
from typing import Any

from trainyard.hosts.contract import Pushed, PushedRef
from trainyard.hosts.registry import host
from trainyard.intake.pushes import record_lost_push
from trainyard.store import State, layout
from trainyard.store.objects import StoredObject
from trainyard.store.table import push_key


def receive_lost_pushes(
    state: State, since: datetime, until: datetime, rows: Collection[str], *, write: bool = True
) -> int:
    """Record what was delivered in that time and has no row, in the order in which it came; how many pushes that were.

    `rows`: keys of rows that are known, removed ones too: those pushes are not lost. Without `write` nothing is
    recorded, and all that have no row are counted.
    """
    kept = [
        one
        for one in state.objects.find(layout.DELIVERIES)
        if since <= one.modified <= until and push_key(layout.delivered_push(one.key)) not in rows
    ]
    kept.sort(key=lambda one: one.modified)
    if not write:
        return sum(state.table.push(layout.delivered_push(one.key)) is None for one in kept)
    return sum(receive_again(state, one) for one in kept)


def receive_again(state: State, kept: StoredObject) -> bool:
    """Record the push that a kept delivery told of, if its row is not there; whether there was something to do.

    `kept`: the delivery, under `layout.delivery_key`. It had been verified before it was kept, so it is not again.
    What belongs to a project that is not connected any more stays as it is.
    """
    push_id = layout.delivered_push(kept.key)
    if state.table.push(push_id) is not None:
        return False
    evidence = json.loads(state.objects.get(kept.key))
    repository = evidence["repository"]
    if state.table.repository(repository) is None:
        return False
    received_at = datetime.fromisoformat(evidence["received_at"]) if "received_at" in evidence else kept.modified
    found = "body" not in evidence  # no webhook told of it, a sweep found it
    refs = [_found_ref(evidence)] if found else _told_refs(evidence)
    return any(record_lost_push(state, push_id, repository, pushed, received_at, found=found) for pushed in refs)


def _found_ref(evidence: dict[str, Any]) -> PushedRef:
    return PushedRef(evidence["ref"], evidence["before"], evidence["after"], pusher="", delivery="")


def _told_refs(evidence: dict[str, Any]) -> list[PushedRef]:
    delivery = host(evidence["host"]).read(evidence["headers"], base64.b64decode(evidence["body"]))
    return delivery.refs if isinstance(delivery, Pushed) else []
