"""The table is lost, and made again from what was kept: row for row, without a word to anybody."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from faults.way import PROJECT, furnished, scenes
from faults.world import Step, World
from unit.validation.git_rig import git

from trainyard.cli.main import run as cli
from trainyard.clients import client
from trainyard.compute.registry import backend
from trainyard.submission import submit
from trainyard.tracking.sweep import sweep_runs

TEMPLATE = {
    "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
    "Outputs": {
        "TableName": {"Value": "trainyard"},
        "BucketName": {"Value": "trainyard"},
        "SecretsPrefix": {"Value": "/trainyard"},
    },
}
MAIN = "refs/heads/main"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, str]]:
    with furnished(tmp_path_factory.mktemp("replay")) as (made, token):
        client("cloudformation").create_stack(StackName="trainyard", TemplateBody=json.dumps(TEMPLATE))
        yield made, token


@pytest.fixture
def gone(around: tuple[World, str]) -> Iterator[tuple[World, str]]:
    """The world before the way; it is put back afterwards."""
    made, token = around
    start = made.snapshot()
    yield made, token
    made.restore(start)


def go(made: World, token: str, upto: int | None = None) -> None:
    for scene in scenes(token)[:-1][:upto]:
        step = scene(made)
        made.pending.extend([step] if step else [])
        made.settle()


def keep(made: World, chance: random.Random) -> None:
    """The stream reaches the journal in batches of any size, some of them twice and cut differently."""
    records = made.journal().event["Records"]
    while records:
        size = chance.randrange(1, 12)
        made.through(Step("keep_journal", {"Records": records[:size]}))
        records = records[chance.randrange(max(1, size // 2), size + 1) :]
    assert made.dead == []


def lose(made: World) -> dict[str, Any]:
    """Every row; returns them but for those that come to nothing."""
    lost = made.rows()
    for pk in lost:
        client("dynamodb").delete_item(TableName="trainyard", Key={"pk": {"S": pk}})
    made._table.stream_shard.items.clear()
    return {pk: item for pk, item in lost.items() if item["kind"]["S"] != "count"}


def rows(made: World) -> dict[str, Any]:
    return {pk: made.state.table.without_mark(item) for pk, item in made.rows().items()}


def replay(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    capsys.readouterr()
    assert cli(["replay", *words]) == 0
    return json.loads(capsys.readouterr().out)


def spoken(made: World) -> Counter[str]:
    made.events.clear()
    made.drain()
    return made.events


@pytest.mark.parametrize("seed", range(3))
def test_the_table_is_made_again(gone: tuple[World, str], capsys: pytest.CaptureFixture[str], seed: int) -> None:
    made, token = gone
    go(made, token)
    keep(made, random.Random(seed))
    lost = lose(made)
    assert len({item["kind"]["S"] for item in lost.values()}) >= 6
    assert replay(capsys, "--dry-run")["rows"]["written"] == len(lost)
    assert made.rows() == {}
    done = replay(capsys)
    assert rows(made) == lost
    assert (done["rows"]["written"], done["pushes"]) == (len(lost), 0)
    assert spoken(made) == Counter()
    again = replay(capsys)["rows"]
    assert (again["written"], again["same"]) == (0, done["rows"]["written"] + done["rows"]["same"])


def test_what_changed_since_is_left_alone(gone: tuple[World, str], capsys: pytest.CaptureFixture[str]) -> None:
    made, token = gone
    go(made, token, 4)
    keep(made, random.Random(0))
    (run,) = made.state.table.runs_of("demo/lenet5").rows
    made.state.table.change_run(run.id, lambda known: known.model_copy(update={"nudges": known.nudges + 1}))
    before = made.rows()
    assert replay(capsys)["rows"]["newer"] == 1
    assert made.rows() == before


def test_a_former_moment(gone: tuple[World, str], capsys: pytest.CaptureFixture[str]) -> None:
    """An older copy of the table is brought forward; what was removed meanwhile goes again."""
    made, token = gone
    old = made.rows()
    made.state.table.create_token(_token())
    made.drain()
    with_token = made.rows()
    go(made, token, 4)
    made.state.table.delete_token(_token().digest)
    made.drain()
    keep(made, random.Random(0))
    wanted = lose(made)
    for item in with_token.values():
        client("dynamodb").put_item(TableName="trainyard", Item=item)
    made._table.stream_shard.items.clear()
    done = replay(capsys)["rows"]
    assert done["removed"] == 1
    assert rows(made) == wanted
    assert set(old) <= set(wanted)


@pytest.mark.parametrize("upto", range(1, 5))
def test_what_the_journal_does_not_know_yet_comes_about_again(
    gone: tuple[World, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, upto: int
) -> None:
    """The table is lost before the last batch was kept: stored requests and the backend's history tell the rest."""
    made, token = gone
    # By the time the table is there again, who held a claim is long gone, and no run is new.
    monkeypatch.setattr(submit, "LEASE", timedelta(0))
    monkeypatch.setattr(submit, "PROMPT", timedelta(0))
    keep(made, random.Random(upto))
    go(made, token, 4)
    undisturbed = _end(made)
    records = made.unkept[:]
    cut = len(records) * (upto - 1) // 4
    made.unkept[cut:] = []
    keep(made, random.Random(upto))
    lose(made)
    replay(capsys)
    made.drain()
    made.settle()
    for _ in range(4):
        sweep_runs(made.state, backend, datetime.now(UTC) + timedelta(hours=1))
        made.drain()
        made.settle()
    assert _end(made) == undisturbed
    assert made.dead == []


@pytest.mark.parametrize("upto", [1, 2, 4])
def test_a_run_that_the_api_was_asked_for_comes_about_again(
    gone: tuple[World, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, upto: int
) -> None:
    """Its branch moves meanwhile, and the job that it has is the only one."""
    made, token = gone
    monkeypatch.setattr(submit, "LEASE", timedelta(0))
    monkeypatch.setattr(submit, "PROMPT", timedelta(0))
    keep(made, random.Random(upto))
    asked = scenes(token)[4](made)
    assert asked is not None
    made.pending.append(asked)
    made.settle()
    for status in ("STARTING", "RUNNING"):
        made.job(status)
        made.settle()
    undisturbed = _end(made)
    records = made.unkept[:]
    made.unkept[len(records) * (upto - 1) // 4 :] = []
    keep(made, random.Random(upto))
    lose(made)
    bare = made.git.root / f"{PROJECT}.git"
    git(bare, "update-ref", MAIN, git(bare, "commit-tree", "-p", MAIN, "-m", "another", f"{MAIN}^{{tree}}"))
    dry = replay(capsys, "--dry-run")["requests"]
    assert replay(capsys)["requests"] == dry == (1 if upto == 1 else 0)
    made.drain()
    made.settle()
    for _ in range(4):
        sweep_runs(made.state, backend, datetime.now(UTC) + timedelta(hours=1))
        made.drain()
        made.settle()
    git(bare, "update-ref", MAIN, made.commit)
    assert _end(made) == undisturbed
    assert made.dead == []


def _end(made: World) -> Any:
    (run,) = made.state.table.runs_of("demo/lenet5").rows
    jobs = Counter(str(job.status) for job in made.batch._state.jobs.values())
    return run.id, run.state, run.commit, run.logs.state, run.evaluation.verdict, run.job, jobs


def _token() -> Any:
    from trainyard.model.repository import AccessToken, Scope

    return AccessToken(id="t-1", user="demo", digest="d" * 64, scopes=[Scope.READ], name="old", created_at=LONG_AGO)
