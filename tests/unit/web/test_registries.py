"""Logins of a project to registries of images: kept, used by its own jobs alone, and never shown again."""

from __future__ import annotations

from typing import Any

import pytest
from builders import a_run
from unit.web.conftest import Send

from trainyard.intake.registry_logins import MOST
from trainyard.intake.removal import _forget_secrets
from trainyard.model.image import PinnedImage
from trainyard.model.registry_login import MAX_PASSWORD, RegistryCredentials
from trainyard.model.request import RunRequest
from trainyard.model.run import RunState
from trainyard.store import State, layout
from trainyard.store.access import token_digest
from trainyard.store.registry_logins import registry_credentials, registry_login_name

PASSWORD = "p4ss word:of-theirs"
LOGIN = {"username": "robot$team", "password": PASSWORD}
JOB = "tyj_" + "a" * 43


def keep(send: Send, project: str, registry: str = "ghcr.io", login: Any = LOGIN, **more: Any) -> Any:
    return send("PUT", f"/v1/projects/{project}/registries/{registry}", login, **more)


def kept(state: State, project: str, registry: str) -> RegistryCredentials | None:
    return registry_credentials(state.secrets, state.table.repository(project), registry)


def test_a_login_is_kept_replaced_and_removed(send: Send, web_state: State, project: str) -> None:
    reply = keep(send, project)
    assert reply.status == 200, reply.text
    assert (reply.json["registry"], reply.json["username"], reply.json["created_by"]) == (
        "ghcr.io",
        "robot$team",
        "ada",
    )
    assert kept(web_state, project, "ghcr.io") == RegistryCredentials(username="robot$team", password=PASSWORD)
    other = {"username": "robot", "password": "new", "token_host": "Gitlab.example:8443"}
    assert keep(send, project, "Registry.example%3A5000", other).status == 200
    assert keep(send, project, "ghcr.io", {**LOGIN, "password": "newer"}).status == 200
    listed = send("GET", f"/v1/projects/{project}/registries").json["registries"]
    assert [(one["registry"], one["token_host"]) for one in listed] == [
        ("registry.example:5000", "gitlab.example:8443"), ("ghcr.io", ""),
    ]  # fmt: skip
    found = kept(web_state, project, "ghcr.io")
    assert found is not None
    assert found.password == "newer"
    assert send("DELETE", f"/v1/projects/{project}/registries/registry.example:5000").status == 204
    assert kept(web_state, project, "registry.example:5000") is None
    assert web_state.secrets.get(registry_login_name(project, "registry.example:5000")) is None
    assert send("DELETE", f"/v1/projects/{project}/registries/registry.example:5000").status == 404


def test_the_password_is_in_no_answer_and_no_row(send: Send, web_state: State, project: str) -> None:
    answers = [keep(send, project).text]
    for path in (f"/v1/projects/{project}/registries", f"/v1/projects/{project}", "/v1/projects"):
        answers.append(send("GET", path).text)
    answers.append(keep(send, project, login={**LOGIN, "username": "a:b"}).text)
    answers.append(keep(send, project, login={**LOGIN, "password": PASSWORD + "\n"}).text)
    answers.append(keep(send, project, "other.example").text)
    row = web_state.table.repository(project)
    assert row is not None
    assert not any(PASSWORD in text for text in (*answers, row.model_dump_json()))
    assert "robot$team" not in send("GET", f"/v1/projects/{project}").text


@pytest.mark.parametrize(
    ("registry", "login", "field"),
    [
        ("quay.io", LOGIN, "registry"),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com", LOGIN, "registry"),
        ("team", LOGIN, "registry"),
        ("ghcr.io", {**LOGIN, "username": "a:b"}, "username"),
        ("ghcr.io", {**LOGIN, "username": ""}, "username"),
        ("ghcr.io", {**LOGIN, "password": "a\nb"}, "password"),
        ("ghcr.io", {**LOGIN, "password": "x" * (MAX_PASSWORD + 1)}, "password"),
        ("ghcr.io", {**LOGIN, "token_host": "https://x.example"}, "token_host"),
        ("ghcr.io", {**LOGIN, "token_host": "user@x.example"}, "token_host"),
    ],
)
def test_what_is_no_login(send: Send, project: str, registry: str, login: Any, field: str) -> None:
    reply = keep(send, project, registry, login)
    assert reply.status == 422, reply.text
    assert field in reply.text
    assert send("GET", f"/v1/projects/{project}/registries").json["registries"] == []


def test_the_longest_password_fits_among_the_secrets(send: Send, web_state: State, project: str) -> None:
    login = {"username": "u" * 255, "password": "x" * MAX_PASSWORD, "token_host": ".".join(["h" * 60] * 4)}
    # Each of these takes two characters of the secret.
    assert keep(send, project, login={**login, "password": '"' * MAX_PASSWORD}).status == 422
    assert keep(send, project, login=login).status == 200
    stored = web_state.secrets.get(registry_login_name(project, "ghcr.io"))
    assert stored is not None
    assert len(stored) <= 4096, "a parameter of SSM's standard tier"


def test_there_is_an_end_of_them(send: Send, web_state: State, project: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainyard.intake.registry_logins._check_usable", lambda _: None)
    for number in range(MOST):
        assert keep(send, project, f"r{number}.example").status == 200
    assert keep(send, project, "r0.example").status == 200
    reply = keep(send, project, "one-more.example")
    assert (reply.status, reply.json["code"]) == (409, "too_many_registries")
    assert web_state.secrets.get(registry_login_name(project, "one-more.example")) is None


def test_a_removed_project_leaves_no_password(send: Send, web_state: State, project: str) -> None:
    keep(send, project)
    row = web_state.table.repository(project)
    assert row is not None
    _forget_secrets(web_state, row)
    assert web_state.secrets.get(registry_login_name(project, "ghcr.io")) is None


def test_only_projects_have_them(send: Send, web_state: State) -> None:
    send("POST", "/v1/repositories", {"name": "ada/digits", "kind": "dataset"})
    assert keep(send, "ada/digits").status == 422


def test_a_job_gets_what_its_own_image_needs(send: Send, web_state: State, project: str) -> None:
    keep(send, project)
    digest = "sha256:" + "0" * 64
    for run_id, registry in (("run-1", "ghcr.io"), ("run-2", "registry.example:5000"), ("run-3", "")):
        run = a_run(run_id, project=project, state=RunState.RUNNING, job_tokens=[token_digest(JOB + run_id)])
        web_state.table.create_run(run)
        image = (
            PinnedImage(reference=f"{registry}/team/a:v1@{digest}", manifest=digest, layers=[]) if registry else None
        )
        request = RunRequest(
            run_id=run_id, name="x", project=project, commit="a" * 40, spec=run.spec, code_key="k", image=image
        )
        web_state.objects.put(layout.request_key(run_id), request.model_dump_json().encode())

    def asked(run_id: str, token: str) -> Any:
        return send("POST", f"/v1/runs/{run_id}/registry-login", token=token)

    given = asked("run-1", JOB + "run-1")
    assert given.json["login"] == {"username": "robot$team", "password": PASSWORD, "token_host": ""}
    assert given.headers["cache-control"] == "no-store"
    assert asked("run-2", JOB + "run-2").json == asked("run-3", JOB + "run-3").json == {"login": None}
    for token in (JOB + "run-2", "ada", "operator", "reader"):
        assert asked("run-1", token).status == 401
    web_state.table.change_run("run-1", lambda known: known.model_copy(update={"state": RunState.SUCCEEDED}))
    assert asked("run-1", JOB + "run-1").status == 401
