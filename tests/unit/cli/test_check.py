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


def test_the_hook_is_installed(tree: Path) -> None:
    assert run(["check", str(tree), "--install-hook"]) == 0
    assert (tree / ".git" / "hooks" / "pre-push").exists()


def test_metrics_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log").write_text("epoch: 1 step: 44, loss is 0.5\n")
    assert run(["metrics", str(tmp_path / "log")]) == 0
    assert json.loads(capsys.readouterr().out)["groups"][0]["series"]["loss"][0]["value"] == 0.5


def test_without_an_address_it_says_which_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TRAINYARD_URL", raising=False)
    assert run(["list", "demo/lenet5"]) == 1
    assert "TRAINYARD_URL" in capsys.readouterr().err
