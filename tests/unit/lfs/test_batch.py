from __future__ import annotations

import base64
import hashlib
import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.githost.little_stack import make_state

from trainyard.lfs.batch import handle_lfs
from trainyard.lfs.quota import Quota
from trainyard.model.repository import Repository, RepositoryKind, Scope, Visibility
from trainyard.store import State
from trainyard.store.access import issue_token
from trainyard.store.layout import content_key

CONTENT = b"weights"
OID = hashlib.sha256(CONTENT).hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()


@pytest.fixture(scope="module")
def state(aws: str) -> State:
    """Ada's public and private model, and her project."""
    made = make_state(aws, f"t{uuid.uuid4().hex[:12]}")
    for name, kind, visibility in (
        ("ada/open", RepositoryKind.MODEL, Visibility.PUBLIC),
        ("ada/secret", RepositoryKind.MODEL, Visibility.PRIVATE),
        ("ada/quota", RepositoryKind.DATASET, Visibility.PRIVATE),
        ("ada/project", RepositoryKind.PROJECT, Visibility.PUBLIC),
    ):
        made.table.create_repository(
            Repository(
                full_name=name,
                kind=kind,
                host="github",
                clone_url=f"https://git.example.org/{name}.git",
                owner="ada",
                visibility=visibility,
                created_at=datetime.now(UTC),
            )
        )
    return made


@pytest.fixture(scope="module")
def ada(state: State) -> str:
    return issue_token(state.table, "ada", [Scope.READ, Scope.WRITE])[0]


@pytest.fixture(scope="module")
def eve(state: State) -> str:
    return issue_token(state.table, "eve", [Scope.READ, Scope.WRITE])[0]


def event(repository: str, rest: str, document: Any = None, token: str = "", method: str = "POST") -> dict[str, Any]:
    body = document if isinstance(document, str) else json.dumps(document)
    return {
        "rawPath": f"/{repository}.git/info/lfs/{rest}",
        "rawQueryString": "",
        "headers": {"authorization": f"Bearer {token}"} if token else {},
        "requestContext": {"http": {"method": method}},
        "body": body,
        "isBase64Encoded": False,
    }


def ask(state: State, repository: str, token: str = "", quota: int = 0, **document: Any) -> tuple[int, Any]:
    batch = {"operation": "download", "objects": [{"oid": OID, "size": len(CONTENT)}], **document}
    request = event(repository, "objects/batch", batch, token)
    answer = handle_lfs(request, state, Quota(state.objects, quota))
    assert answer["headers"]["Content-Type"] == "application/vnd.git-lfs+json"
    return answer["statusCode"], json.loads(answer["body"])


def test_an_upload_is_an_address_for_these_bytes_alone(state: State, ada: str) -> None:
    status, answer = ask(state, "ada/secret", ada, operation="upload", objects=[{"oid": OTHER, "size": 5}])
    assert status == 200
    [entry] = answer["objects"]
    action = entry["actions"]["upload"]
    assert entry["authenticated"] is True
    assert content_key("ada/secret", OTHER) in action["href"]
    assert action["header"]["x-amz-checksum-sha256"] == base64.b64encode(bytes.fromhex(OTHER)).decode()
    assert 0 < action["expires_in"] <= 3600
    assert "verify" not in entry["actions"]


def test_what_is_stored_needs_no_action_and_is_found_again(state: State, ada: str) -> None:
    state.objects.put(content_key("ada/open", OID), CONTENT)
    _, upload = ask(state, "ada/open", ada, operation="upload")
    assert upload["objects"] == [{"oid": OID, "size": len(CONTENT)}]
    _, download = ask(state, "ada/open")
    assert content_key("ada/open", OID) in download["objects"][0]["actions"]["download"]["href"]


def test_an_object_of_another_repository_is_not_there(state: State, ada: str) -> None:
    """Who knows an id does not own the object."""
    state.objects.put(content_key("ada/open", OID), CONTENT)
    _, answer = ask(state, "ada/secret", ada)
    assert answer["objects"][0]["error"]["code"] == 404
    _, answer = ask(state, "ada/secret", ada, operation="upload")
    assert "upload" in answer["objects"][0]["actions"]


@pytest.mark.parametrize(
    ("oid", "size"), [("../../etc/passwd", 5), (OID.upper(), 7), (OID[:-1], 7), ("", 0), (OTHER, (5 << 30) + 1)]
)
def test_a_bad_object_is_an_error_of_its_own(state: State, ada: str, oid: str, size: int) -> None:
    objects = [{"oid": oid, "size": size}, {"oid": "f" * 64, "size": 5 << 30}]
    status, answer = ask(state, "ada/secret", ada, operation="upload", objects=objects)
    assert status == 200
    assert answer["objects"][0]["error"]["code"] == 422
    assert "upload" in answer["objects"][1]["actions"]


def test_a_pointer_with_a_wrong_size_is_told_so(state: State, ada: str) -> None:
    state.objects.put(content_key("ada/open", OID), CONTENT)
    for operation in ("upload", "download"):
        wrong = [{"oid": OID, "size": len(CONTENT) + 1}]
        _, answer = ask(state, "ada/open", ada, operation=operation, objects=wrong)
        assert answer["objects"][0]["error"]["code"] == 422


@pytest.mark.parametrize(
    ("repository", "who", "operation", "status"),
    [
        ("ada/open", "", "download", 200),
        ("ada/open", "", "upload", 401),
        ("ada/open", "eve", "upload", 403),
        ("ada/secret", "", "download", 401),
        ("ada/secret", "eve", "download", 404),
        ("ada/none", "", "download", 401),
        ("ada/none", "ada", "download", 404),
        ("ada/project", "ada", "upload", 422),
        ("ada/project", "ada", "download", 422),
    ],
)
def test_who_may_what(state: State, ada: str, eve: str, repository: str, who: str, operation: str, status: int) -> None:
    token = {"ada": ada, "eve": eve, "": ""}[who]
    assert ask(state, repository, token, operation=operation)[0] == status


def test_git_lfs_is_asked_to_sign_in(state: State) -> None:
    for token in ("", "ty_wrong"):
        request = event("ada/secret", "objects/batch", {"operation": "download", "objects": []}, token)
        answer = handle_lfs(request, state, Quota(state.objects, 0))
        assert answer["statusCode"] == 401
        assert answer["headers"]["LFS-Authenticate"].startswith("Basic ")


def test_a_token_that_may_only_read_cannot_upload(state: State) -> None:
    reader, _ = issue_token(state.table, "ada", [Scope.READ])
    assert ask(state, "ada/secret", reader)[0] == 200
    assert ask(state, "ada/secret", reader, operation="upload")[0] == 403


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"transfers": ["tus"]}, 422),
        ({"hash_algo": "sha512"}, 409),
        ({"operation": "steal"}, 422),
        ({"objects": [{"oid": OID}]}, 422),
        ({"objects": [{"oid": OID, "size": -1}]}, 422),
        ({"objects": [{"oid": f"{i:064x}", "size": 1} for i in range(1001)]}, 413),
        ({"objects": [], "padding": "x" * (1 << 20)}, 413),
    ],
)
def test_what_is_not_spoken_here(state: State, ada: str, document: dict[str, Any], status: int) -> None:
    assert ask(state, "ada/secret", ada, **document)[0] == status


def test_hundreds_of_objects_in_one_batch_keep_their_order(state: State, ada: str) -> None:
    stored = [hashlib.sha256(bytes([i])).hexdigest() for i in range(5)]
    for number, oid in enumerate(stored):
        state.objects.put(content_key("ada/secret", oid), bytes([number]))
    wanted = [f"{i:064x}" for i in range(295)] + stored
    _, answer = ask(state, "ada/secret", ada, objects=[{"oid": oid, "size": 1} for oid in wanted])
    assert [entry["oid"] for entry in answer["objects"]] == wanted
    assert ["actions" in entry for entry in answer["objects"]] == [False] * 295 + [True] * 5


def test_the_quota_counts_what_is_stored_and_what_was_promised(state: State, ada: str) -> None:
    state.objects.put(content_key("ada/quota", OID), b"x" * 60)
    quota = Quota(state.objects, 100)

    def push(oid: str, size: int) -> tuple[int, Any]:
        batch = {"operation": "upload", "objects": [{"oid": oid, "size": size}]}
        answer = handle_lfs(event("ada/quota", "objects/batch", batch, ada), state, quota)
        return answer["statusCode"], json.loads(answer["body"])

    assert push("a" * 64, 30)[0] == 200
    status, answer = push("b" * 64, 11)
    assert status == 507
    assert "ada/quota" in answer["message"]
    assert "上限" in answer["message"]
    assert push(OID, 60)[0] == 200, "what is stored needs no room"
    assert ask(state, "ada/quota", ada, quota=10)[0] == 200, "a full repository can still be read"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.one_of(
        st.text(max_size=60),
        st.sampled_from(["objects/batch", "locks", "locks/verify", "locks/x/unlock", "locks/../unlock"]).map(
            lambda rest: f"/ada/open.git/info/lfs/{rest}"
        ),
    ),
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    body=st.one_of(
        st.text(max_size=60),
        st.recursive(st.none() | st.integers() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3)).map(
            lambda value: json.dumps({"operation": "download", "objects": value, "path": value, "cursor": value})
        ),
    ),
    encoded=st.booleans(),
    query=st.text(alphabet="limtcursopahd=&1%0", max_size=20),
    authorization=st.one_of(st.just("own"), st.text(max_size=30)),
)
def test_nothing_hostile_is_an_error_of_ours(
    state: State, ada: str, path: str, method: str, body: str, encoded: bool, query: str, authorization: str
) -> None:
    hostile = {
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"Authorization": f"Bearer {ada}" if authorization == "own" else authorization},
        "requestContext": {"http": {"method": method}},
        "body": body,
        "isBase64Encoded": encoded,
    }
    answer = handle_lfs(hostile, state, Quota(state.objects, 0))
    assert 200 <= answer["statusCode"] < 500
    json.loads(answer["body"])
