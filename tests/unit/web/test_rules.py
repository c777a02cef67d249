"""Rules and the schema are there for everyone, as data and as pages."""

from __future__ import annotations

import json

import pytest
from unit.web.conftest import Send

from trainyard.store import State, layout
from trainyard.validation.rules import REGISTRY

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def test_every_rule_is_listed_and_led_to(send: Send) -> None:
    listed = send("GET", "/v1/rules", token=None)
    assert listed.status == 200
    assert [one["id"] for one in listed.json["rules"]] == list(REGISTRY)
    one = send("GET", "/v1/rules/download", token=None).json
    assert one == next(each for each in listed.json["rules"] if each["id"] == "download")
    assert one["url"] == "https://api.example/v1/rules/download"
    assert (one["severity"], one["title"]["zh"]) == ("warning", "训练代码中有下载操作")
    assert one["failing"][0]["files"][0]["path"] == "train.py"


@pytest.mark.parametrize("path", ["/v1/rules", "/v1/rules/full-width-punctuation"])
def test_a_browser_gets_a_page_in_its_language(send: Send, path: str) -> None:
    for language, word in (("zh-CN,zh;q=0.9", "全角标点"), ("en", "Full-width")):
        page = send("GET", path, token=None, accept=BROWSER, **{"accept-language": language})
        assert page.status == 200
        assert page.headers["content-type"].startswith("text/html")
        assert page.text.startswith("<!doctype html>")
        assert word in page.text
    asked = send("GET", path, token=None, accept=BROWSER, query="lang=zh")
    assert "全角标点" in asked.text
    assert "<script" not in asked.text


@pytest.mark.parametrize(
    "accept", ["", "*/*", "application/json", "application/json, text/html;q=0.5", "text/html;q=0"]
)
def test_a_program_gets_data(send: Send, accept: str) -> None:
    assert send("GET", "/v1/rules/secret", token=None, accept=accept).json["id"] == "secret"


def test_a_rule_that_is_none_suggests(send: Send) -> None:
    reply = send("GET", "/v1/rules/downlod", token=None)
    assert reply.status == 404
    assert "download" in reply.json["message"]


def test_editors_get_the_schema(send: Send) -> None:
    reply = send("GET", "/v1/schema/trainyard.json", token=None)
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("application/schema+json")
    assert "runs" in reply.json["properties"]


def test_findings_lead_to_where_they_are_asked_for(send: Send, project: str, web_state: State) -> None:
    spec = {"boot_file": "train.py", "framework": "python-cpu", "flavor": "cpu"}
    run = send("POST", f"/v1/projects/{project}/runs", {"name": "a", "spec": spec, "ref": "main"}).json
    finding = {"rule": "secret", "url": "/v1/rules/secret", "message": {"en": 'say "url": "/v1/rules/x"'}}
    body = json.dumps({"findings": [finding], "errors": 1, "warnings": 0}).encode()
    web_state.objects.put(layout.findings_key(run["id"]), body, "application/json")
    (shown,) = send("GET", f"/v1/runs/{run['id']}/findings").json["findings"]
    assert shown["url"] == "https://api.example/v1/rules/secret"
    assert shown["message"] == finding["message"]
