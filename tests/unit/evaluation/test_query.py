"""The tables of `infra/query.yaml`, read from the files that functions write, by the schema that is deployed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from builders import COMMIT, NOW, a_repository, a_run, a_spec
from unit.infra.templates import ROOT, properties_of

from trainyard.evaluation.verdict import judge_run
from trainyard.intake.commands import delete_run
from trainyard.logs.run import index_logs
from trainyard.model.repository import Scope
from trainyard.model.request import PinnedInput, RunRequest
from trainyard.model.run import RunState
from trainyard.store import State, layout
from trainyard.store.access import issue_token

TYPES = {
    "string": "VARCHAR", "int": "INTEGER", "bigint": "BIGINT", "double": "DOUBLE",
    "map<string,string>": "MAP(VARCHAR, VARCHAR)", "map<string,double>": "MAP(VARCHAR, DOUBLE)",
}  # fmt: skip
TABLES = {
    each["TableInput"]["Name"]: each["TableInput"]
    for each in properties_of("AWS::Glue::Table", ROOT / "infra/query.yaml").values()
}


def open_tables(state: State, folder: Path) -> duckdb.DuckDBPyConnection:
    """The tables as Athena finds them: under their location, with their partitions, by their columns."""
    for entry in state.objects.find("query/"):
        path = folder / entry.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(state.objects.get(entry.key))
    tables = duckdb.connect()
    for name, table in TABLES.items():
        place = table["StorageDescriptor"]["Location"]["Fn::Sub"].removeprefix("s3://${BucketName}/")
        assert table["Parameters"]["storage.location.template"]["Fn::Sub"].endswith(f"/{place}day=${{!day}}")
        columns = {column["Name"]: TYPES[column["Type"]] for column in table["StorageDescriptor"]["Columns"]}
        columns |= {key["Name"]: TYPES[key["Type"]] for key in table["PartitionKeys"]}
        tables.execute(
            f"CREATE VIEW {name} AS SELECT * FROM read_json('{folder}/{place}**/*.gz', format='newline_delimited', "
            f"hive_partitioning=true, hive_types_autocast=false, columns={columns})"
        )
    return tables


@pytest.fixture
def trained(state: State) -> State:
    import gzip

    state.table.create_repository(a_repository())
    for number, last in enumerate(("accuracy: 0.8 loss: 0.5", "accuracy: 0.9 loss: nan"), 1):
        run_id, spec = (
            f"run-{number:022d}",
            a_spec(hyperparameters={"lr": 0.1}, evaluation={"require": {"accuracy": ">= 0.85"}}),
        )
        run = a_run(run_id, state=RunState.SUCCEEDED, attempt=1, spec=spec, created_at=NOW + timedelta(days=number))
        state.table.create_run(run)
        pinned = PinnedInput(argument="data_url", source="dataset a/b", revision=COMMIT, is_file=False, files=[])
        request = RunRequest(
            run_id=run_id, name="n", project=run.project, commit=COMMIT, spec=spec, code_key="k", inputs=[pinned]
        )
        state.objects.put(layout.request_key(run_id), request.model_dump_json().encode())
        log = f"epoch 1 accuracy: 0.1 loss: 0.9\nepoch 2 {last}\n"
        state.objects.put(layout.log_chunk_key(run_id, 1, 0), gzip.compress(log.encode()))
        index_logs(state, run_id)
        judge_run(state, run_id)
    return state


def test_points_and_runs(trained: State, tmp_path: Path) -> None:
    tables = open_tables(trained, tmp_path)
    rows = tables.execute(
        "SELECT * EXCLUDE (project, name) FROM points WHERE day = '2026-01-04' ORDER BY metric, epoch"
    ).fetchall()
    run = f"run-{2:022d}"
    assert rows == [
        (run, 0, "accuracy", None, 1.0, 0.1, None, "2026-01-04"),
        (run, 0, "accuracy", None, 2.0, 0.9, None, "2026-01-04"),
        (run, 0, "loss", None, 1.0, 0.9, None, "2026-01-04"),
        (run, 0, "loss", None, 2.0, None, "NaN", "2026-01-04"),
    ]
    (row,) = tables.execute(
        "SELECT verdict, parameters, inputs, best, created_at FROM runs WHERE day = '2026-01-03'"
    ).fetchall()
    assert row == (
        "failed",
        {"lr": "0.1"},
        {"data_url": f"dataset a/b@{COMMIT}"},
        {"accuracy": 0.8, "loss": 0.5},
        (NOW + timedelta(days=1)).isoformat(),
    )


def test_the_documented_questions(trained: State, tmp_path: Path) -> None:
    text = "\n".join(
        line for line in (ROOT / "infra/queries.sql").read_text().splitlines() if not line.startswith("--")
    )
    tables = open_tables(trained, tmp_path)
    answers = [tables.execute(one).fetchall() for one in text.split(";") if one.strip()]
    first, second = (f"run-{number:022d}" for number in (1, 2))
    assert answers == [[(second, 0.9), (first, 0.8)], [("demo/lenet5", 2, 1)], [(second, "demo", 2.0)]]


def test_a_deleted_run_is_in_no_table(trained: State, tmp_path: Path) -> None:
    token: Any = issue_token(trained.table, "demo", [Scope.WRITE])[1]
    delete_run(trained, f"run-{2:022d}", token)
    tables = open_tables(trained, tmp_path)
    assert tables.execute("SELECT DISTINCT run FROM points").fetchall() == [(f"run-{1:022d}",)]
    assert tables.execute("SELECT run FROM runs").fetchall() == [(f"run-{1:022d}",)]
