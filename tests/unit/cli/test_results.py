"""logs, search, metrics, compare, leaderboard, report: what a person sees of runs that ended."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from pathlib import Path

import pytest
from builders import NOW, a_repository, a_run
from unit.cli.conftest import Call

from trainyard.evaluation.verdict import judge_run
from trainyard.logs.run import index_logs
from trainyard.model.run import RunState
from trainyard.store import State, layout

RUNS = [f"run-{number:022d}" for number in (1, 2)]
LOGS = [
    "epoch 1 loss: 0.9 accuracy: 0.5\nepoch 2 loss: 0.5 accuracy: 0.8\n",
    "epoch 1 loss: 0.7 accuracy: 0.6\nepoch 2 loss: 0.4 accuracy: 0.9\n准确率 done\n",
]


@pytest.fixture
def trained(state: State) -> None:
    state.table.create_repository(a_repository("ada/lenet5"))
    for number, (run_id, log) in enumerate(zip(RUNS, LOGS, strict=True)):
        state.table.create_run(
            a_run(
                run_id,
                project="ada/lenet5",
                state=RunState.SUCCEEDED,
                attempt=1,
                created_at=NOW + timedelta(hours=number),
            )
        )
        state.objects.put(layout.log_chunk_key(run_id, 1, 0), gzip.compress(log.encode()))
        index_logs(state, run_id)
        judge_run(state, run_id)


@pytest.mark.usefixtures("trained")
class TestResults:
    def test_the_log_and_its_end(self, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
        assert call("logs", RUNS[1]) == 0
        assert capsys.readouterr().out == LOGS[1]
        assert call("logs", RUNS[1], "--tail", "1", "-f") == 0
        assert capsys.readouterr().out == "准确率 done\n"

    def test_search(self, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
        assert call("search", RUNS[1], "准确率") == 0
        assert capsys.readouterr().out == "3: 准确率 done\n"
        assert call("search", "ada/lenet5", "-e", "^epoch 2", "-m", "1") == 0
        assert capsys.readouterr().out == f"{RUNS[1]}:2: epoch 2 loss: 0.4 accuracy: 0.9\n"
        assert call("search", RUNS[0], "absent") == 1
        assert call("search", RUNS[0], "-e", "(") == 1
        assert "RE2" in capsys.readouterr().err

    @pytest.mark.usefixtures("terminal")
    def test_metrics(self, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
        assert call("metrics", RUNS[0]) == 0
        assert capsys.readouterr().out.splitlines()[1].split()[:4] == ["loss", "2", "0.9", "0.5"]
        assert call("metrics", RUNS[0], "--json") == 0
        document = json.loads(capsys.readouterr().out)
        assert document["groups"][0]["series"]["loss"][1] == {"step": None, "epoch": 2, "value": 0.5}

    @pytest.mark.usefixtures("terminal")
    def test_compare(self, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
        assert call("compare", RUNS[1]) == 0
        lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
        assert "0.8 (-0.1 worse)" in lines["accuracy"]
        assert "0.5 (+0.1 worse)" in lines["loss"]
        assert call("compare", RUNS[1], "best", "--json") == 0
        assert json.loads(capsys.readouterr().out)["runs"] == [RUNS[1], RUNS[0]]

    @pytest.mark.usefixtures("terminal")
    def test_leaderboard_and_report(self, call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert call("leaderboard", "ada/lenet5") == 0
        assert capsys.readouterr().out.splitlines()[1].split()[:4] == ["1", RUNS[1], "accuracy", "0.9"]
        assert call("report", RUNS[0]) == 0
        assert capsys.readouterr().out.startswith("## Evaluation")
        assert call("report", RUNS[0], "--format", "html", "-o", str(tmp_path / "r.html")) == 0
        assert "<svg" in (tmp_path / "r.html").read_text()
