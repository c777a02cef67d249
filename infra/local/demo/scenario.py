"""The main job, as a person would do it: push, watch, look at the verdict, then fine-tune from a form."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.local.demo.screen import Screen
from infra.local.demo.user import User
from infra.local.examples.digits import write_digits

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "lenet5"
PROJECT, DATASET = "demo/lenet5", "demo/digits"
EPOCHS, FINE_TUNING_EPOCHS = 10, 3
ACCURACY = 0.9
# The first run downloads MindSpore; on a slow line that alone takes most of this.
RUN_SECONDS = 1800.0
_POLL_SECONDS = 0.2
# The evaluation follows the end of a run by a few hops.
_VERDICT_SECONDS = 60.0
_FINAL = ("rejected", "succeeded", "failed", "stopped", "timed_out")


class DemoFailedError(RuntimeError):
    """A step did not do what it should."""


class Scenario:
    """One person with one project and one data set."""

    def __init__(self, user: User, screen: Screen, example: Path = EXAMPLE) -> None:
        self.user, self.screen, self._example = user, screen, example

    def create_dataset(self) -> None:
        """A data set repository with the digits, its large files through Git LFS."""
        self.screen.step(f"A data set repository {DATASET}: 1,797 real handwritten digits, pushed with Git LFS")
        tree = self._new_repository(DATASET, "dataset")
        write_digits(tree)
        self._git("lfs", "track", "*ubyte", at=tree)
        self.screen.command("git add . && git commit && git push")
        self.user.push(tree, "The digits")

    def push_project(self) -> tuple[str, datetime]:
        """The tutorial's project, pushed: the commit, and when the push began."""
        self.screen.step(f"A project repository {PROJECT} with the tutorial's tree, pushed: that starts a training")
        tree = self._new_repository(PROJECT, "project")
        shutil.copytree(self._example, tree, dirs_exist_ok=True)
        self.screen.command("git add . && git commit && git push")
        began = datetime.now(UTC)
        commit, _ = self.user.push(tree, "LeNet-5")
        self.screen.note(f"pushed {commit[:10]} in {(datetime.now(UTC) - began).total_seconds():.2f} s")
        return commit, began

    def run_of(self, commit: str) -> Any:
        """The run that the push of `commit` started."""
        deadline = time.monotonic() + _VERDICT_SECONDS
        while time.monotonic() < deadline:
            runs = self.user.api.get(f"/v1/projects/{PROJECT}/runs")["runs"]
            for run in runs:
                if run["commit"] == commit:
                    return run
            time.sleep(_POLL_SECONDS)
        raise DemoFailedError(f"no run of {commit[:10]} within {_VERDICT_SECONDS:.0f} s; was the webhook delivered?")

    def submit_form(self, first: Any, checkpoint: str) -> tuple[Any, datetime]:
        """The form 创建训练实例: fine-tune from the checkpoint that the first run left."""
        self.screen.step("The form 创建训练实例: fine-tuning from that checkpoint")
        fields = {
            "训练名称": "lenet5-finetune",
            "代码目录": "train/trainDir",
            "启动文件": "train.py",
            "框架版本": "mindspore-cpu",
            "计算资源": "cpu",
            "pretrain_url": f"{first['id']}/{checkpoint}",
            "data_url": DATASET,
            "output_path": "on",
            "超参.epochs": str(FINE_TUNING_EPOCHS),
            "评估要求.accuracy": f">= {ACCURACY}",
        }
        for name, value in fields.items():
            self.screen.note(f"{name} = {value}")
        began = datetime.now(UTC)
        return self.user.api.post_form(f"/v1/projects/{PROJECT}/runs", fields), began

    def follow(self, run: Any, began: datetime, epochs: int) -> Any:
        """Show states and the training's own lines as they come, until the verdict. The run as it is then."""
        path = f"/v1/runs/{run['id']}"
        deadline = time.monotonic() + RUN_SECONDS
        shown, offset = 0, 0
        waiting = None
        while time.monotonic() < deadline:
            run = self.user.api.get(path)
            for step in run["timeline"][shown:]:
                self.screen.state(datetime.fromisoformat(step["at"]), began, step["state"])
                if step["state"] == "running":
                    self.screen.watch_epochs(epochs)
            shown = len(run["timeline"])
            if run.get("waiting") != waiting:
                waiting = run.get("waiting")
                if waiting:
                    self.screen.note(waiting["en"] if isinstance(waiting, dict) else waiting)
            offset = self._show_log(path, offset)
            if run["state"] in _FINAL:
                self.screen.stop_watching()
                return self._await_verdict(path, run, began)
            time.sleep(_POLL_SECONDS)
        raise DemoFailedError(f"{run['id']} is {run['state']} after {RUN_SECONDS:.0f} s")

    def show_results(self, run: Any) -> str:
        """Curves, figures, verdict, outputs, times; the name of the last checkpoint."""
        path = f"/v1/runs/{run['id']}"
        series = self.user.api.get(f"{path}/metrics")["groups"][0]["series"]
        for name in ("loss", "accuracy"):
            self.screen.curve(name, series.get(name, []))
        self._show_evaluation(self.user.api.get(f"{path}/evaluation"))
        outputs = self.user.api.get(f"{path}/outputs")["outputs"]
        self.screen.table("What the run left", ["file", "bytes"], [(one["path"], one["size"]) for one in outputs])
        checkpoints = sorted(
            (one for one in outputs if one["path"].endswith(".ckpt")), key=lambda one: _steps_of(one["path"])
        )
        if not checkpoints:
            raise DemoFailedError("the run left no checkpoint")
        last: str = checkpoints[-1]["path"]
        self.screen.note(f"checkpoint: {last}")
        return last

    def _await_verdict(self, path: str, run: Any, began: datetime) -> Any:
        deadline = time.monotonic() + _VERDICT_SECONDS
        while run["state"] != "rejected" and run["evaluation"]["state"] == "none":
            if time.monotonic() > deadline:
                raise DemoFailedError(f"no verdict within {_VERDICT_SECONDS:.0f} s")
            time.sleep(_POLL_SECONDS)
            run = self.user.api.get(path)
        verdict = run["evaluation"].get("verdict")
        if verdict:
            self.screen.state(datetime.fromisoformat(run["updated_at"]), began, "verdict", verdict)
        return run

    def _show_log(self, path: str, offset: int) -> int:
        page = self.user.api.get(f"{path}/log", offset=offset)
        self.screen.log(page["text"])
        return int(page["next_offset"])

    def _show_evaluation(self, evaluation: Any) -> None:
        best_group = evaluation["best_group"] or 0
        rows = []
        for name, figures in evaluation["groups"][best_group]["metrics"].items():
            best = figures["best"] or {}
            rows.append((name, _number(figures["last"]["value"]), _number(best.get("value")), best.get("epoch", "")))
        self.screen.table("Metrics", ["metric", "last", "best", "at epoch"], rows)
        for gate in evaluation["gates"]:
            said = "passed" if gate["passed"] else "failed"
            self.screen.note(f"{gate['metric']} {gate['requirement']}: {_number(gate['actual'])} {said}")
        self.screen.note(f"verdict: {evaluation['verdict']}")

    def _new_repository(self, full_name: str, kind: str) -> Path:
        self.screen.command(f"POST /v1/repositories  name={full_name} kind={kind}")
        made = self.user.api.post("/v1/repositories", {"name": full_name, "kind": kind})
        clone_url = made["repository"]["clone_url"]
        self.screen.command(f"git clone {clone_url}")
        return self.user.clone(clone_url)

    def _git(self, *words: str, at: Path) -> None:
        self.screen.command("git " + " ".join(words))
        self.user.git(*words, at=at)


def _steps_of(checkpoint: str) -> tuple[int, ...]:
    """`lenet-10_44.ckpt` -> (10, 44), so that the tenth epoch comes after the ninth."""
    digits = "".join(character if character.isdigit() else " " for character in checkpoint)
    return tuple(int(number) for number in digits.split())


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else str(value if value is not None else "")
