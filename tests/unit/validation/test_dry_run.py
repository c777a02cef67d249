"""A form asks what validation would say before anything is submitted."""

from __future__ import annotations

from typing import Any

import pytest
from builders import NOW, a_repository, a_spec
from unit.validation.git_rig import GitServer

from trainyard.model.check import Check, CommitListing
from trainyard.model.ids import new_check_id
from trainyard.store import State, layout
from trainyard.validation.dry_run import answer_check

SCRIPT = (
    "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--output_path')\nparser.parse_args()\n"
)


@pytest.fixture
def project(state: State, git_server: GitServer) -> Any:
    state.table.create_repository(a_repository("demo/lenet5", clone_url=git_server.url("demo/lenet5")))
    return git_server.repository("demo/lenet5")


def ask(state: State, **changes: Any) -> Check:
    check = Check(
        id=new_check_id(), project="demo/lenet5", requested_by="demo", name="lenet5", requested_at=NOW, **changes
    )
    state.table.create_check(check)
    return check


def test_what_a_commit_holds_is_listed_without_a_run(state: State, project: Any) -> None:
    commit = project.commit({"train/dir/train.py": SCRIPT, "train/data.csv": "", "tool.py": ""})
    answer = answer_check(state, ask(state).id)
    assert answer is not None
    assert (answer.commit, answer.findings) == (commit, [])
    listing = CommitListing.model_validate_json(state.objects.get(layout.listing_key("demo/lenet5", commit)))
    assert listing.folders == ["", "train/dir"]
    assert listing.python_files == ["tool.py", "train/dir/train.py"]


def test_findings_name_the_field_that_caused_them(state: State, project: Any) -> None:
    project.commit({"train/train.py": SCRIPT, "train/pip-requirements.txt": ""})
    spec = a_spec(
        code_dir="trian", hyperparameters={"epochs": 3}, inputs={"data_url": {"dataset": "demo/digits"}}, flavor="cpux"
    )
    answer = answer_check(state, ask(state, spec=spec).id)
    assert answer is not None
    fields = {finding.field for finding in answer.findings}
    assert {"code_dir", "flavor"} <= fields
    assert any(field.startswith("inputs.data_url") for field in fields)


def test_a_branch_that_is_not_there_is_a_finding_and_the_answer_stays(state: State, project: Any) -> None:
    project.commit({"train.py": SCRIPT})
    check = ask(state, ref="nothing")
    answer = answer_check(state, check.id)
    assert answer is not None
    assert [finding.rule for finding in answer.findings] == ["commit-unavailable"]
    project.commit({"train.py": SCRIPT}, ref="refs/heads/nothing")
    assert answer_check(state, check.id) == answer, "a second delivery changes nothing"


def test_nobody_asked(state: State) -> None:
    assert answer_check(state, new_check_id()) is None
