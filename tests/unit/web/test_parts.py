from __future__ import annotations

import gzip
from typing import Any

import pytest
from unit.web.conftest import Send

from trainyard.store import State, layout

SPEC = {"boot_file": "train.py", "framework": "python-cpu", "flavor": "cpu", "hyperparameters": {"lr": [0.1, 0.01, 1]}}


def test_the_trainings_of_a_sweep_and_what_each_left(send: Send, project: str, web_state: State) -> None:
    run = send("POST", f"/v1/projects/{project}/runs", {"name": "s", "spec": SPEC}).json["id"]
    first = send("GET", f"/v1/runs/{run}/children", query="limit=2").json
    rest = send("GET", f"/v1/runs/{run}/children", query=f"cursor={first['next_cursor']}").json
    children = first["children"] + rest["children"]
    assert [(one["index"], one["parameters"]) for one in children] == [
        (0, {"lr": 0.1}),
        (1, {"lr": 0.01}),
        (2, {"lr": 1}),
    ]
    assert rest["next_cursor"] is None
    child = layout.child_id(run, 1)
    web_state.objects.put(layout.log_chunk_key(child, 1, 0), gzip.compress(b"lr 0.01\n"))
    web_state.objects.put(layout.output_prefix(child) + "a.ckpt", b"12345")
    assert send("GET", f"/v1/runs/{run}/log", query="child=1").json["text"] == "lr 0.01\n"
    assert send("GET", f"/v1/runs/{run}/log", query="child=0").json["text"] == ""
    assert [one["path"] for one in send("GET", f"/v1/runs/{run}/outputs", query="child=1").json["outputs"]] == [
        "a.ckpt"
    ]
    assert send("GET", f"/v1/runs/{run}/outputs", query="child=3").status == 404
    assert send("GET", f"/v1/runs/{run}/children", query="cursor=x").status == 422
    assert send("GET", f"/v1/runs/{run}/children", token="eve").status == 404


def test_a_run_that_is_no_sweep_has_none(send: Send, project: str) -> None:
    spec = {**SPEC, "hyperparameters": {"lr": [0.1]}}
    run = send("POST", f"/v1/projects/{project}/runs", {"name": "s", "spec": spec}).json["id"]
    assert send("GET", f"/v1/runs/{run}/children").json == {"children": [], "metric": None, "next_cursor": None}
    assert send("GET", f"/v1/runs/{run}/log", query="child=0").status == 404


def test_the_machines_of_a_run_and_what_each_left(send: Send, project: str, web_state: State) -> None:
    spec = {**SPEC, "hyperparameters": {}, "nodes": 2}
    run = send("POST", f"/v1/projects/{project}/runs", {"name": "s", "spec": spec}).json["id"]
    assert send("GET", f"/v1/runs/{run}/nodes").json == {
        "nodes": [{"index": 0, "phase": None}, {"index": 1, "phase": None}]
    }
    web_state.objects.put(layout.log_chunk_key(run, 1, 0), gzip.compress(b"the first\n"))
    web_state.objects.put(layout.log_chunk_key(layout.node_id(run, 1), 1, 0), gzip.compress(b"[rank 1] the other\n"))
    assert send("GET", f"/v1/runs/{run}/log", query="node=0").json["text"] == "the first\n"
    assert send("GET", f"/v1/runs/{run}/log", query="node=1").json["text"] == "[rank 1] the other\n"
    assert send("GET", f"/v1/runs/{run}/log", query="node=2").status == 404
    assert send("GET", f"/v1/runs/{run}/log", query="node=1&child=0").status == 422
    assert send("GET", f"/v1/runs/{run}/nodes", token="eve").status == 404


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"nodes": 2}, "one machine"),
        ({"nodes": 2, "hyperparameters": {}, "machines": "spot"}, "on-demand"),
        ({"nodes": 65}, "64"),
    ],
)
def test_nodes_that_cannot_be(send: Send, project: str, more: dict[str, Any], words: str) -> None:
    answer = send("POST", f"/v1/projects/{project}/runs", {"name": "s", "spec": {**SPEC, **more}})
    assert answer.status == 422
    assert words in str(answer.json)
