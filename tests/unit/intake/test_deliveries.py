from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from unit.intake.conftest import NOW, SECRET, make_repository

from trainyard.hosts.contract import PushedRef
from trainyard.intake.deliveries import MAX_BODY_BYTES, Receipt, receive_delivery
from trainyard.intake.pushes import record_found_push
from trainyard.model.errors import InvalidInput, NotFound, TooLarge, Unauthenticated
from trainyard.model.repository import Repository, RepositoryKind
from trainyard.store import State, layout
from trainyard.store.secrets import Secrets, webhook_secret_name

A, B = "a" * 40, "b" * 40


def push(ref: str = "refs/heads/main", after: str = A, before: str = B) -> bytes:
    return json.dumps({"ref": ref, "before": before, "after": after, "pusher": {"name": "ada"}}).encode()


def headers(body: bytes, event: str = "push", secret: str = SECRET, delivery: str = "d-1") -> dict[str, str]:
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"x-github-event": event, "x-github-delivery": delivery, "x-hub-signature-256": f"sha256={signature}"}


def deliver(state: State, body: bytes, event: str = "push", name: str = "ada/lenet5", delivery: str = "d-1") -> Receipt:
    return receive_delivery(state, "github", name, headers(body, event, delivery=delivery), body, NOW)


def test_a_push_is_stored_as_a_row_and_as_it_arrived(state: State, project: Repository) -> None:
    body = push()
    receipt = deliver(state, body)
    assert receipt.kind == "push"
    stored = state.table.push(receipt.pushes[0])
    assert stored is not None
    assert (stored.repository, stored.ref, stored.commit) == ("ada/lenet5", "refs/heads/main", A)
    assert (stored.before, stored.pusher, stored.delivery, stored.received_at) == (B, "ada", "d-1", NOW)
    assert stored.checked_at is None
    evidence = json.loads(state.objects.get(layout.delivery_key(stored.id)))
    assert base64.b64decode(evidence["body"]) == body
    assert evidence["headers"] == {"x-github-event": "push", "x-github-delivery": "d-1"}


def test_a_repeated_delivery_changes_nothing(state: State, project: Repository) -> None:
    first = deliver(state, push())
    before = state.table.push(first.pushes[0])
    second = receive_delivery(state, "github", "ada/lenet5", headers(push()), push(), NOW.replace(year=2027))
    assert second == Receipt("repeated", first.pushes)
    assert state.table.push(first.pushes[0]) == before


def test_a_delivery_that_died_half_way_is_completed_by_the_next(state: State, project: Repository) -> None:
    receipt = deliver(state, push())
    for row in (f"PUSH#{receipt.pushes[0]}", "REF#ada/lenet5#refs/heads/main"):
        state.table._dynamodb.delete_item(TableName="trainyard", Key={"pk": {"S": row}})
    assert deliver(state, push()) == receipt


def test_a_push_back_to_an_earlier_commit_is_a_push(state: State, project: Repository) -> None:
    there = deliver(state, push(after=B, before=A), delivery="d-1")
    back = deliver(state, push(after=A, before=B), delivery="d-2")
    again = deliver(state, push(after=B, before=A), delivery="d-3")
    assert [there.kind, back.kind, again.kind] == ["push"] * 3
    assert len({*there.pushes, *back.pushes, *again.pushes}) == 3
    # Each of them delivered once more, in any order, is the push that it was.
    assert deliver(state, push(after=A, before=B), delivery="d-2") == Receipt("repeated", back.pushes)
    assert deliver(state, push(after=B, before=A), delivery="d-1") == Receipt("repeated", there.pushes)
    assert deliver(state, push(after=B, before=A), delivery="d-3") == Receipt("repeated", again.pushes)


@pytest.mark.parametrize("swept_first", [True, False])
def test_what_a_sweep_finds_and_a_webhook_tells_is_one_push(
    state: State, project: Repository, swept_first: bool
) -> None:
    """A sweep knows which commit a ref points to, and neither the delivery nor every commit in between."""

    def sweep() -> str | None:
        pushed = PushedRef("refs/heads/main", None, A, "", "")
        return record_found_push(state, "ada/lenet5", pushed, b"{}", NOW, lambda: True)

    if swept_first:
        found = sweep()
        assert found
        assert deliver(state, push()) == deliver(state, push()) == Receipt("repeated", [found])
    else:
        told = deliver(state, push())
        assert told.pushes
        assert sweep() is None
    assert len(state.table.pushes_of("ada/lenet5").rows) == 1


def test_ping_deletion_and_other_events_store_nothing(state: State, project: Repository) -> None:
    assert deliver(state, b"{}", "ping").kind == "ping"
    assert deliver(state, b"{}", "issues").kind == "ignored"
    assert deliver(state, push(after="0" * 40)).kind == "ignored"
    assert list(state.objects.find("deliveries/")) == []


def test_an_unsigned_delivery_is_refused_and_leaves_nothing(state: State, project: Repository) -> None:
    with pytest.raises(Unauthenticated):
        receive_delivery(state, "github", "ada/lenet5", {"x-github-event": "push"}, push(), NOW)
    with pytest.raises(Unauthenticated):
        receive_delivery(state, "github", "ada/lenet5", headers(push(), secret="no"), push(), NOW)
    assert list(state.objects.find("deliveries/")) == []
    assert state.table.pushes_of("ada/lenet5").rows == []


@pytest.mark.parametrize("name", ["ada/other", "ada", "../x", "ada/lenet5/x", "", "a" * 500 + "/b"])
def test_an_unknown_project_looks_like_a_wrong_signature(state: State, project: Repository, name: str) -> None:
    """Else anybody could ask which private projects there are."""
    with pytest.raises(Unauthenticated) as unknown:
        deliver(state, push(), name=name)
    with pytest.raises(Unauthenticated) as wrong:
        receive_delivery(state, "github", "ada/lenet5", headers(push(), secret="no"), push(), NOW)
    assert unknown.value.message == wrong.value.message


def test_an_unknown_host_is_not_found(state: State, project: Repository) -> None:
    with pytest.raises(NotFound):
        receive_delivery(state, "sourceforge", "ada/lenet5", headers(push()), push(), NOW)


def test_only_projects_take_webhooks(state: State) -> None:
    state.table.create_repository(make_repository("ada/digits", kind=RepositoryKind.DATASET))
    with pytest.raises(Unauthenticated):
        deliver(state, push(), name="ada/digits")


def test_a_project_without_a_secret_refuses_every_delivery(state: State) -> None:
    state.table.create_repository(make_repository("ada/new"))
    with pytest.raises(Unauthenticated):
        deliver(state, push(), name="ada/new")


def test_a_renewed_secret_counts_within_seconds(
    state: State, project: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_function = Secrets("/trainyard")
    deliver(state, push())
    other_function.put(webhook_secret_name("ada/lenet5"), "renewed")
    again = push(after="c" * 40)
    sent = headers(again, secret="renewed", delivery="d-2")
    with pytest.raises(Unauthenticated):
        receive_delivery(state, "github", "ada/lenet5", sent, again, NOW)
    monkeypatch.setattr("trainyard.intake.deliveries._SECRET_RENEWED_SECONDS", 0.0)
    assert receive_delivery(state, "github", "ada/lenet5", sent, again, NOW).kind == "push"
    with pytest.raises(Unauthenticated):
        receive_delivery(state, "github", "ada/lenet5", headers(again, delivery="d-3"), again, NOW)


def test_too_large(state: State, project: Repository) -> None:
    with pytest.raises(TooLarge):
        deliver(state, b" " * (MAX_BODY_BYTES + 1))


def test_a_signed_body_that_is_not_a_push_is_a_clear_error(state: State, project: Repository) -> None:
    with pytest.raises(InvalidInput):
        deliver(state, b"not json")


def test_gitees_copy_of_the_secret_in_the_body_is_not_kept(state: State) -> None:
    state.table.create_repository(make_repository("ada/g", host="gitee", clone_url="https://gitee.com/ada/g.git"))
    state.secrets.put(webhook_secret_name("ada/g"), SECRET)
    body = json.dumps({"ref": "refs/heads/main", "before": B, "after": A, "password": SECRET}).encode()
    sent = {"X-Gitee-Token": SECRET, "X-Gitee-Event": "Push Hook"}
    receipt = receive_delivery(state, "gitee", "ada/g", sent, body, NOW)
    kept = state.objects.get(layout.delivery_key(receipt.pushes[0])).decode()
    assert SECRET not in kept
    assert SECRET not in base64.b64decode(json.loads(kept)["body"]).decode()
