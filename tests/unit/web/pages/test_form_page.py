"""The form: checked before it is submitted, findings beside their fields."""

from __future__ import annotations

import json
import re

import pytest
from builders import a_run, a_spec
from unit.web.pages.conftest import Browser

from trainyard.model.check import CheckAnswer, CommitListing
from trainyard.model.finding import Finding, Severity
from trainyard.model.repository import Repository
from trainyard.model.settings import Settings
from trainyard.model.text import Text
from trainyard.store import State, layout

FORM = {
    "name": "tuned", "code_dir": "train/trainDir", "boot_file": "train.py", "framework": "python-cpu",
    "flavor": "cpu-small", "output": "on", "input.0.argument": "data_url", "input.0.kind": "dataset",
    "input.0.source": "ada/digits", "input.0.path": "", "input.0.revision": "v1", "hyperparameters": "epochs=3\r\nlr=0.1",
    "env": "A=1", "evaluation": "accuracy >= 0.9", "timeout": "1h", "retries": "1", "machines": "spot_first",
    "priority": "high", "action": "create",
}  # fmt: skip


def check_of(pages: State, address: str) -> str:
    found = re.search(r"check=(check-[0-9a-f]{32})", address)
    assert found, address
    return found[1]


def answer(pages: State, check_id: str, *findings: Finding) -> None:
    pages.objects.put(
        layout.check_key(check_id), CheckAnswer(commit="a" * 40, findings=list(findings)).model_dump_json().encode()
    )
    listing = CommitListing(
        commit="a" * 40, folders=["", "train/trainDir"], python_files=["a.py", "train/trainDir/train.py"]
    )
    pages.objects.put(layout.listing_key("ada/lenet5", "a" * 40), listing.model_dump_json().encode())


def fault(field: str = "", file: str = "") -> Finding:
    return Finding(
        rule="x", severity=Severity.ERROR, file=file, field=field, line=7 if file else None,
        message=Text(en="is wrong", zh="有误"), fix=Text(en="mend it", zh="请修改"),
    )  # fmt: skip


def test_a_run_is_made_after_its_check_on_the_commit_that_was_checked(
    pages: State, ada: Browser, project: Repository
) -> None:
    asked = ada.post("/projects/ada/lenet5/new", FORM)
    check_id = check_of(pages, asked.headers["location"])
    assert pages.table.runs_of("ada/lenet5").rows == []
    waiting = ada.get(asked.headers["location"])
    assert 'http-equiv="refresh"' in waiting.text
    assert "being checked" in waiting.words()
    answer(pages, check_id)
    clean = ada.get(asked.headers["location"])
    assert f'value="{check_id}"' in clean.text
    assert '<option value="train.py">' in clean.text, "boot files are offered relative to the folder"
    for _ in range(2):
        made = ada.post("/projects/ada/lenet5/new", {**FORM, "checked": check_id})
        assert made.status == 303
    (run,) = pages.table.runs_of("ada/lenet5").rows
    assert made.headers["location"] == f"/runs/{run.id}"
    assert (run.commit, run.name, run.requested_by) == ("a" * 40, "tuned", "ada")
    assert run.spec is not None
    assert run.spec.hyperparameters == {"epochs": "3", "lr": "0.1"}
    assert run.spec.inputs["data_url"].revision == "v1"
    assert run.spec.evaluation.require == {"accuracy": ">= 0.9"}
    assert (run.spec.machines, run.spec.priority) == ("spot_first", "high")


def test_another_request_than_the_one_checked_is_checked_first(
    pages: State, ada: Browser, eve: Browser, project: Repository
) -> None:
    check_id = check_of(pages, ada.post("/projects/ada/lenet5/new", FORM).headers["location"])
    answer(pages, check_id)
    other = ada.post("/projects/ada/lenet5/new", {**FORM, "env": "A=2", "checked": check_id})
    assert check_of(pages, other.headers["location"]) != check_id
    failing = check_of(pages, other.headers["location"])
    answer(pages, failing, fault("code_dir"))
    again = ada.post("/projects/ada/lenet5/new", {**FORM, "env": "A=2", "checked": failing})
    assert "/new?check=" in again.headers["location"]
    assert pages.table.runs_of("ada/lenet5").rows == []
    assert eve.get(f"/projects/ada/lenet5/checks/{check_id}").status == 404


def test_findings_stand_beside_the_field_that_caused_them(pages: State, ada: Browser, project: Repository) -> None:
    location = ada.post("/projects/ada/lenet5/new", FORM).headers["location"]
    found = [
        fault("inputs.data_url.revision"),
        fault("hyperparameters.epochs"),
        fault(file="train/trainDir/train.py"),
        fault(file="big.bin"),
    ]
    answer(pages, check_of(pages, location), *found)
    page = ada.get(location)
    assert "4 errors" in page.words()
    for place in ("input.0", "hyperparameters", "boot_file", "ref"):
        told = re.search(rf'data-told="{re.escape(place)}">(.*?)</ul>', page.text)
        assert told, place
        assert "is wrong" in told[1], place
        field = re.search(rf'<[^>]*aria-describedby="[^"]*told-{re.escape(place)}"[^>]*>', page.text)
        assert field, place
        assert 'aria-invalid="true"' in field[0], place
    assert "epochs=3\nlr=0.1" in page.text, "what was filled in is still there"
    by_script = json.loads(ada.get(location.replace("/new?check=", "/checks/")).text)
    assert by_script["errors"] == 4
    assert set(by_script["told"]) == {"input.0", "hyperparameters", "boot_file", "ref"}


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"name": "不行"}, "name"), ({"boot_file": "train.sh"}, "boot_file"), ({"timeout": "soon"}, "timeout"),
        ({"retries": "99"}, "retries"), ({"hyperparameters": "no sign"}, "hyperparameters"), ({"env": "AWS_X=1"}, "env"),
        ({"input.0.argument": ""}, "input.0"), ({"input.0.source": "no slash"}, "input.0"), ({"ref": "a..b"}, "ref"),
        ({"commit": "abc"}, "commit"), ({"code_dir": "../.."}, "code_dir"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_form_itself_is_told_at_once(
    pages: State, ada: Browser, project: Repository, wrong: dict[str, str], place: str
) -> None:
    page = ada.post("/projects/ada/lenet5/new", {**FORM, **wrong})
    assert page.status == 422
    told = re.search(rf'data-told="{re.escape(place)}">(.*?)</ul>', page.text)
    assert told
    assert told[1], page.text
    assert "finding-error" in told[1]
    by_script = ada.post("/projects/ada/lenet5/new", {**FORM, **wrong}, accept="application/json")
    assert set(json.loads(by_script.text)["told"]) == {place}


def test_a_form_holds_what_the_last_run_had_and_one_more_input_when_asked(
    pages: State, ada: Browser, project: Repository
) -> None:
    pages.table.create_run(a_run("run-0123456789abcdefghjkmn", project="ada/lenet5"))
    page = ada.get("/projects/ada/lenet5/new")
    assert 'name="boot_file" value="train.py"' in page.text
    assert "input.2.argument" not in page.text
    more = ada.post("/projects/ada/lenet5/new", {**FORM, "input.1.argument": "x", "action": "add"})
    assert "input.2.argument" in more.text
    assert 'value="ada/digits"' in more.text


def test_every_kind_of_input_comes_back_into_the_form(pages: State, ada: Browser, project: Repository) -> None:
    inputs = {
        "data_url": {"s3": "s3://our-data/digits", "path": "train"},
        "pretrain_url": {"run": "latest ada/lenet5 tuned", "path": "a.ckpt"},
        "test_url": {"dataset": "ada/digits", "revision": "v1"},
        "start_url": {"model": "ada/start"},
    }
    pages.table.create_run(a_run("run-0123456789abcdefghjkmn", project="ada/lenet5", spec=a_spec(inputs=inputs)))
    page = ada.get("/projects/ada/lenet5/new?from=run-0123456789abcdefghjkmn")
    assert page.status == 200
    sent = re.findall(r'name="(input\.\d\.\w+)" value="([^"]*)"', page.text)
    kinds = re.findall(r'name="(input\.\d\.kind)".*?<option value="(\w+)" selected', page.text)
    asked = ada.post("/projects/ada/lenet5/new", {**FORM, **dict(sent), **dict(kinds), "action": "check"})
    check = pages.table.check(check_of(pages, asked.headers["location"]))
    assert check is not None
    assert check.spec is not None
    assert {name: one.model_dump(exclude_defaults=True) for name, one in check.spec.inputs.items()} == inputs


def test_a_price_that_nobody_knows_is_called_so(
    pages: State, ada: Browser, project: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in ("store.spending", "web.pages.form"):
        monkeypatch.setattr(f"trainyard.{room}.settings", lambda: Settings(region="xx-nowhere-1"))
    assert "price unknown" in ada.get("/projects/ada/lenet5/new").words()
    check_id = check_of(pages, ada.post("/projects/ada/lenet5/new", FORM).headers["location"])
    answer(pages, check_id)
    assert "What it will cost is unknown" in ada.get(f"/projects/ada/lenet5/new?check={check_id}").words()
    assert "What it will cost is unknown" in ada.get(f"/projects/ada/lenet5/checks/{check_id}").text


def test_an_image_of_ones_own_goes_before_the_framework_that_a_list_always_has(
    pages: State, ada: Browser, project: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 'name="image"' not in ada.get("/projects/ada/lenet5/new").text
    for room in ("web.pages.form", "web.pages.catalogue", "web.pages.guide"):
        allowing = Settings(allowed_image_registries=["ghcr.io/ada", "quay.io"])
        monkeypatch.setattr(f"trainyard.{room}.settings", lambda allowing=allowing: allowing)
    assert "ghcr.io/ada, quay.io" in ada.get("/projects/ada/lenet5/new").words()
    assert "<code>quay.io</code>" in ada.get("/catalogue").text
    assert "<code>quay.io</code>" in ada.get("/guide").text

    wrong = ada.post("/projects/ada/lenet5/new", {**FORM, "image": "python"})
    assert "such as docker.io/library/python:3.12" in wrong.words()
    filled = {**FORM, "image": "ghcr.io/ada/train:v1", "flavor": "cpu"}
    check_id = check_of(pages, ada.post("/projects/ada/lenet5/new", filled).headers["location"])
    answer(pages, check_id)
    ada.post("/projects/ada/lenet5/new", {**filled, "checked": check_id})
    (run,) = pages.table.runs_of("ada/lenet5").rows
    assert run.spec is not None
    assert (run.spec.framework, run.spec.image) == ("", "ghcr.io/ada/train:v1")
    assert '<code class="wrap">ghcr.io/ada/train:v1</code>' in ada.get(f"/runs/{run.id}").text
    again = ada.get(f"/projects/ada/lenet5/new?from={run.id}").text
    assert 'value="ghcr.io/ada/train:v1"' in again
