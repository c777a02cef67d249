"""logs, search, metrics, compare, leaderboard, report: what a person sees of runs that ended."""

from __future__ import annotations

import gzip
import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import NOW, a_repository, a_run
from unit.cli.conftest import Call

from trainyard.evaluation.verdict import judge_run
from trainyard.logs.run import index_logs
from trainyard.model.result import AttemptResult, Ending, OutputFile
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

    @pytest.mark.usefixtures("terminal")
    def test_verify(self, call: Call, state: State, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert call("verify", RUNS[0]) == 0
        assert RUNS[0] in capsys.readouterr().out
        document = json.loads(state.objects.get(layout.bundle_key(RUNS[0])))
        file, key = tmp_path / "bundle.json", tmp_path / "key.pem"
        file.write_text(json.dumps(document, indent=2))
        key.write_bytes(state.objects.get(layout.public_key_key(document["signature"]["key"])))
        assert call("verify", str(file), "--key", str(key)) == 0
        file.write_text(json.dumps({**document, "verdict": "passed"}))
        assert call("verify", str(file)) == 1
        assert "WRONG" in capsys.readouterr().out
        file.write_text("{}")
        assert call("verify", str(file)) == 1

    @pytest.mark.usefixtures("terminal")
    def test_outputs_are_held_against_the_bundle(
        self, call: Call, state: State, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        files = {"same.txt": b"1", "other.txt": b"2", "gone.txt": b"3"}
        outputs = [OutputFile(path=n, size=1, sha256=hashlib.sha256(c).hexdigest()) for n, c in files.items()]
        result = AttemptResult(run_id=RUNS[0], attempt=1, ending=Ending.SUCCEEDED, finished_at=NOW, outputs=outputs)
        state.objects.put(layout.result_key(RUNS[0], 1), result.model_dump_json().encode())
        judge_run(state, RUNS[0])
        (tmp_path / "same.txt").write_bytes(b"1")
        (tmp_path / "other.txt").write_bytes(b"x")
        assert call("verify", RUNS[0], "--outputs", str(tmp_path)) == 1
        told = dict(reversed(line.split()) for line in capsys.readouterr().out.splitlines()[1:])
        assert told == {"same.txt": "same", "other.txt": "DIFFERENT", "gone.txt": "MISSING"}

    def test_programs_get_json_of_every_command(
        self, call: Call, state: State, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What is printed for people is pretty; what is not is one JSON document, or one a line as a log grows."""

        def asked(*words: str) -> Any:
            assert call(*words) == 0, words
            return json.loads(capsys.readouterr().out)

        state.objects.put(layout.findings_key(RUNS[0]), b'{"findings": []}')
        assert asked("logs", RUNS[0], "--json")["text"] == LOGS[0]
        assert asked("search", RUNS[1], "done", "--json")["hits"][0]["line"] == 3
        assert asked("verify", RUNS[0])["signed"] is True
        assert asked("download", RUNS[0], str(tmp_path))["files"] == []
        assert asked("why", RUNS[0], "--json")["state"] == "succeeded"
        assert asked("findings", RUNS[0], "--json")["findings"] == []
        assert asked("report", RUNS[0], "--json")
        for command in ("show", "metrics", "compare"):
            assert asked(command, RUNS[1])
        assert asked("list", "ada/lenet5")["runs"]

    @pytest.mark.usefixtures("terminal")
    @pytest.mark.parametrize(("accuracy", "status"), [(0.8, 0), (0.5, 1)])
    def test_reproduce(
        self, call: Call, state: State, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        accuracy: float, status: int,
    ) -> None:  # fmt: skip
        def run_it(_seconds: float) -> None:
            """While the command waits, the second run goes its way."""
            second = next(run for run in state.table.runs_of("ada/lenet5").rows if run.rerun_of == RUNS[0])
            log = f"epoch 1 loss: 0.9 accuracy: 0.1\nepoch 2 loss: 0.5 accuracy: {accuracy}\n"
            state.objects.put(layout.log_chunk_key(second.id, 1, 0), gzip.compress(log.encode()))
            state.table.change_run(
                second.id, lambda run: run.model_copy(update={"state": RunState.SUCCEEDED, "attempt": 1})
            )
            index_logs(state, second.id)
            judge_run(state, second.id)

        monkeypatch.setattr("trainyard.cli.commands.bundle.time.sleep", run_it)
        assert call("reproduce", RUNS[0], "--tolerance", "0.001") == status
        told = capsys.readouterr().out
        assert ("reproduced within 0.001" in told) == (status == 0)
        assert ("NOT REPRODUCED: accuracy was 0.8 and is 0.5" in told) == (status == 1)
