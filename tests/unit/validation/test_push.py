"""A push becomes runs: pushed to a real git server, fetched over HTTP, written to the real table and bucket of moto."""

from __future__ import annotations

import io
import json
import tarfile
from datetime import UTC, datetime
from typing import Any

import pytest
from builders import a_push, a_ref, a_repository
from unit.validation.git_rig import GitServer

from trainyard.model import ids
from trainyard.model.finding import Severity
from trainyard.model.repository import Push, RepositoryKind, Visibility
from trainyard.model.request import RunRequest
from trainyard.model.run import Run, RunState
from trainyard.store import State, layout
from trainyard.store.secrets import host_token_name
from trainyard.validation.fetch import RemoteUnavailableError
from trainyard.validation.push import CHECK_SECONDS, validate_push

RUN_FILE = """\
runs:
  lenet5:
    on: {push: {branches: [main], paths: ["train/**"]}}
    code_dir: train/trainDir
    boot_file: train.py
    framework: mindspore-cpu
    flavor: cpu
    hyperparameters: {epochs: 10}
    evaluation: {require: {accuracy: ">= 0.9"}}
"""
TRAIN = """\
import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=1)
parser.add_argument("--output_path", default="")
parser.add_argument("--data_url", default="")
parser.add_argument("--pretrain_url", default="")
args = parser.parse_args()
"""
PROJECT = {"trainyard.yaml": RUN_FILE, "train/trainDir/train.py": TRAIN, "train/trainDir/pip-requirements.txt": ""}


class Rig:
    def __init__(self, state: State, server: GitServer) -> None:
        self.state, self.server = state, server
        self.project = self.register("demo/lenet5", RepositoryKind.PROJECT)

    def register(self, name: str, kind: RepositoryKind, **changes: Any) -> Any:
        self.state.table.create_repository(a_repository(name, kind=kind, clone_url=self.server.url(name), **changes))
        return self.server.repository(name)

    def push(self, commit: str, ref: str = "refs/heads/main", before: str | None = None) -> Push:
        push = a_push(
            ids.push_id("demo/lenet5", ref, commit, "", 0),
            commit=commit,
            ref=ref,
            before=before,
            pusher="ada",
            received_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        )
        known = self.state.table.ref(push.repository, ref)
        assert self.state.table.create_push(push, a_ref(push, known))
        return push

    def pushed(self, files: dict[str, str | bytes], **arguments: Any) -> list[Run]:
        return validate_push(self.state, self.push(self.project.commit(files), **arguments).id)

    def findings(self, run: Run) -> list[dict[str, Any]]:
        return json.loads(self.state.objects.get(layout.findings_key(run.id)))["findings"]

    def request(self, run: Run) -> RunRequest:
        return RunRequest.model_validate_json(self.state.objects.get(layout.request_key(run.id)))


@pytest.fixture
def rig(state: State, git_server: GitServer) -> Rig:
    return Rig(state, git_server)


def archived(state: State, run: Run) -> dict[str, bytes]:
    data = io.BytesIO(state.objects.get(layout.code_key(run.id)))
    with tarfile.open(fileobj=data) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}


def test_a_good_commit_is_admitted_with_its_code_and_request(rig: Rig) -> None:
    (run,) = rig.pushed(PROJECT)

    assert (run.state, run.name, run.commit is not None) == (RunState.ADMITTED, "lenet5", True)
    assert rig.state.table.run(run.id) == run
    request = rig.request(run)
    assert (request.project, request.commit, request.spec.hyperparameters) == (
        "demo/lenet5",
        run.commit,
        {"epochs": 10},
    )
    code = archived(rig.state, run)
    assert set(code) == set(PROJECT)
    assert code["train/trainDir/train.py"].decode() == TRAIN
    assert rig.findings(run) == []


def test_the_archive_holds_what_was_committed_whatever_its_attributes_say(rig: Rig) -> None:
    attributes = "train.py export-ignore\nnotes.txt export-subst text eol=crlf\n"
    (run,) = rig.pushed({**PROJECT, ".gitattributes": attributes, "notes.txt": "$Format:%H$\n"})

    code = archived(rig.state, run)
    assert code["notes.txt"] == b"$Format:%H$\n"
    assert "train/trainDir/train.py" in code


def test_a_second_delivery_changes_nothing(rig: Rig) -> None:
    push = rig.push(rig.project.commit(PROJECT))
    first = validate_push(rig.state, push.id)
    rig.project.commit({"trainyard.yaml": "broken: ["})  # the branch moves on; the push does not

    assert validate_push(rig.state, push.id) == first
    assert len(rig.state.table.runs_of("demo/lenet5").rows) == 1


def test_two_deliveries_at_the_same_moment_name_the_same_run(rig: Rig) -> None:
    push = rig.push(rig.project.commit(PROJECT))
    first = validate_push(rig.state, push.id)
    unchecked = rig.state.table.push(push.id).model_copy(update={"checked_at": None, "runs": []})

    class Late:
        """The table as the slower of two functions sees it: when it read the push, nothing was decided."""

        def __init__(self) -> None:
            self.reads = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(rig.state.table, name)

        def push(self, push_id: str) -> Push | None:
            self.reads += 1
            return unchecked if self.reads == 1 else rig.state.table.push(push_id)

    slower = State(Late(), rig.state.objects, rig.state.secrets, rig.state.bus)
    assert validate_push(slower, push.id) == first


@pytest.mark.parametrize(
    ("files", "rule", "line"),
    [
        ({"train.py": TRAIN}, "run-file-missing", None),
        ({"trainyard.yaml": "runs: ["}, "run-file-syntax", 1),
        ({**PROJECT, "trainyard.yaml": RUN_FILE + "    tiemout: 2h\n"}, "run-file-key", 10),
        ({**PROJECT, "trainyard.yaml": RUN_FILE.replace("boot_file: train.py", "boot_file: 3")}, "run-file-value", 5),
    ],
)
def test_a_wrong_run_file_is_one_rejected_run(
    rig: Rig, files: dict[str, str | bytes], rule: str, line: int | None
) -> None:
    (run,) = rig.pushed(files)

    assert (run.state, run.name, run.findings.errors) == (RunState.REJECTED, "trainyard", 1)
    (finding,) = rig.findings(run)
    assert (finding["rule"], finding["line"]) == (rule, line)
    assert all(finding[part][language] for part in ("message", "fix") for language in ("en", "zh"))
    assert finding["url"] == f"/v1/rules/{rule}"


def test_a_faulty_run_is_rejected_and_its_neighbour_is_not(rig: Rig) -> None:
    second = (
        RUN_FILE.split("\n", 1)[1].replace("lenet5:", "other:").replace("boot_file: train.py", "boot_file: trian.py")
    )
    runs = {run.name: run for run in rig.pushed({**PROJECT, "trainyard.yaml": RUN_FILE + second})}

    assert runs["lenet5"].state is RunState.ADMITTED
    assert runs["other"].state is RunState.REJECTED
    (finding,) = rig.findings(runs["other"])
    assert (finding["rule"], finding["line"]) == ("boot-file-missing", 13)
    assert "`train.py`" in finding["fix"]["en"]


def test_runs_that_the_time_does_not_suffice_for_are_rejected_with_a_reason(rig: Rig) -> None:
    second, third = (RUN_FILE.split("\n", 1)[1].replace("lenet5:", f"{name}:") for name in ("second", "third"))
    push = rig.push(rig.project.commit({**PROJECT, "trainyard.yaml": RUN_FILE + second + third}))
    # Read at the beginning, then before each run.
    times = iter([1000.0, 1000.0 + CHECK_SECONDS - 1, 1000.0 + CHECK_SECONDS, 1000.0 + CHECK_SECONDS + 1])
    runs = {run.name: run for run in validate_push(rig.state, push.id, clock=lambda: next(times))}

    assert {name: run.state for name, run in runs.items()} == {
        "lenet5": RunState.ADMITTED, "second": RunState.REJECTED, "third": RunState.REJECTED,
    }  # fmt: skip
    for name in ("second", "third"):
        (finding,) = rig.findings(runs[name])
        assert (finding["rule"], finding["severity"]) == ("commit-unavailable", "error")
        assert "too large to check" in finding["message"]["en"]
        assert "过大" in finding["message"]["zh"]
    assert rig.state.table.push(push.id).checked_at is not None


def test_only_runs_that_the_push_starts_are_made(rig: Rig) -> None:
    first = rig.project.commit(PROJECT)
    second = rig.project.commit({**PROJECT, "README.md": "words\n"})
    assert validate_push(rig.state, rig.push(second, before=first).id) == []
    assert validate_push(rig.state, rig.push(second, ref="refs/heads/try").id) == []

    third = rig.project.commit({**PROJECT, "train/trainDir/train.py": TRAIN + "print()\n"})
    assert len(validate_push(rig.state, rig.push(third, before=second).id)) == 1
    # What was there before is not to be had: better one run too many than one too few.
    fourth = rig.project.commit({**PROJECT, "README.md": "more\n"})
    assert len(validate_push(rig.state, rig.push(fourth, before="1" * 40).id)) == 1


def test_a_commit_that_is_not_there_is_rejected_with_a_reason(rig: Rig) -> None:
    rig.project.commit(PROJECT)
    (run,) = validate_push(rig.state, rig.push("1" * 40).id)

    assert run.state is RunState.REJECTED
    assert [finding["rule"] for finding in rig.findings(run)] == ["commit-unavailable"]


def test_a_host_that_does_not_answer_leaves_the_push_for_later(rig: Rig) -> None:
    commit = rig.project.commit(PROJECT)
    away = "http://127.0.0.1:1/demo/lenet5.git"
    rig.state.table.change_repository("demo/lenet5", lambda known: known.model_copy(update={"clone_url": away}))
    push = rig.push(commit)
    with pytest.raises(RemoteUnavailableError) as raised:
        validate_push(rig.state, push.id)
    assert "127.0.0.1" not in str(raised.value)
    assert rig.state.table.push(push.id).checked_at is None


def test_a_private_repository_is_fetched_with_its_token_which_nothing_shows(rig: Rig) -> None:
    rig.server.token = "very-secret-token"
    commit = rig.project.commit(PROJECT)
    (run,) = validate_push(rig.state, rig.push(commit).id)
    assert run.state is RunState.REJECTED
    assert "access token" in rig.findings(run)[0]["fix"]["en"]

    rig.state.secrets.put(host_token_name("demo/lenet5"), "very-secret-token")
    other = rig.project.commit({**PROJECT, "train/more.py": ""})
    (run,) = validate_push(rig.state, rig.push(other).id)
    assert run.state is RunState.ADMITTED
    assert not any("very-secret-token" in request for request in rig.server.requests)


def test_files_over_the_limit_are_refused_and_never_sent(rig: Rig) -> None:
    at_limit, over = b"\1" * 204_800, bytes(range(256)) * 800 + b"x"
    (run,) = rig.pushed({**PROJECT, "at_limit.bin": at_limit, "over.bin": over, "huge.bin": bytes(50_000_000)})

    assert run.state is RunState.REJECTED
    assert [(finding["rule"], finding["file"]) for finding in rig.findings(run)] == [
        ("large-file", "huge.bin"), ("large-file", "over.bin"),
    ]  # fmt: skip
    assert rig.server.bytes_sent < 20_000


def test_a_server_that_ignores_the_filter_changes_nothing(rig: Rig) -> None:
    rig.server.configuration["uploadpack.allowFilter"] = "false"
    (run,) = rig.pushed({**PROJECT, "over.bin": b"\1" * 204_801})

    assert [(finding["rule"], finding["file"]) for finding in rig.findings(run)] == [("large-file", "over.bin")]


def test_links_and_submodules_are_refused(rig: Rig) -> None:
    links = {"passwords": ("120000", "/etc/passwd"), "sub": ("160000", "1" * 40)}
    (run,) = validate_push(rig.state, rig.push(rig.project.commit(PROJECT, links=links)).id)

    assert {(finding["rule"], finding["file"]) for finding in rig.findings(run)} == {
        ("link", "passwords"), ("submodule", "sub"),
    }  # fmt: skip


def test_a_push_to_anything_but_a_project_starts_nothing(rig: Rig) -> None:
    data = rig.register("demo/digits", RepositoryKind.DATASET)
    push = a_push("p", repository="demo/digits", commit=data.commit({"a": "b"}))
    rig.state.table.create_push(push, a_ref(push))
    assert validate_push(rig.state, "p") == []
    assert rig.state.table.push("p").checked_at is not None
    assert validate_push(rig.state, "unknown") == []


def _pointer(sha256: str, size: int) -> str:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n"


WITH_INPUT = RUN_FILE + "    inputs:\n      data_url: {dataset: demo/digits, path: train}\n"


def test_inputs_are_pinned_to_bytes(rig: Rig) -> None:
    digest = "ab" * 32
    data = rig.register("demo/digits", RepositoryKind.DATASET)
    commit = data.commit({"train/images": _pointer(digest, 5), "train/more/labels.txt": "1 2 3\n", "README.md": "x"})
    rig.state.objects.put(layout.content_key("demo/digits", digest), b"12345")
    (run,) = rig.pushed({**PROJECT, "trainyard.yaml": WITH_INPUT})

    (pinned,) = rig.request(run).inputs
    assert (pinned.argument, pinned.source, pinned.revision) == ("data_url", "dataset demo/digits", commit)
    assert [(file.path, file.size) for file in pinned.files] == [("images", 5), ("more/labels.txt", 6)]
    assert not pinned.is_file
    assert [rig.state.objects.get(file.key) for file in pinned.files] == [b"12345", b"1 2 3\n"]


EVALUATED = RUN_FILE.replace(
    '{require: {accuracy: ">= 0.9"}}',
    "{script: evaluate.py, inputs: {test_url: {dataset: demo/digits, path: test}}}",
)
SCRIPT = {"train/trainDir/evaluate.py": "print(1)\n"}


def test_the_evaluation_scripts_inputs_are_pinned_with_the_commit(rig: Rig) -> None:
    data = rig.register("demo/digits", RepositoryKind.DATASET)
    commit = data.commit({"test/images": "123", "train/images": "4"})
    (run,) = rig.pushed({**PROJECT, **SCRIPT, "trainyard.yaml": EVALUATED})

    assert run.state is RunState.ADMITTED, rig.findings(run)
    request = rig.request(run)
    (pinned,) = request.evaluation_inputs
    assert (request.inputs, pinned.argument, pinned.revision) == ([], "test_url", commit)
    assert [file.path for file in pinned.files] == ["images"]


def test_an_evaluation_input_that_is_not_there_is_told_at_its_line(rig: Rig) -> None:
    (run,) = rig.pushed({**PROJECT, **SCRIPT, "trainyard.yaml": EVALUATED})

    assert run.state is RunState.REJECTED
    (finding,) = rig.findings(run)
    assert finding["rule"] == "input-missing"
    assert "test_url" in EVALUATED.splitlines()[finding["line"] - 1]


def test_one_file_is_a_file(rig: Rig) -> None:
    model = rig.register("demo/net", RepositoryKind.MODEL)
    model.commit({"weights/lenet.ckpt": "w"})
    model.commit({"weights/lenet.ckpt": "old"}, ref="refs/tags/v1")
    text = RUN_FILE + "    inputs: {pretrain_url: {model: demo/net, path: weights/lenet.ckpt, revision: v1}}\n"
    (run,) = rig.pushed({**PROJECT, "trainyard.yaml": text})

    (pinned,) = rig.request(run).inputs
    assert pinned.is_file
    assert [file.path for file in pinned.files] == ["lenet.ckpt"]
    assert rig.state.objects.get(pinned.files[0].key) == b"old"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"test/images": "x"}, "nothing at `train`"),
        ({"train/images": _pointer("cd" * 32, 5)}, "never uploaded"),
        ({"train/images": "x" * 204_801}, "not stored through Git LFS"),
    ],
)
def test_an_input_that_cannot_be_staged_is_told_at_its_line(rig: Rig, files: dict[str, str], said: str) -> None:
    rig.register("demo/digits", RepositoryKind.DATASET).commit(files)
    (run,) = rig.pushed({**PROJECT, "trainyard.yaml": WITH_INPUT})

    assert run.state is RunState.REJECTED
    (finding,) = rig.findings(run)
    assert said in finding["message"]["en"]
    assert (finding["file"], finding["line"], finding["severity"]) == ("trainyard.yaml", 11, Severity.ERROR)


def test_a_private_input_of_another_is_told_in_the_words_of_a_missing_one(rig: Rig) -> None:
    rig.register("bob/digits", RepositoryKind.DATASET, visibility=Visibility.PRIVATE).commit({"train/a": "x"})
    (run,) = rig.pushed({**PROJECT, "trainyard.yaml": WITH_INPUT.replace("demo/digits", "bob/digits")})
    (other,) = rig.pushed({**PROJECT, "trainyard.yaml": WITH_INPUT.replace("demo/digits", "bob/nothing")})

    said = [rig.findings(each)[0]["message"]["en"] for each in (run, other)]
    assert said[0].replace("digits", "nothing") == said[1]


def test_the_tutorials_misspelt_data_file_is_a_warning(rig: Rig) -> None:
    rig.register("demo/digits", RepositoryKind.DATASET).commit({"train/train-lables-idx1-ubyte": "x"})
    (run,) = rig.pushed({**PROJECT, "trainyard.yaml": WITH_INPUT})

    assert (run.state, run.findings.warnings) == (RunState.ADMITTED, 1)
    (finding,) = rig.findings(run)
    assert (finding["rule"], finding["file"], finding["line"]) == ("idx-name", "trainyard.yaml", 11)
    assert "train-labels-idx1-ubyte" in finding["fix"]["en"]
