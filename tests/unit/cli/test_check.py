"""`trainyard check` and `trainyard metrics`, as a person calls them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from trainyard.cli.main import run

RUN_FILE = "runs:\n  a:\n    boot_file: train.py\n    framework: python-cpu\n    flavor: cpu\n    output: false\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True, timeout=30)
    (tmp_path / "trainyard.yaml").write_text(RUN_FILE)
    (tmp_path / "train.py").write_text("print('hello')\n")
    (tmp_path / "pip-requirements.txt").write_text("")
    return tmp_path


def test_a_good_tree_is_clean(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(tree)]) == 0
    assert run(["check", str(tree), "--format", "json"]) == 0
    assert '"errors": 0' in capsys.readouterr().out


def test_a_fault_is_found_with_its_line(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "train.py").write_text("def train()：\n    pass\n")
    assert run(["check", str(tree), "--format", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["errors"] >= 1
    assert any(one["file"] == "train.py" and one["line"] == 1 for one in document["findings"])


def test_what_cannot_be_checked_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", str(tmp_path / "nowhere")]) == 2
    assert "trainyard:" in capsys.readouterr().err


def test_a_warning_is_no_reason_to_stop(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "train.py").write_text("import urllib.request\nurllib.request.urlopen('https://example.com')\n")
    assert run(["check", str(tree)]) == 0
    assert "0 errors, 1 warning." in capsys.readouterr().out


def test_a_check_that_breaks_is_none_that_found_errors(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainyard.validation.laptop.FolderSnapshot", None)
    assert run(["check", str(tree)]) == 2


def test_a_file_that_cannot_be_read_is_told(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert run(["check", str(tree)]) == 1


def test_findings_lead_to_the_deployment_that_is_used(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "train.py").write_text("x = (\n")
    assert run(["--url", "https://train.example", "check", str(tree), "--format", "json"]) == 1
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert finding["url"] == "https://train.example/v1/rules/python-syntax"


def test_it_speaks_the_terminals_language(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    run(["check", str(tree)])
    run(["check", "--explain", "download"])
    said = capsys.readouterr().out
    assert "未发现问题" in said
    assert "训练代码中有下载操作" in said


def test_rules_are_explained_and_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--explain", "idx-name"]) == 0
    assert "train-lables-idx1-ubyte" in capsys.readouterr().out
    assert run(["check", "--explain", "idx-nam"]) == 2
    assert "idx-name" in capsys.readouterr().err
    assert run(["check", "--schema"]) == 0
    assert "boot_file" in json.loads(capsys.readouterr().out)["$defs"]["RunSpec"]["properties"]


def test_findings_of_a_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    finding = {
        "rule": "secret", "severity": "error", "file": "a.py", "line": None, "column": None,
        "message": {"en": "There is a key here.", "zh": "此处含有密钥。"}, "fix": {"en": "Revoke it.", "zh": "请吊销。"},
        "url": "https://train.example/v1/rules/secret",
    }  # fmt: skip
    document = {"findings": [finding], "errors": 1, "warnings": 0}
    monkeypatch.setattr("trainyard.cli.client.Client.get", lambda *_args, **_query: document)
    address = ["--url", "https://train.example", "findings", "run-1"]
    assert run(address) == 0
    assert "a.py: error: There is a key here. [secret]" in capsys.readouterr().out
    assert run([*address, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == document


def test_the_hook_is_installed(tree: Path) -> None:
    assert run(["check", str(tree), "--install-hook"]) == 0
    assert (tree / ".git" / "hooks" / "pre-push").exists()


def test_metrics_of_a_script_that_swept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training = "epoch 1 loss: 0.5\nepoch 2 loss: 0.4\n"
    (tmp_path / "log").write_text(training * 4)
    scopes = ["--batch-size", "32,64", "--momentum", "0.9,0.8"]
    assert run(["metrics", str(tmp_path / "log"), "--json", *scopes]) == 0
    groups = json.loads(capsys.readouterr().out)["groups"]
    assert [list(group["parameters"].values()) for group in groups] == [[32, 0.9], [32, 0.8], [64, 0.9], [64, 0.8]]
    for wrong in ("32,x", "nan", "", ",".join(["1"] * 101)):
        with pytest.raises(SystemExit, match="2"):
            run(["metrics", str(tmp_path / "log"), "--momentum", wrong])


@pytest.mark.usefixtures("terminal")
def test_metrics_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log").write_text("epoch: 1 step: 44, loss is 0.5\n")
    assert run(["metrics", str(tmp_path / "log")]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["loss", "1", *["0.5"] * 4, "epoch", "1,", "step", "44"]
    assert run(["metrics", str(tmp_path / "log"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["groups"][0]["series"]["loss"][0]["value"] == 0.5


def test_without_an_address_it_says_which_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TRAINYARD_URL", raising=False)
    assert run(["list", "demo/lenet5"]) == 1
    assert "TRAINYARD_URL" in capsys.readouterr().err
