"""The bundle: what a run was made of and came to, signed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from builders import COMMIT, NOW, a_run, a_spec

from trainyard.evaluation.verdict import judge_run
from trainyard.logs.run import index_logs
from trainyard.model.bundle import Bundle, signed_bytes
from trainyard.model.request import InputFile, PinnedInput, RunRequest
from trainyard.model.result import AttemptResult, Ending, Machine, OutputFile
from trainyard.model.run import RunState, Transition
from trainyard.store import State, layout
from trainyard.store.signing import is_signed, sign

SHA = "c" * 64
ENV = {"OMP_NUM_THREADS": "2", "WANDB_API_KEY": "abc", "PROXY": "http://ada:pw@proxy.example", "MODE": "fast"}


def bundle(state: State, run_id: str = "run-1") -> dict[str, Any]:
    return json.loads(state.objects.get(layout.bundle_key(run_id)))


def public_key(state: State, document: dict[str, Any]) -> bytes:
    return state.objects.get(layout.public_key_key(document["signature"]["key"]))


@pytest.fixture
def trained(state: State) -> State:
    spec = a_spec(env=ENV, hyperparameters={"lr": 0.1})
    ended = Transition(state=RunState.SUCCEEDED, attempt=1, at=NOW)
    state.table.create_run(a_run(state=RunState.SUCCEEDED, attempt=1, spec=spec, exit_code=0, timeline=[ended]))
    files = [InputFile(path=name, size=3, sha256=SHA, key="k") for name in ("b", "a")]
    pinned = PinnedInput(argument="data_url", source="dataset a/b", revision=COMMIT, is_file=False, files=files)
    request = RunRequest(
        run_id="run-1",
        name="n",
        project="demo/lenet5",
        commit=COMMIT,
        tree="d" * 40,
        spec=spec,
        code_key="k",
        inputs=[pinned],
    )
    state.objects.put(layout.request_key("run-1"), request.model_dump_json().encode())
    result = AttemptResult(
        run_id="run-1", attempt=1, ending=Ending.SUCCEEDED, finished_at=NOW,
        packages=["numpy==2.0", "torch==2.4"], package_digests={"numpy==2.0": SHA},
        machine=Machine(cpu="a cpu", image_digest=f"sha256:{SHA}"),
        outputs=[OutputFile(path="metrics.json", size=17, sha256=SHA)],
    )  # fmt: skip
    state.objects.put(layout.result_key("run-1", 1), result.model_dump_json().encode())
    state.objects.put(layout.output_prefix("run-1") + "metrics.json", b'{"accuracy": 0.9, "loss": 1e-7}')
    index_logs(state, "run-1")
    judge_run(state, "run-1")
    return state


def test_it_says_what_the_run_was_made_of(trained: State) -> None:
    found = Bundle.model_validate(bundle(trained))
    assert (found.code.commit, found.code.tree, found.verdict) == (COMMIT, "d" * 40, "not_required")
    assert [(one.name, one.version, one.digest) for one in found.packages] == [
        ("numpy", "2.0", SHA),
        ("torch", "2.4", None),
    ]
    assert (found.inputs[0].revision, found.inputs[0].files, found.inputs[0].size) == (COMMIT, 2, 6)
    assert (found.hardware.image_digest, found.outputs[0].sha256) == (f"sha256:{SHA}", SHA)
    assert (found.metrics.best, found.parameters) == ({"accuracy": 0.9, "loss": 1e-7}, {"lr": 0.1})
    hidden = {"WANDB_API_KEY": "(hidden)", "PROXY": "(hidden)"}
    assert found.environment == {"OMP_NUM_THREADS": "2", "MODE": "fast"} | hidden


def test_of_several_machines_it_says_how_many_and_what_each_left(state: State) -> None:
    spec = a_spec(nodes=3, processes=2, hyperparameters={"lr": 0.1})
    ended = Transition(state=RunState.SUCCEEDED, attempt=2, at=NOW)
    state.table.create_run(a_run(state=RunState.SUCCEEDED, attempt=2, spec=spec, exit_code=0, timeline=[ended]))
    for node in (0, 1):
        result = AttemptResult(
            run_id="run-1", attempt=2, ending=Ending.SUCCEEDED, finished_at=NOW, machine=Machine(cpu=f"cpu {node}"),
            outputs=[OutputFile(path=f"rank-{node}.txt", size=17, sha256=SHA)],
        )  # fmt: skip
        place = layout.node_id("run-1", node) if node else "run-1"
        state.objects.put(layout.result_key(place, 2), result.model_dump_json().encode())
    index_logs(state, "run-1")
    judge_run(state, "run-1")
    found = Bundle.model_validate(bundle(state))
    assert (found.nodes, found.processes, found.attempts) == (3, 2, 2)
    (other,) = found.others
    assert (other.node, other.ending, other.outputs[0].path) == (1, Ending.SUCCEEDED, "rank-1.txt")
    assert other.hardware is not None
    assert other.hardware.cpu == "cpu 1"


def test_any_change_breaks_the_signature(trained: State) -> None:
    document = bundle(trained)
    signature = Bundle.model_validate(document).signature
    pem = public_key(trained, document)
    assert is_signed(signed_bytes(document), signature, pem)
    # As a person would keep it: in another order and indented.
    again = json.loads(json.dumps(dict(reversed(document.items())), indent=2))
    assert is_signed(signed_bytes(again), signature, pem)
    for change in (
        {"verdict": "passed"},
        {"more": 1},
        {"metrics": {**document["metrics"], "best": {"accuracy": 0.91}}},
    ):
        assert not is_signed(signed_bytes({**document, **change}), signature, pem)
    for wrong in ({"value": "AAAA"}, {"value": "no base64"}, {"key": "e" * 64}, {"algorithm": "none"}):
        assert not is_signed(signed_bytes(document), signature.model_copy(update=wrong), pem)
    assert not is_signed(signed_bytes(document), signature, b"no key")


def test_one_key_signs_all(trained: State) -> None:
    trained.secrets._kept.clear()
    other = sign(trained.secrets, trained.objects, b"other")
    assert other.key == bundle(trained)["signature"]["key"]
    assert is_signed(b"other", other, public_key(trained, bundle(trained)))


def test_a_key_in_kms_gives_the_same_kind_of_signature(state: State) -> None:
    import boto3

    key = boto3.client("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    signature = sign(state.secrets, state.objects, b"data", key)
    pem = state.objects.get(layout.public_key_key(signature.key))
    # The data's digest is what KMS is given; moto takes a digest for a message and hashes it once more.
    signed = [data for data in (b"data", hashlib.sha256(b"data").digest()) if is_signed(data, signature, pem)]
    assert len(signed) == 1
    assert not is_signed(b"date", signature, pem)


@pytest.mark.parametrize("ended_as", [RunState.FAILED, RunState.STOPPED, RunState.TIMED_OUT])
def test_a_run_that_left_nothing_has_one_too(state: State, ended_as: RunState) -> None:
    state.table.create_run(a_run(state=ended_as, attempt=0, spec=None, commit=None))
    index_logs(state, "run-1")
    judge_run(state, "run-1")
    document = bundle(state)
    assert (document["state"], document["outputs"], document["packages"]) == (ended_as.value, [], [])
    assert is_signed(signed_bytes(document), Bundle.model_validate(document).signature, public_key(state, document))


def test_packages_have_the_same_digest_wherever_they_lie(tmp_path: Path) -> None:
    from trainyard.runner.installer import digests

    lines = ["a/__init__.py,sha256=abc,3", "a/b.py,sha256=def,4"]
    more = ["../../../bin/a,sha256=other,9", "a/__pycache__/b.pyc,,", "a-1.0.dist-info/INSTALLER,sha256=uv,2"]
    for name, record in (
        ("one", lines),
        ("two", [*reversed(lines), *more]),
        ("three", [lines[0], "a/b.py,sha256=xyz,4"]),
    ):
        folder = tmp_path / name / "lib/python3.11/site-packages/a-1.0.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: a\nVersion: 1.0\n")
        (folder / "RECORD").write_text("\n".join(record))
    one, two, three = (digests(tmp_path / name)["a==1.0"] for name in ("one", "two", "three"))
    assert one == two != three
