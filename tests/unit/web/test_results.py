"""What runs left and what they are worth, as the API shows it."""

from __future__ import annotations

import gzip
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest
from builders import NOW, a_run, a_spec
from unit.web.conftest import Send

from trainyard import clients
from trainyard.evaluation.verdict import judge_run
from trainyard.logs import viewers
from trainyard.logs.run import index_logs
from trainyard.model.request import PinnedInput, RunRequest
from trainyard.model.run import Run, RunState
from trainyard.store import State, layout

DATASET = "ada/digits"
BASE, HEAD = "a" * 40, "b" * 40


def run_id(number: int) -> str:
    return f"run-{number:022d}"


@pytest.fixture
def train(web_state: State, project: str) -> Any:
    """`train(number, log, ...)`: a run that ended, indexed and judged."""

    def _train(number: int, log: str, revision: str = BASE, **changes: Any) -> Run:
        name = run_id(number)
        values = {"project": project, "state": RunState.SUCCEEDED, "attempt": 1, "ref": "refs/heads/main"} | changes
        run = a_run(name, created_at=NOW + timedelta(minutes=number), **values)
        web_state.table.create_run(run)
        objects = web_state.objects
        objects.put(layout.log_chunk_key(name, 1, 0), gzip.compress(log.encode()))
        pinned = PinnedInput(
            argument="data_url", source=f"dataset {DATASET}", revision=revision, is_file=False, files=[]
        )
        request = RunRequest(
            run_id=name, name=run.name, project=project, commit=run.commit, spec=run.spec, code_key="k", inputs=[pinned]
        )
        objects.put(layout.request_key(name), request.model_dump_json().encode())
        index_logs(web_state, name)
        judged = judge_run(web_state, name)
        assert judged is not None
        return judged

    return _train


def log(accuracy: float, epochs: int = 2) -> str:
    return "".join(f"epoch {e} loss: {1 / e:.3f} accuracy: {accuracy * e / epochs:.4f}\n" for e in range(1, epochs + 1))


def test_a_further_viewer_of_a_live_log_costs_only_the_look_whether_he_may(
    send: Send, web_state: State, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewers, "KEPT_SECONDS", 30.0)
    name = run_id(1)
    web_state.table.create_run(a_run(name, project=project, state=RunState.RUNNING, attempt=1))
    for offset in range(0, 50, 10):
        web_state.objects.put(layout.log_chunk_key(name, 1, offset), gzip.compress(b"line %4d\n" % offset))
    calls: list[str] = []
    for kept, service in ((web_state.objects, "s3"), (web_state.table, "dynamodb")):
        kept._given = clients.make_client(service)
        kept._given.meta.events.register("before-call.*", lambda model, **_: calls.append(model.name))
    assert send("GET", f"/v1/runs/{name}/log").json["next_offset"] == 50
    assert "ListObjectsV2" in calls
    for offset in (0, 10, 25, 50):
        calls.clear()
        assert send("GET", f"/v1/runs/{name}/log", query=f"offset={offset}").json["next_offset"] == 50
        assert set(calls) <= {"GetItem", "UpdateItem"}, "the token, the run, the project; and the count of requests"
        assert len(calls) <= 3


def test_the_trainings_of_a_script_that_sweeps_are_named_by_what_it_went_through(send: Send, train: Any) -> None:
    swept = "".join(log(accuracy) for accuracy in (0.7, 0.9, 0.8, 0.6))
    scopes = {"batch_size": [32, 64], "learning_rate": [0.1, 0.01]}
    train(1, swept, spec=a_spec(evaluation={"scopes": scopes}))
    groups = send("GET", f"/v1/runs/{run_id(1)}/metrics").json["groups"]
    assert [(one["parameters"]["batch_size"], one["parameters"]["learning_rate"]) for one in groups] == [
        (32, 0.1), (32, 0.01), (64, 0.1), (64, 0.01),
    ]  # fmt: skip
    again = {"require": {"accuracy": ">= 0.9"}, "scopes": {"momentum": [0.5, 0.9, 0.95, 0.99]}}
    reply = send("POST", f"/v1/runs/{run_id(1)}/evaluations", again)
    assert reply.status == 201, reply.text
    named = reply.json["evaluation"]["groups"]
    assert [group["parameters"]["momentum"] for group in named] == [0.5, 0.9, 0.95, 0.99]
    assert send("GET", f"/v1/runs/{run_id(1)}/metrics").json["groups"] == groups
    wrong = send("POST", f"/v1/runs/{run_id(1)}/evaluations", {"scopes": {"momentum": ["much"]}})
    assert (wrong.status, wrong.json["code"]) == (422, "invalid_input")


def test_searching_a_run_and_a_project(send: Send, train: Any, project: str) -> None:
    train(1, "one needle\nnothing\nneedle two\n")
    train(2, "ValueError: needle\n")
    path = f"/v1/runs/{run_id(1)}/search"
    first = send("GET", path, query="text=NEEDLE&limit=1").json
    assert first["hits"] == [{"run": run_id(1), "line": 1, "offset": 0, "text": "one needle"}]
    rest = send("GET", path, query=f"text=NEEDLE&limit=1&cursor={quote(first['next_cursor'])}").json
    assert [hit["line"] for hit in rest["hits"]] == [3]
    everywhere = send("GET", f"/v1/projects/{project}/search", query="text=needle").json
    assert [(hit["run"], hit["line"]) for hit in everywhere["hits"]] == [(run_id(2), 1), (run_id(1), 1), (run_id(1), 3)]
    assert everywhere["next_cursor"] is None
    assert [hit["run"] for hit in send("GET", f"/v1/projects/{project}/search", query="level=error").json["hits"]] == [
        run_id(2)
    ]


@pytest.mark.parametrize("query", ["level=loud", "regex=(", "cursor=x&text=a", "since=soon", "text=" + "x" * 501])
def test_a_search_that_cannot_be_understood(send: Send, train: Any, query: str) -> None:
    train(1, "x\n")
    reply = send("GET", f"/v1/runs/{run_id(1)}/search", query=query)
    assert (reply.status, set(reply.json)) == (422, {"code", "message", "details"})


def test_others_search_nothing(send: Send, train: Any, project: str) -> None:
    train(1, "secret\n")
    assert send("GET", f"/v1/runs/{run_id(1)}/search", query="text=secret", token="eve").status == 404
    assert send("GET", f"/v1/projects/{project}/search", query="text=secret", token=None).status == 404


def test_metrics_thinned_and_exact(send: Send, train: Any) -> None:
    train(1, "".join(f"epoch: 1 step: {step}, loss is {abs(step - 3000)}\n" for step in range(1, 6001)))
    path = f"/v1/runs/{run_id(1)}/metrics"
    thinned = send("GET", path, query="points=20&name=loss,other").json["groups"][0]
    values = [point["value"] for point in thinned["series"]["loss"]]
    assert len(values) <= 20
    assert (values[0], min(values), max(values), thinned["counts"]) == (2999, 0, 3000, {"loss": 6000})
    assert send("GET", path, query="name=accuracy").json["groups"][0]["series"] == {}
    page = send("GET", f"{path}/series", query="name=loss&offset=4000&limit=1500").json
    assert (page["count"], page["next_offset"]) == (6000, 5500)
    assert [point["step"] for point in page["points"]] == list(range(4001, 5501))
    assert send("GET", f"{path}/series", query="name=loss&offset=6000").json["next_offset"] is None
    assert send("GET", f"{path}/series", query="name=nothing").status == 404
    assert send("GET", f"{path}/series", query="group=7").status == 404


def test_a_short_series_is_read_page_by_page_too(send: Send, train: Any) -> None:
    train(1, log(0.9, epochs=5))
    path = f"/v1/runs/{run_id(1)}/metrics/series"
    page = send("GET", path, query="name=accuracy&limit=3").json
    assert ([point["epoch"] for point in page["points"]], page["next_offset"]) == ([1, 2, 3], 3)
    assert send("GET", path, query="name=accuracy&offset=3").json["next_offset"] is None


def test_reports(send: Send, train: Any) -> None:
    train(1, log(0.9), spec=a_spec(evaluation={"require": {"accuracy": ">= 0.5"}}))
    path = f"/v1/runs/{run_id(1)}/report"
    document = send("GET", f"{path}.json").json
    assert (document["run"]["id"], document["evaluation"]["verdict"]) == (run_id(1), "passed")
    assert document["metrics"]["groups"][0]["series"]["loss"]
    text = send("GET", f"{path}.md", **{"accept-language": "zh-CN"})
    assert text.headers["content-type"].startswith("text/markdown")
    assert "评估" in text.text
    page = send("GET", f"{path}.html")
    assert page.headers["content-type"].startswith("text/html")
    assert page.text.startswith("<!doctype html>")
    assert "<svg" in page.text
    assert send("GET", f"/v1/runs/{run_id(1)}/report.exe").status == 404


def test_compared_with_the_previous_the_best_and_named_ones(send: Send, train: Any, web_state: State) -> None:
    train(1, log(0.95))
    train(2, log(0.8))
    train(3, log(0.9), ref="refs/heads/dev", commit=HEAD)
    train(4, log(0.9), commit=HEAD, spec=a_spec(hyperparameters={"lr": 0.1}))
    path = f"/v1/runs/{run_id(4)}/comparison"
    previous = send("GET", path).json
    assert previous["runs"] == [run_id(4), run_id(2)]
    assert send("GET", path, query="with=best").json["runs"] == [run_id(4), run_id(1)]
    named = send("GET", path, query=f"with={run_id(3)},previous").json
    assert named["runs"] == [run_id(4), run_id(3), run_id(2)]
    assert [row["name"] for row in named["parameters"] if row["differs"]] == ["lr"]
    accuracy = next(row for row in named["best"] if row["name"] == "accuracy")
    assert accuracy["differences"][2] == pytest.approx(-0.1)
    assert accuracy["better"] == [None, None, False]
    assert [code["address"] for code in named["code"]] == [None, None]  # the embedded host has no pages
    repository = web_state.table.repository("ada/lenet5")
    assert repository is not None
    moved = repository.model_copy(update={"host": "gitlab", "clone_url": "https://gitlab.example/ada/lenet5.git"})
    web_state.table._dynamodb.delete_item(TableName="trainyard", Key={"pk": {"S": "REPOSITORY#ada/lenet5"}})
    web_state.table.create_repository(moved)
    address = send("GET", path).json["code"][0]["address"]
    assert address == f"https://gitlab.example/ada/lenet5/-/compare/{BASE}...{HEAD}"
    assert send("GET", path, query="with=run-nobody").status == 404
    assert send("GET", path, query="with=" + ",".join(["previous"] * 21)).status == 422
    assert send("GET", f"/v1/runs/{run_id(1)}/comparison").json["runs"] == [run_id(1)]


def test_leaderboards(send: Send, train: Any, project: str) -> None:
    train(1, log(0.9))
    train(2, log(0.95), revision=HEAD)
    train(3, log(0.8), state=RunState.FAILED)
    board = send("GET", f"/v1/projects/{project}/leaderboard").json
    assert [(place["rank"], place["run_id"]) for place in board["places"]] == [
        (1, run_id(2)),
        (2, run_id(1)),
        (3, run_id(3)),
    ]
    on_base = send("GET", f"/v1/projects/{project}/leaderboard", query=f"dataset={DATASET}&revision={BASE}").json
    assert [place["run_id"] for place in on_base["places"]] == [run_id(1), run_id(3)]
    by_loss = send("GET", f"/v1/projects/{project}/leaderboard", query="metric=loss&limit=1").json
    assert [place["value"] for place in by_loss["places"]] == [0.5]


def test_the_leaderboard_of_a_data_set(send: Send, train: Any) -> None:
    send("POST", "/v1/repositories", {"name": "digits", "kind": "dataset", "visibility": "public"})
    train(1, log(0.9))
    train(2, log(0.95), revision=HEAD)
    path = f"/v1/repositories/{DATASET}/leaderboard"
    assert [place["run_id"] for place in send("GET", path).json["places"]] == [run_id(2), run_id(1)]
    at_base = send("GET", path, query=f"revision={BASE}").json["places"]
    assert [(place["rank"], place["run_id"]) for place in at_base] == [(1, run_id(1))]
    # The data set is public, the project is not: others see the board without its runs.
    assert send("GET", path, token="eve").json["places"] == []
    assert send("GET", path, query="revision=../x").status == 422


def test_a_rejected_run_says_nothing_and_nothing_will_follow(send: Send, web_state: State, project: str) -> None:
    web_state.table.create_run(a_run(run_id(1), project=project, state=RunState.REJECTED))
    assert send("GET", f"/v1/runs/{run_id(1)}/log").json["end"] is True


def test_an_evaluation_again(send: Send, train: Any) -> None:
    train(1, log(0.9), spec=a_spec(evaluation={"require": {"accuracy": ">= 0.99"}}))
    path = f"/v1/runs/{run_id(1)}/evaluations"
    made = send("POST", path, {"require": {"accuracy": ">= 0.8"}})
    assert (made.status, made.headers["location"]) == (201, f"{path}/1")
    assert (made.json["evaluation"]["verdict"], made.json["requested_by"]) == ("passed", "ada")
    send("POST", path, {"require": {"accuracy": "> best of project"}})
    first = send("GET", path, query="limit=1").json
    assert [one["number"] for one in first["evaluations"]] == [1]
    rest = send("GET", path, query=f"cursor={first['next_cursor']}").json
    assert [one["number"] for one in rest["evaluations"]] == [2]
    assert send("GET", f"{path}/1").json == made.json
    assert send("GET", f"/v1/runs/{run_id(1)}/evaluation").json["verdict"] == "failed"
    for number in ("0", "3", "x", "1e0"):
        assert send("GET", f"{path}/{number}").status == 404
    assert send("POST", path, {"require": {"accuracy": "fine"}}).status == 422
    assert send("POST", path, {"script": True}).status == 422
    assert send("POST", path, {}, token="reader").status == 403
    assert send("POST", path, {}, token="eve").status == 404
    assert send("GET", path, query="cursor=x").status == 422


AIM = Path(__file__).parents[2] / "data" / "aim_objects"


def test_what_was_tracked_with_aim(send: Send, train: Any, web_state: State) -> None:
    train(1, "hello\n")
    path = f"/v1/runs/{run_id(1)}/aim"
    assert send("GET", path).json["code"] == "not_yet"
    names = sorted(file.relative_to(AIM).as_posix() for file in AIM.rglob("*") if file.is_file())
    for name in names:
        web_state.objects.put(layout.aim_prefix(run_id(2)) + name, (AIM / name).read_bytes())
    train(2, "hello\n")
    path = f"/v1/runs/{run_id(2)}/aim"
    (run,) = send("GET", path).json["runs"]
    assert [(one["title"], one["points"]) for one in run["metrics"]] == [("train_loss", 2)]
    objects = {one["name"]: one["items"] for one in run["objects"]}
    assert objects["note"][1]["text"] == "note of epoch 2"
    assert sum(objects["weights"][0]["counts"]) == 50
    assert [(item["width"], item["caption"]) for item in objects["sample"]] == [(8, "sample 1"), (8, "sample 2")]
    address = objects["sample"][0]["address"]
    key = unquote(urlsplit(address).path).split("/runs/", 1)[1]
    assert web_state.objects.get(f"runs/{key}").startswith(b"\x89PNG")
    assert send("GET", f"/v1/runs/{run_id(2)}/metrics").json["groups"][0]["parameters"]["batch_size"] == 32
    files = send("GET", f"{path}/files").json["files"]
    assert [one["path"] for one in files] == names
    assert all(one["address"].startswith("https://") for one in files)
    assert send("GET", path, token="eve").status == 404
