from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from contracts.hosts.host_server import OWNER_TOKEN, host_server
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.web.conftest import Send

from trainyard.logs import viewers
from trainyard.model import lifecycle
from trainyard.model.finding import FindingCount
from trainyard.model.lifecycle import JobPhase, Observation
from trainyard.model.run import EvaluationFacet, FacetState, Job
from trainyard.model.settings import Settings
from trainyard.store import State, layout
from trainyard.store.limits import RateLimit
from trainyard.web import app
from trainyard.web.messages import MAX_ANSWER_BYTES
from trainyard.web.routes import ROUTES

SPEC = {"boot_file": "train.py", "framework": "mindspore-cpu", "flavor": "cpu", "hyperparameters": {"epochs": 3}}
FORM = {"训练名称": "lenet5", "启动文件": "train.py", "框架版本": "mindspore-cpu", "计算资源": "cpu"}
RUNS = "/v1/projects/ada/lenet5/runs"
FORM_TYPE = {"content-type": "application/x-www-form-urlencoded"}
SHA = "a" * 40


def start(send: Send, **changes: Any) -> Any:
    reply = send("POST", RUNS, {"name": "lenet5", "spec": SPEC, "ref": "main"} | changes)
    assert reply.status == 201, reply.text
    assert reply.headers["location"] == f"/v1/runs/{reply.json['id']}"
    return reply.json


def finish(state: State, run_id: str) -> None:
    run = state.table.run(run_id)
    assert run is not None
    assert run.spec is not None
    spec, at = run.spec, run.created_at
    seen = Observation(job_id="j", attempt=1, phase=JobPhase.SUCCEEDED, at=at)
    state.table.change_run(run_id, lambda known: lifecycle.admit(known, spec, SHA, FindingCount(), at))
    state.table.change_run(run_id, lambda known: lifecycle.submitted(known, Job(backend="aws_batch", id="j"), at))
    state.table.change_run(run_id, lambda known: lifecycle.observe(known, seen))


def test_a_run_from_json(send: Send, project: str) -> None:
    run = start(send)
    shown = send("GET", f"/v1/runs/{run['id']}").json
    assert shown == run
    assert (shown["state"], shown["origin"], shown["final"], shown["ref"]) == ("requested", "api", False, "main")
    assert not {"claim", "reported", "deleted_at"} & set(shown)


def test_a_run_from_the_form(send: Send, project: str) -> None:
    reply = send("POST", RUNS, urlencode(FORM), **FORM_TYPE)
    assert reply.status == 201
    assert (reply.json["origin"], reply.json["name"]) == ("form", "lenet5")
    encoded = send("POST", RUNS, urlencode(FORM).encode(), **FORM_TYPE)
    assert encoded.status == 201


def test_where_a_run_came_from_is_not_the_callers_to_say(send: Send, project: str) -> None:
    assert start(send, origin="push")["origin"] == "api"


def test_runs_page_by_page_newest_first(send: Send, project: str) -> None:
    ids = [start(send)["id"] for _ in range(3)]
    first = send("GET", RUNS, query="limit=2").json
    second = send("GET", RUNS, query=urlencode({"limit": 2, "cursor": first["next_cursor"]})).json
    assert sorted(run["id"] for run in first["runs"] + second["runs"]) == sorted(ids)
    assert second["next_cursor"] is None


@pytest.mark.parametrize("cursor", ["x", "bnVsbA", "e30", "eyJwayI6IiIsInNvcnQiOiIiLCJwcm9qZWN0IjoiYWRhL2xlbmV0NSJ9"])
def test_a_cursor_that_was_tampered_with(send: Send, project: str, cursor: str) -> None:
    assert send("GET", RUNS, query=f"cursor={cursor}").status in (200, 422)


def test_one_error_shape_in_the_callers_language(send: Send, project: str) -> None:
    english = send("POST", RUNS, {"name": "two words", "spec": SPEC | {"boot_file": "x.sh"}})
    assert english.status == 422
    assert set(english.json) == {"code", "message", "details"}
    assert english.json["code"] == "invalid_input"
    assert [fault["field"] for fault in english.json["details"]["fields"]] == ["name", "spec.boot_file"]
    assert english.json["details"]["fields"][1]["message"] == "The boot file must be a .py file."
    chinese = send("POST", RUNS, {"name": "two words", "spec": SPEC}, **{"accept-language": "zh-CN,zh;q=0.9"})
    assert chinese.json["details"]["fields"][0]["message"] == "请使用 1 到 50 个字母、数字、连字符或下划线。"


@pytest.mark.parametrize("body", ["", "[]", "nul", "{", "[" * 50_000, '{"name": "\\ud800"}', '{"\\ud800": 1}', "1" * 9999, b"\xff\xfe"])  # fmt: skip
def test_a_body_that_is_no_request(send: Send, project: str, body: Any) -> None:
    reply = send("POST", RUNS, body)
    assert reply.status == 422
    assert reply.json["message"]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_json_does_not_know_never_gets_stored(send: Send, project: str, value: str) -> None:
    body = (
        '{"name": "x", "spec": {"boot_file": "a.py", "framework": "f", "flavor": "c", "hyperparameters": {"lr": %s}}}'
    )
    assert send("POST", RUNS, body % value).status == 422
    assert send("GET", RUNS).json["runs"] == []


def test_a_figure_that_is_not_a_number_can_be_shown(send: Send, project: str, web_state: State) -> None:
    run_id = start(send)["id"]
    facet = EvaluationFacet(state=FacetState.DONE, verdict="failed", best={"loss": float("nan")})
    web_state.table.change_run(run_id, lambda known: lifecycle.evaluated(known, facet, known.updated_at))
    assert send("GET", f"/v1/runs/{run_id}").json["evaluation"]["best"] == {"loss": "NaN"}
    assert send("GET", RUNS).status == 200


def test_too_large(send: Send, project: str) -> None:
    assert send("POST", RUNS, " " * (2 << 20)).status == 413


def test_the_same_key_gives_the_same_run(send: Send, project: str) -> None:
    body = {"name": "lenet5", "spec": SPEC}
    first = send("POST", RUNS, body, **{"idempotency-key": "k"})
    assert send("POST", RUNS, body, **{"idempotency-key": "k"}).json == first.json
    other = send("POST", RUNS, {**body, "name": "other"}, **{"idempotency-key": "k"})
    assert (other.status, other.json["code"]) == (409, "idempotency_key_reused")
    assert send("POST", RUNS, body, **{"idempotency-key": "k" * 201}).status == 422


def test_who_may_read_and_command(send: Send, project: str) -> None:
    run_id = start(send)["id"]
    run = f"/v1/runs/{run_id}"
    reads = [run, f"{run}/log", f"{run}/outputs", f"{run}/metrics", f"{run}/log.gz", RUNS, "/v1/projects/ada/lenet5"]
    for path in reads:
        assert send("GET", path, token="eve").status == 404, path
        assert send("GET", path, token=None).status == 404, path
        assert send("GET", path, token="reader").status in (200, 404), path
    for method, path in (("POST", f"{run}/stop"), ("POST", f"{run}/rerun"), ("DELETE", run), ("POST", RUNS)):
        body = {"name": "x", "spec": SPEC} if path == RUNS else {}
        assert send(method, path, body, token=None).status == 401 or path.startswith(run), path
        assert send(method, path, body, token=None).status in (401, 404), path
        assert send(method, path, body, token="reader").status == 403, path
        assert send(method, path, body, token="eve").status == 404, path
    assert send("GET", run).json["state"] == "requested"


def test_a_public_project_is_read_by_all(send: Send) -> None:
    assert send("POST", "/v1/projects", {"name": "lenet5", "visibility": "public"}).status == 201
    run_id = start(send)["id"]
    assert send("GET", f"/v1/runs/{run_id}", token=None).status == 200
    assert send("GET", RUNS, token="eve").status == 200
    assert send("POST", f"/v1/runs/{run_id}/stop", {}, token="eve").status == 403


def test_a_wrong_token_is_never_taken_for_nobody(send: Send) -> None:
    reply = send("GET", "/v1/catalog", token="ty_wrong")
    assert reply.status == 401
    assert reply.headers["www-authenticate"].startswith("Basic")


def test_stop_run_again_delete(send: Send, project: str, web_state: State) -> None:
    run_id = start(send)["id"]
    assert send("DELETE", f"/v1/runs/{run_id}").status == 409
    finish(web_state, run_id)
    again = send("POST", f"/v1/runs/{run_id}/rerun", {"spec": {"hyperparameters": {"epochs": 5}}})
    assert again.status == 201
    assert (again.json["rerun_of"], again.json["spec"]["hyperparameters"]) == (run_id, {"epochs": 5})
    assert send("POST", f"/v1/runs/{again.json['id']}/stop").json["state"] == "stopped"
    assert send("DELETE", f"/v1/runs/{run_id}").status == 204
    assert send("GET", f"/v1/runs/{run_id}").status == 404
    assert [run["id"] for run in send("GET", RUNS).json["runs"]] == [again.json["id"]]


def test_what_a_run_left(send: Send, project: str, web_state: State) -> None:
    run_id = start(send)["id"]
    path = f"/v1/runs/{run_id}"
    for what in ("metrics", "evaluation", "findings"):
        assert (send("GET", f"{path}/{what}").status, send("GET", f"{path}/{what}").json["code"]) == (404, "not_yet")
    objects = web_state.objects
    objects.put(layout.metrics_key(run_id), b'{"groups": []}')
    assert send("GET", f"{path}/metrics").json == {"groups": []}
    objects.put(layout.evaluation_key(run_id), b'"' + b"x" * MAX_ANSWER_BYTES + b'"')
    assert send("GET", f"{path}/evaluation").status == 302
    for name in ("a.ckpt", "b/c 1.ckpt", "z.txt"):
        objects.put(layout.output_prefix(run_id) + name, b"12345")
    first = send("GET", f"{path}/outputs", query="limit=2").json
    assert [(one["path"], one["size"]) for one in first["outputs"]] == [("a.ckpt", 5), ("b/c 1.ckpt", 5)]
    assert "attachment" in first["outputs"][0]["address"]
    rest = send("GET", f"{path}/outputs", query=f"cursor={quote(first['next_cursor'])}").json
    assert ([one["path"] for one in rest["outputs"]], rest["next_cursor"]) == (["z.txt"], None)


def test_the_log_by_offset(send: Send, project: str, web_state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    import gzip

    monkeypatch.setattr(viewers, "KEPT_SECONDS", 0.0)

    run_id = start(send)["id"]
    path = f"/v1/runs/{run_id}/log"
    assert send("GET", path).json == {"text": "", "offset": 0, "next_offset": 0, "end": False}
    web_state.objects.put(layout.log_chunk_key(run_id, 1, 0), gzip.compress(b"epoch 1\n<script>\n"))
    page = send("GET", path, query="offset=8").json
    assert (page["text"], page["offset"], page["next_offset"]) == ("<script>\n", 8, 17)
    for query in ("offset=-1", "offset=x", "limit=1.5", "offset=²", "tail=x"):
        assert send("GET", path, query=query).status == 422, query


def test_an_answer_that_lambda_would_not_take_is_an_error(send: Send, project: str, web_state: State) -> None:
    import gzip

    run_id = start(send)["id"]
    web_state.objects.put(layout.log_chunk_key(run_id, 1, 0), gzip.compress(b'"' * (4 << 20) + b"\n"))
    assert send("GET", f"/v1/runs/{run_id}/log", query="tail=1").status == 413
    assert send("GET", f"/v1/runs/{run_id}/log", query="limit=99999999").status == 200


def test_repositories(send: Send, project: str) -> None:
    made = send("POST", "/v1/repositories", {"name": "digits", "kind": "dataset", "host_token": ""}).json
    assert made["webhook"] is None
    assert made["repository"]["clone_url"] == "http://127.0.0.1:3000/ada/digits.git"
    assert [one["full_name"] for one in send("GET", "/v1/projects").json["projects"]] == ["ada/lenet5"]
    assert len(send("GET", "/v1/repositories").json["repositories"]) == 2
    assert send("POST", "/v1/repositories", {"name": "digits"}).status == 409
    connected = send("POST", "/v1/projects", {"name": "hub", "clone_url": "https://github.com/o/hub.git"})
    assert connected.json["webhook"]["address"] == "https://api.example/hooks/github/ada/hub"
    assert "webhook" in connected.json["webhook"]["note"]
    renewed = send("POST", "/v1/projects/ada/hub/webhook-secret").json
    assert renewed["webhook"]["secret"] != connected.json["webhook"]["secret"]


def test_what_is_shared_with_one_is_listed_and_what_is_public_is_found_by_all(send: Send, project: str) -> None:
    send("POST", "/v1/repositories", {"name": "digits", "kind": "dataset", "visibility": "private"})

    def listed(path: str, query: str = "", **who: Any) -> list[str]:
        reply = send("GET", path, query=query, **who)
        assert (reply.status, reply.json["next_cursor"]) == (200, None), reply.text
        return [one["full_name"] for one in reply.json[path.removeprefix("/v1/")]]

    send("PUT", "/v1/repositories/ada/lenet5/members/eve")
    assert listed("/v1/projects", token="eve") == listed("/v1/repositories", token="eve") == ["ada/lenet5"]
    assert listed("/v1/repositories") == ["ada/digits", "ada/lenet5"]
    assert listed("/v1/repositories", "search=Digits") == ["ada/digits"]
    assert listed("/v1/repositories", "visibility=public", token=None) == []
    send("PATCH", "/v1/repositories/ada/lenet5", {"visibility": "public"})
    assert listed("/v1/repositories", "visibility=public", token=None) == ["ada/lenet5"]
    assert listed("/v1/projects", "visibility=public&search=digits", token=None) == []
    assert send("GET", "/v1/repositories", query="visibility=private").status == 422
    assert send("GET", "/v1/repositories", token=None).status == 401


def test_who_else_is_in_a_project_and_what_it_may_spend_is_for_its_own_people(send: Send, project: str) -> None:
    place, inside = f"/v1/projects/{project}", (["bob"], {"per_run_usd": 5.0, "per_month_usd": None})
    send("PUT", f"/v1/repositories/{project}/members/bob")
    send("PUT", f"{place}/budget", {"per_run_usd": 5})
    send("PATCH", place, {"visibility": "public"})

    def seen(token: str | None, path: str = place, query: str = "") -> tuple[Any, Any]:
        told = send("GET", path, query=query, token=token).json
        one = told["projects"][0] if "projects" in told else told
        return one["members"], one["budget"]

    assert seen("ada") == seen("reader") == seen("operator") == inside
    assert seen("ada", "/v1/projects", "visibility=public") == inside
    for stranger in ("eve", None):
        assert seen(stranger) == seen(stranger, "/v1/projects", "visibility=public") == (None, None)
    send("PUT", f"/v1/repositories/{project}/members/eve")
    assert seen("eve") == seen("eve", "/v1/projects") == (["bob", "eve"], inside[1])


def test_a_repository_is_changed_and_removed(send: Send, project: str) -> None:
    place = "/v1/repositories/ada/lenet5"
    assert send("POST", "/v1/projects", {"name": "lenet5", "visibility": "private"}).status == 200
    assert send("PATCH", place, {"visibility": "public", "licence": "MIT"}).json["visibility"] == "public"
    assert send("PATCH", place, {"kind": "model"}).status == 422
    assert send("PATCH", place, {"visibility": "private"}, token="eve").status == 403
    assert send("PUT", f"{place}/members/eve").json["members"] == ["eve"]
    assert send("PUT", f"{place}/members/a b").status == 422
    assert send("DELETE", f"{place}/members/eve", token="eve").status == 204
    assert send("DELETE", place, token="eve").status == 403
    asked = send("DELETE", place, **{"accept-language": "zh"})
    assert (asked.status, asked.json["code"]) == (409, "confirmation_needed")
    assert "永久删除" in asked.json["message"]
    assert asked.json["details"]["lost"]["runs"] == 0
    removed = send("DELETE", place, query="confirm=ada/lenet5", **{"accept-language": "zh"}).json
    assert removed["finished"]
    assert "手动添加 Webhook" in removed["stays"]
    assert send("GET", place).status == 404


def test_a_wrong_host_token_is_told_in_both_languages(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainyard.hosts.addresses.settings", lambda: Settings(allow_loopback_http=True))
    with host_server("github") as host:
        wanted = {"name": "hub", "clone_url": "https://github.com/octo/hello.git", "api_url": host.url}
        for language, word in (("en", "refused the token"), ("zh-CN", "拒绝了该令牌")):
            reply = send("POST", "/v1/projects", {**wanted, "host_token": "x-s3cret"}, **{"accept-language": language})
            assert (reply.status, reply.json["code"]) == (422, "host_refused_token")
            assert word in reply.json["message"]
            split = send(
                "POST", "/v1/projects", {**wanted, "host_token": "x-\ns3cret"}, **{"accept-language": language}
            )
            assert split.status == 422
            assert "s3cret" not in split.text
            assert "s3cret" not in reply.text
        made = send("POST", "/v1/projects", {**wanted, "host_token": OWNER_TOKEN})
    assert (made.status, made.json["webhook"]["secret"], made.json["repository"]["default_branch"]) == (
        201,
        None,
        "trunk",
    )
    assert OWNER_TOKEN not in made.text


def test_tokens(send: Send) -> None:
    assert send("POST", "/v1/tokens", {"expires_at": "2001-01-01T00:00:00Z"}).json["details"] == {"field": "expires_at"}
    made = send("POST", "/v1/tokens", {"name": "laptop", "scopes": ["read"]}).json
    assert send("GET", "/v1/user", token=made["token"]).json == {"user": "ada", "scopes": ["read"], "expires_at": None}
    listed = send("GET", "/v1/tokens")
    assert made["token"] not in listed.text
    assert "digest" not in listed.text
    assert send("POST", "/v1/tokens", {"scopes": ["write"]}, token="reader").status == 403
    assert send("POST", "/v1/tokens", {"scopes": []}).status == 422
    assert send("DELETE", f"/v1/tokens/{made['id']}", token="eve").status == 404
    assert send("DELETE", f"/v1/tokens/{made['id']}").status == 204
    assert send("GET", "/v1/user", token=made["token"]).status == 401


def test_only_an_operator_makes_tokens_for_others(send: Send) -> None:
    assert send("POST", "/v1/tokens", {"user": "bob"}).status == 403
    made = send("POST", "/v1/tokens", {"user": "bob", "scopes": ["write"]}, token="operator").json
    assert send("GET", "/v1/user", token=made["token"]).json["user"] == "bob"


def test_a_token_does_not_outlive_the_one_it_was_made_with(send: Send) -> None:
    short = send("POST", "/v1/tokens", {"scopes": ["write"], "expires_at": "2999-01-01T00:00:00Z"}).json
    child = send("POST", "/v1/tokens", {"scopes": ["write"]}, token=short["token"]).json
    assert child["expires_at"] == short["expires_at"]
    assert send("POST", "/v1/tokens", {"expires_at": "2999-01-01T00:00:00"}).status == 422


def test_the_catalogue_and_the_list_of_routes_need_no_token(send: Send) -> None:
    assert {one["name"] for one in send("GET", "/v1/catalog", token=None).json["flavors"]} >= {"cpu"}
    assert len(send("GET", "/v1", token=None).json["routes"]) == len(ROUTES)
    assert send("GET", "/v1/nothing", token=None).status == 404
    assert send("PATCH", "/v1/catalog", token=None).status in (404, 405)


def test_a_fault_of_ours_tells_nothing_about_the_inside(
    send: Send, project: str, web_state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("table trainyard-7 has no password hunter2")

    monkeypatch.setattr(type(web_state.table), "runs_of", broken)
    reply = send("GET", RUNS)
    assert (reply.status, reply.json["code"]) == (500, "internal_error")
    assert "hunter2" not in reply.text


@pytest.mark.parametrize("run", ["run-x", "x" * 5000, "run-" + "0" * 22, "%00", "é", "..", "\ud800"])
def test_an_id_that_is_none(send: Send, run: str) -> None:
    for method, path in (("GET", ""), ("GET", "/log"), ("POST", "/stop"), ("POST", "/rerun"), ("DELETE", "")):
        reply = send(method, f"/v1/runs/{run}{path}", {} if method == "POST" else None)
        assert reply.status == 404, (method, path, reply.text)


@pytest.mark.parametrize("place", ["x" * 3000 + "/y", "ada/\ud800", "../..", "ada/%2e", "é/é"])
def test_a_project_that_is_none(send: Send, place: str) -> None:
    assert send("GET", f"/v1/projects/{place}/runs").status == 404
    assert send("POST", f"/v1/projects/{place}/runs", {"name": "x", "spec": SPEC}).status == 404


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    route=st.sampled_from(ROUTES),
    place=st.text(st.characters(exclude_characters="/"), min_size=1, max_size=8),
    query=st.text(max_size=20),
    body=st.one_of(
        st.none(),
        st.text(max_size=30),
        st.binary(max_size=20),
        st.dictionaries(
            st.sampled_from(["name", "spec", "ref", "scopes", "user", "kind", "clone_url", "host", "members"]),
            st.one_of(st.none(), st.text(max_size=8), st.integers(), st.lists(st.text(max_size=3), max_size=2)),
            max_size=4,
        ),
    ),
)
def test_no_request_is_a_fault_of_ours(send: Send, route: Any, place: str, query: str, body: Any) -> None:
    import re

    path = re.sub(r"\{\w+\}", lambda _: place, route.path)
    reply = send(route.method, path, body, query=quote(query, safe="=&", errors="replace"))
    assert reply.status < 500, reply.text
    if reply.status >= 400:
        assert set(reply.json) == {"code", "message", "details"}


def test_what_the_caller_has_already_is_not_sent_again(send: Send, project: str, web_state: State) -> None:
    run = f"/v1/runs/{start(send)['id']}"
    first = send("GET", run)
    again = send("GET", run, **{"if-none-match": f'"other", W/{first.headers["etag"]}'})
    assert (again.status, again.text) == (304, "")
    assert send("POST", f"{run}/stop").status == 202
    changed = send("GET", run, **{"if-none-match": first.headers["etag"]})
    assert (changed.status, changed.json["state"]) == (200, "stopped")
    assert "etag" not in send("POST", f"{run}/stop").headers


def test_an_answer_waits_for_something_new(
    send: Send, project: str, web_state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = start(send)["id"]
    known = send("GET", f"/v1/runs/{run_id}").headers["etag"]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            send("POST", f"/v1/runs/{run_id}/stop")

    monkeypatch.setattr("trainyard.web.app.time.sleep", sleep)
    reply = send("GET", f"/v1/runs/{run_id}", query="wait=20", **{"if-none-match": known})
    assert (reply.status, reply.json["state"], len(slept)) == (200, "stopped", 3)
    assert send("GET", f"/v1/runs/{run_id}", query="wait=20").status == 200
    assert len(slept) == 3
    assert send("GET", f"/v1/runs/{run_id}", query="wait=x").status == 422


def test_too_many_requests(send: Send, web_state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = RateLimit(web_state.table, 3)
    monkeypatch.setattr(app, "_rate_limit", lambda: limit)
    assert [send("GET", "/v1/catalog").status for _ in range(4)] == [200, 200, 200, 429]
    refused = send("GET", "/v1/catalog")
    assert refused.json["code"] == "too_many_requests"
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert send("GET", "/v1/catalog", token="eve").status == 200
    assert send("GET", "/v1/catalog", token=None).status == 200


@pytest.mark.parametrize("half", [b"\\ud800", b"\\uDfff", b"\xed\xa0\x80"])
def test_half_a_character_is_refused_and_a_whole_one_taken(send: Send, project: str, half: bytes) -> None:
    body = json.dumps({"name": "lenet5", "spec": {**SPEC, "hyperparameters": {"note": "HERE"}}}).encode()

    assert send("POST", RUNS, body.replace(b"HERE", half)).status == 422
    made = send("POST", RUNS, body.replace(b"HERE", b"\\ud83d\\ude00"))
    assert made.status == 201
    assert made.json["spec"]["hyperparameters"] == {"note": "\U0001f600"}
