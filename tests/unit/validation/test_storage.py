"""What nothing refers to is found, and removed only as far as that is still so."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from builders import a_repository, a_run, a_spec
from unit.validation.git_rig import GitServer

from trainyard.intake.storage import ask_for_inspection, ask_for_removal, last_report
from trainyard.lfs.quota import Quota
from trainyard.lfs.transfers import BatchRequest, WantedObject, batch_response
from trainyard.model.errors import Conflict, Forbidden, InvalidInput
from trainyard.model.repository import AccessToken, RepositoryKind, Scope
from trainyard.model.run import Origin, RunState
from trainyard.model.storage import GRACE, RECENT, RemoveUnreferenced, StorageReport
from trainyard.store import State, layout
from trainyard.store.access import issue_token
from trainyard.validation.request import validate_run
from trainyard.validation.storage import carry_out

NAME = "demo/digits"
USED, OLD_BRANCH, UNUSED, PINNED = b"used", b"of an old branch", b"unused", b"pinned"
SCRIPT = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--data_url')\np.parse_args()\n"


def later(**delta: float) -> datetime:
    return datetime.now(UTC) + RECENT + timedelta(**delta)


def oid(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def key(content: bytes) -> str:
    return layout.content_key(NAME, oid(content))


def pointer(content: bytes) -> str:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid(content)}\nsize {len(content)}\n"


@pytest.fixture
def owner(state: State) -> AccessToken:
    return issue_token(state.table, "demo", [Scope.WRITE])[1]


@pytest.fixture
def data(state: State, git_server: GitServer) -> Any:
    """Four objects: of the main branch's first commit, of a branch, of a commit that a run uses, of nothing."""
    boto3.client("s3").put_bucket_versioning(Bucket=state.objects.bucket, VersioningConfiguration={"Status": "Enabled"})
    state.table.create_repository(
        a_repository(NAME, kind=RepositoryKind.DATASET, clone_url=git_server.url(NAME), owner="demo")
    )
    for content in (USED, OLD_BRANCH, UNUSED, PINNED):
        state.objects.put(key(content), content)
    repository = git_server.repository(NAME)
    repository.commit({"a.bin": pointer(USED)})
    repository.commit({"b.txt": "no pointer any more"})
    repository.commit({"a.bin": pointer(OLD_BRANCH)}, ref="refs/heads/old")
    return repository


def inspected(state: State, owner: AccessToken, at: datetime) -> StorageReport:
    task = ask_for_inspection(state, NAME, owner, at)
    report = carry_out(state, task.id, at + timedelta(seconds=1))
    assert report is not None
    assert last_report(state, NAME, owner) == report
    return report


def removed(state: State, owner: AccessToken, report: StorageReport, contents: list[bytes]) -> StorageReport:
    wanted = RemoveUnreferenced(report=report.at, keys=[key(content) for content in contents])
    at = report.at + GRACE
    task = ask_for_removal(state, NAME, owner, wanted, at)
    done = carry_out(state, task.id, at + timedelta(seconds=1))
    assert done is not None
    assert carry_out(state, task.id, at + timedelta(seconds=9)) == done, "a second delivery did something"
    return done


def listed(report: StorageReport) -> set[str]:
    return {each.key for each in report.unreferenced}


def test_only_what_no_commit_and_no_run_refers_to_is_listed_and_removed(
    state: State, data: Any, owner: AccessToken, git_server: GitServer
) -> None:
    state.table.create_repository(a_repository("demo/lenet5", clone_url=git_server.url("demo/lenet5")))
    git_server.repository("demo/lenet5").commit({"train.py": SCRIPT, "pip-requirements.txt": ""})
    data.commit({"p.bin": pointer(PINNED)}, ref="refs/heads/gone")
    spec = a_spec(inputs={"data_url": {"dataset": NAME, "revision": "gone"}}, output=False)
    run = a_run("run-0000000000000000000001", spec=spec, origin=Origin.API, commit=None)
    state.table.create_run(run)
    decided = validate_run(state, run.id)
    assert decided is not None
    assert decided.state is RunState.ADMITTED
    (data.folder / "refs/heads/gone").unlink()

    report = inspected(state, owner, later(minutes=1))
    assert (report.files, report.failed, listed(report)) == (4, False, {key(UNUSED)})
    done = removed(state, owner, report, [UNUSED])
    assert (done.removed, done.removed_bytes, listed(done)) == ([key(UNUSED)], len(UNUSED), set())
    assert {entry.key for entry in state.objects.find("lfs/")} == {key(USED), key(OLD_BRANCH), key(PINNED)}

    state.objects.delete_prefix(layout.run_prefix(run.id))
    assert listed(inspected(state, owner, later(hours=3))) == {key(PINNED)}, "its run is deleted"


def test_young_objects_are_counted_and_not_listed(state: State, data: Any, owner: AccessToken) -> None:
    report = inspected(state, owner, datetime.now(UTC))
    assert (report.recent, report.unreferenced) == (2, [])


def test_a_push_meanwhile_keeps_its_objects(state: State, data: Any, owner: AccessToken) -> None:
    report = inspected(state, owner, datetime.now(UTC) - timedelta(seconds=1) + RECENT + timedelta(minutes=1))
    assert listed(report) == {key(UNUSED), key(PINNED)}
    data.commit({"c.bin": pointer(UNUSED)}, ref="refs/heads/new")
    done = removed(state, owner, report, [UNUSED, PINNED])
    assert (done.removed, state.objects.get(key(UNUSED))) == ([key(PINNED)], UNUSED)


def test_whoever_pushes_a_listed_object_stores_it_again(state: State, data: Any, owner: AccessToken) -> None:
    inspected(state, owner, later(minutes=1))
    asked = BatchRequest(
        operation="upload", objects=[WantedObject(oid=oid(each), size=len(each)) for each in (USED, UNUSED)]
    )
    used, unused = batch_response(asked, NAME, state.objects, Quota(state.objects, 0))["objects"]
    assert "actions" not in used
    assert "upload" in unused["actions"]


def test_what_was_stored_again_is_not_deleted(state: State, data: Any) -> None:
    (known,) = state.objects.find(key(UNUSED))
    old = known.__class__(known.key, known.size, known.modified - timedelta(seconds=5))
    assert not state.objects.delete_version(old)
    assert state.objects.delete_version(known)
    assert state.objects.size(key(UNUSED)) is None


def test_refs_that_cannot_be_read_mean_that_nothing_is_unreferenced(
    state: State, data: Any, owner: AccessToken, git_server: GitServer
) -> None:
    git_server.token = "secret"
    report = inspected(state, owner, later(minutes=1))
    assert (report.failed, report.unreferenced) == (True, [])
    assert "无法完整读取" in report.reason.zh


def test_what_a_deleted_run_left_is_found_and_goes_at_once(
    state: State, owner: AccessToken, git_server: GitServer
) -> None:
    state.table.create_repository(a_repository("demo/lenet5", clone_url=git_server.url("demo/lenet5"), owner="demo"))
    git_server.repository("demo/lenet5").commit({"train.py": SCRIPT})
    state.table.create_run(a_run("run-1", state=RunState.SUCCEEDED, deleted_at=datetime.now(UTC)))
    state.table.create_run(a_run("run-2", state=RunState.SUCCEEDED))
    for run in ("run-1", "run-2"):
        state.objects.put(f"{layout.output_prefix(run)}model.ckpt", b"12345")
    at = later()
    report = carry_out(state, ask_for_inspection(state, "demo/lenet5", owner, at).id, at + timedelta(seconds=1))
    assert report is not None
    assert [(left.run, left.bytes) for left in report.deleted_runs] == [("run-1", 5)]
    with pytest.raises(InvalidInput):
        ask_for_removal(state, "demo/lenet5", owner, RemoveUnreferenced(report=report.at, runs=["run-2"]), report.at)
    ask_for_removal(state, "demo/lenet5", owner, RemoveUnreferenced(report=report.at, runs=["run-1"]), report.at)
    assert {entry.key for entry in state.objects.find("runs/")} == {"runs/run-2/output/model.ckpt"}


def begin_upload(state: State, key: str, *parts: bytes) -> str:
    """An upload in parts that nobody finishes; its id. Moto says of each that it was begun in 2010."""
    s3, target = boto3.client("s3"), {"Bucket": state.objects.bucket, "Key": key}
    upload = str(s3.create_multipart_upload(**target)["UploadId"])
    for number, part in enumerate(parts, 1):
        s3.upload_part(**target, UploadId=upload, PartNumber=number, Body=part)
    return upload


def uploads_left(state: State) -> set[str]:
    return {upload.id for upload in state.objects.uploads("")}


def test_uploads_that_nobody_finished_are_found_and_go_at_once(state: State, data: Any, owner: AccessToken) -> None:
    without_parts = begin_upload(state, key(UNUSED))
    with_parts = begin_upload(state, key(USED), b"a" * (5 << 20), b"b" * 10)
    of_another = begin_upload(state, layout.content_key("demo/digits-2", oid(USED)))
    young = inspected(state, owner, datetime.now(UTC))
    assert [each.upload for each in young.unfinished_uploads] == [without_parts]
    assert young.uploads_under_way == 1, "its last part came a moment ago"

    report = inspected(state, owner, later(minutes=1))
    assert {each.upload: (each.key, each.size) for each in report.unfinished_uploads} == {
        without_parts: (key(UNUSED), 0),
        with_parts: (key(USED), (5 << 20) + 10),
    }
    assert all(each.begun <= each.touched <= report.at - RECENT for each in report.unfinished_uploads)
    assert report.bytes == sum(map(len, (USED, OLD_BRANCH, UNUSED, PINNED)))
    foreign = RemoveUnreferenced(report=report.at, uploads=[with_parts, of_another])
    with pytest.raises(InvalidInput):
        ask_for_removal(state, NAME, owner, foreign, report.at)
    assert uploads_left(state) == {without_parts, with_parts, of_another}
    wanted = RemoveUnreferenced(report=report.at, uploads=[with_parts])
    for _ in range(2):
        ask_for_removal(state, NAME, owner, wanted, report.at)
    assert uploads_left(state) == {without_parts, of_another}
    assert state.objects.get(key(USED)) == USED


def test_an_upload_that_goes_on_or_is_finished_meanwhile_is_left_alone(
    state: State, data: Any, owner: AccessToken
) -> None:
    s3 = boto3.client("s3")
    going_on, finished = begin_upload(state, key(UNUSED)), begin_upload(state, "lfs/demo/digits/x", b"whole")
    report = inspected(state, owner, later(minutes=1))
    assert {each.upload for each in report.unfinished_uploads} == {going_on, finished}
    target: Any = {"Bucket": state.objects.bucket, "Key": key(UNUSED), "UploadId": going_on}
    s3.upload_part(**target, PartNumber=1, Body=b"more")
    (part,) = s3.list_parts(Bucket=state.objects.bucket, Key="lfs/demo/digits/x", UploadId=finished)["Parts"]
    s3.complete_multipart_upload(
        Bucket=state.objects.bucket,
        Key="lfs/demo/digits/x",
        UploadId=finished,
        MultipartUpload={"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]},
    )
    wanted = RemoveUnreferenced(report=report.at, uploads=[going_on, finished])
    ask_for_removal(state, NAME, owner, wanted, report.at)
    assert uploads_left(state) == {going_on}
    assert state.objects.get("lfs/demo/digits/x") == b"whole"


def test_uploads_of_runs_count_once_their_run_has_ended(
    state: State, owner: AccessToken, git_server: GitServer
) -> None:
    for name in ("demo/lenet5", "demo/other"):
        state.table.create_repository(a_repository(name, clone_url=git_server.url(name), owner="demo"))
        git_server.repository(name).commit({"train.py": SCRIPT})
    for run, run_state, project in (
        ("run-1", RunState.SUCCEEDED, "demo/lenet5"),
        ("run-2", RunState.RUNNING, "demo/lenet5"),
        ("run-3", RunState.FAILED, "demo/other"),
    ):
        state.table.create_run(a_run(run, state=run_state, project=project))
    uploads = {run: begin_upload(state, f"{layout.output_prefix(run)}a.ckpt") for run in ("run-1", "run-2", "run-3")}
    begin_upload(state, "runs/run-nobody-knows/output/a.ckpt")
    at = later()
    report = carry_out(state, ask_for_inspection(state, "demo/lenet5", owner, at).id, at + timedelta(seconds=1))
    assert report is not None
    assert [each.upload for each in report.unfinished_uploads] == [uploads["run-1"]]
    assert report.uploads_under_way == 1


def test_nothing_goes_where_something_is_asked_for_too_early(state: State, data: Any, owner: AccessToken) -> None:
    upload = begin_upload(state, key(UNUSED))
    report = inspected(state, owner, later(minutes=1))
    wanted = RemoveUnreferenced(report=report.at, keys=[key(UNUSED)], uploads=[upload])
    with pytest.raises(Conflict):
        ask_for_removal(state, NAME, owner, wanted, report.at + GRACE / 2)
    assert uploads_left(state) == {upload}


def test_a_removal_needs_the_last_report_its_time_and_its_keys(state: State, data: Any, owner: AccessToken) -> None:
    report = inspected(state, owner, later(minutes=1))
    stranger = issue_token(state.table, "eve", [Scope.WRITE])[1]
    wanted = RemoveUnreferenced(report=report.at, keys=[key(UNUSED)])
    for token, asked, at, error in (
        (stranger, wanted, report.at + GRACE, Exception),
        (owner, wanted, report.at + GRACE / 2, Conflict),
        (owner, wanted.model_copy(update={"report": report.at - GRACE}), report.at + GRACE, Conflict),
        (owner, wanted.model_copy(update={"keys": [key(USED)]}), report.at + GRACE, InvalidInput),
    ):
        with pytest.raises(error):
            ask_for_removal(state, NAME, token, asked, at)
    with pytest.raises((Forbidden, Exception)):
        last_report(state, NAME, stranger)
