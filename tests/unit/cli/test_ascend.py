"""What an account at ModelArts offers, brought into a catalogue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from modelarts_fixture import AK, PROJECT, SK, modelarts

from infra.local.modelarts import server as fake
from infra.local.modelarts.server import ModelArtsServer
from trainyard.cli.commands.ascend import laid_out
from trainyard.cli.main import run
from trainyard.model.catalogue import Catalogue

SHIPPED = files("trainyard.model").joinpath("catalogue.json").read_text(encoding="utf-8")
KEY = {"HUAWEI_AK": AK, "HUAWEI_SK": SK, "HUAWEI_PROJECT_ID": PROJECT, "HUAWEI_REGION": "cn-north-4"}


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelArtsServer]:
    for name, value in KEY.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LANG", "C.UTF-8")
    with modelarts(tmp_path) as server:
        yield server


def catalog(account: ModelArtsServer, *words: str) -> int:
    return run(["ascend", "catalog", "--endpoint", account.endpoint, *words])


def more(monkeypatch: pytest.MonkeyPatch, engines: list[Any], flavors: list[Any]) -> None:
    monkeypatch.setattr(fake, "ENGINES", [*fake.ENGINES, *engines])
    monkeypatch.setattr(fake, "FLAVORS", [*fake.FLAVORS, *flavors])


def engine(version: str, name: str = "Ascend-Powered-Engine") -> dict[str, str]:
    return {"engine_name": name, "engine_version": version}


def test_what_the_catalogue_has_keeps_its_name(account: ModelArtsServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert catalog(account) == 0
    said = capsys.readouterr()
    told = Catalogue.model_validate_json(said.out)
    assert [entry.name for entry in told.frameworks] == ["mindspore-1.7-cann-5.1", "mindspore-ascend"]
    assert [entry.name for entry in told.flavors] == ["ascend-910", "ascend-910x8"]
    assert said.err == ""


def test_a_new_file_holds_what_the_account_says(
    account: ModelArtsServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "catalogue.json"
    assert catalog(account, "--write", str(path)) == 0
    made = Catalogue.model_validate_json(path.read_bytes())
    framework, flavor = made.framework("mindspore-2.3.0-cann-8.0.rc1"), made.flavor("ascend-kat1-8xlarge")
    assert framework is not None
    assert (framework.backend, framework.python, framework.cann) == ("modelarts", "3.9", "8.0.rc1")
    assert "mindspore" in framework.provides
    assert flavor is not None
    assert (flavor.vcpus, flavor.memory_mib, flavor.accelerators) == (192, 768 * 1024, 8)
    assert (flavor.accelerator_memory_gib, flavor.instance) == (32, "modelarts.kat1.8xlarge.public")
    assert flavor.prices == {}
    assert "added ascend-kat1-8xlarge" in capsys.readouterr().out


def test_a_merge_adds_and_changes_no_other_line(
    account: ModelArtsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    flavor = {**fake.FLAVORS[0], "flavor_id": "modelarts.kat2.xlarge.public"}
    more(
        monkeypatch,
        [
            engine("pytorch_2.1.0-cann_8.0.rc1-py_3.9-euler_2.10.7-aarch64"),
            engine("pytorch_2.1.0-cann_8.0.rc1-py_3.9-ubuntu_22.04-aarch64"),
            engine("pytorch_1.8.0-cuda_10.2-py_3.7-ubuntu_18.04-x86_64", "PyTorch"),
        ],
        [flavor],
    )
    path = tmp_path / "catalogue.json"
    path.write_text(SHIPPED, encoding="utf-8")
    assert catalog(account, "--write", str(path)) == 0
    assert capsys.readouterr().out.splitlines() == [
        "added pytorch-2.1.0-cann-8.0.rc1",
        "added pytorch_2.1.0-cann_8.0.rc1-py_3.9-ubuntu_22.04-aarch64",
        "added ascend-kat2-xlarge",
    ]
    written = path.read_text(encoding="utf-8")
    assert {line.rstrip(",") for line in SHIPPED.splitlines()} <= {line.rstrip(",") for line in written.splitlines()}
    Catalogue.model_validate_json(written)
    assert catalog(account, "--write", str(path)) == 0
    assert path.read_text(encoding="utf-8") == written


def test_what_cannot_be_told_is_left_out_aloud(
    account: ModelArtsServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = {**fake.FLAVORS[0], "flavor_id": "odd", "flavor_info": {"cpu": {"core_num": 24}}}
    more(monkeypatch, [engine("horovod_0.1-py_3.7")], [odd])
    monkeypatch.setattr(fake, "ENGINES", fake.ENGINES[:1] + fake.ENGINES[2:])
    assert catalog(account) == 0
    said = capsys.readouterr()
    assert [entry["name"] for entry in json.loads(said.out)["flavors"]] == ["ascend-910", "ascend-910x8"]
    assert "left out odd: it does not say 'npu'" in said.err
    assert "left out horovod_0.1-py_3.7" in said.err
    assert "does not offer mindspore-ascend" in said.err


def test_missing_variables_are_named(
    account: ModelArtsServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HUAWEI_SK")
    monkeypatch.setenv("HUAWEI_REGION", "")
    assert catalog(account) == 2
    assert "Set HUAWEI_SK, HUAWEI_REGION in" in capsys.readouterr().err


def test_a_wrong_key(
    account: ModelArtsServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HUAWEI_SK", "another")
    assert catalog(account) == 1
    said = capsys.readouterr().err
    assert "ModelArts does not tell" in said
    assert "another" not in said


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"frameworks": [], "flavors": [{"name": "x"}]}'])
def test_a_file_that_is_no_catalogue_stays_as_it_is(
    account: ModelArtsServer, tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "catalogue.json"
    path.write_text(text)
    assert catalog(account, "--write", str(path)) == 2
    assert "is no catalogue" in capsys.readouterr().err
    assert path.read_text() == text


def test_the_shipped_catalogue_is_laid_out_so() -> None:
    assert laid_out(json.loads(SHIPPED)) + "\n" == SHIPPED
