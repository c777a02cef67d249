"""A run's way to ModelArts and home again: real carriers and boot file, the embedded ModelArts, two buckets in memory."""

from __future__ import annotations

import gzip
import hashlib
import io
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from modelarts_fixture import AK, ENGINE, PROJECT, SK, client_of, run_request

from infra.local.modelarts.container import ObsContainer
from infra.local.modelarts.server import ModelArtsServer
from trainyard.model.request import InputFile, PinnedInput
from trainyard.model.result import AttemptResult, Ending
from trainyard.runner.ascend import boot
from trainyard.runner.ascend.outward import plan
from trainyard.runner.carrier import Carrier
from trainyard.runner.job import Job
from trainyard.runner.stop import Stop
from trainyard.store import layout
from trainyard.store.log_end import log_end
from trainyard.store.objects import Objects

RUN = "run-1"
SCRIPT = """
import argparse, os, pathlib
parser = argparse.ArgumentParser()
for name in ("data_url", "pretrain_url", "output_path"):
    parser.add_argument("--" + name)
parser.add_argument("--epochs", type=int)
given = parser.parse_args()
print("data", sorted(os.listdir(given.data_url)), "from", pathlib.Path(given.pretrain_url).read_text())
print("rank", os.environ["RANK_ID"], "job", os.path.isdir(os.environ["MA_JOB_DIR"]), "epochs", given.epochs)
pathlib.Path(given.output_path, "model").mkdir()
pathlib.Path(given.output_path, "model", "a.ckpt").write_bytes(b"x" * 1000)
"""


@pytest.fixture
def s3(bucket_server: str) -> Any:
    """One S3 with both buckets, empty."""
    client = boto3.client(
        "s3", endpoint_url=bucket_server, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    for bucket in ("carried", "obs-bucket"):
        client.create_bucket(Bucket=bucket)
        objects = Objects(bucket, client)
        objects.delete([entry.key for entry in objects.find("")])
    return client


@pytest.fixture
def server(s3: Any, tmp_path: Path) -> Iterator[ModelArtsServer]:
    def make(body: dict[str, Any], job_id: str) -> ObsContainer:
        return ObsContainer(body, job_id, s3, tmp_path / "machines", sys.executable)

    with ModelArtsServer(make, keys={AK: SK}, project=PROJECT, beat=0.02) as server:
        yield server


class Rig:
    """A run that is stored, and its carriers."""

    def __init__(self, s3: Any, server: ModelArtsServer, cache: Path, script: str, **spec: Any) -> None:
        self.objects, self.obs = Objects("carried", s3), Objects("obs-bucket", s3)
        self._server, self._cache = server, cache
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            for name, content in {"train/train.py": script.encode(), **spec.pop("files", {})}.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        self.objects.put(layout.code_key(RUN), archive.getvalue())
        inputs = [
            self._input("data_url", {"train/images": b"i" * 5000, "labels": b"l"}),
            self._input("pretrain_url", {"lenet.ckpt": b"weights"}),
        ]
        self.request = run_request(RUN, inputs, output=True, **spec)
        self.objects.put(layout.request_key(RUN), self.request.model_dump_json().encode())

    def _input(self, argument: str, files: dict[str, bytes]) -> PinnedInput:
        pinned = []
        for path, content in files.items():
            digest = hashlib.sha256(content).hexdigest()
            key = layout.content_key("demo/digits", digest)
            self.objects.put(key, content)
            pinned.append(InputFile(path=path, size=len(content), sha256=digest, key=key))
        return PinnedInput(argument=argument, source="x", is_file=argument == "pretrain_url", files=pinned)

    def carrier(self, job_id: str = "batch-1") -> Carrier:
        job = Job(RUN, self.objects.bucket, self._cache, job_id, 1)
        return Carrier(job, self.objects, self.obs, client_of(self._server), "", Stop())

    def send(self) -> int:
        return self.carrier().send()

    def await_end(self) -> None:
        deadline = time.monotonic() + 30
        job = self._server.jobs.named_like(RUN)[0]
        while job.phase not in ("Completed", "Failed", "Terminated"):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def result(self) -> AttemptResult:
        return AttemptResult.model_validate_json(self.objects.get(layout.result_key(RUN, 1)))

    def log(self, owner: str = RUN) -> str:
        chunks = self.objects.find(layout.log_chunk_prefix(owner, 1))
        return b"".join(gzip.decompress(self.objects.get(chunk.key)) for chunk in chunks).decode()


def test_there_and_back(s3: Any, server: ModelArtsServer, tmp_path: Path) -> None:
    rig = Rig(s3, server, tmp_path, SCRIPT, hyperparameters={"epochs": 3})
    assert rig.send() == 0
    rig.await_end()
    assert rig.carrier("batch-2").fetch() == 0
    result = rig.result()
    assert (result.ending, result.exit_code, result.reason) == (Ending.SUCCEEDED, 0, None)
    assert [(file.path, file.size) for file in result.outputs] == [("model/a.ckpt", 1000)]
    assert rig.objects.get(layout.output_prefix(RUN) + "model/a.ckpt") == b"x" * 1000
    assert "data ['labels', 'train'] from weights\nrank 0 job True epochs 3\n" in rig.log()
    assert result.log_bytes == len(rig.log().encode()) == log_end(rig.objects, RUN, 1)
    assert [stage.name for stage in result.stages] == ["environment", "script"]


def test_carried_twice_it_is_one_job_and_the_files_are_not_carried_again(
    s3: Any, server: ModelArtsServer, tmp_path: Path
) -> None:
    rig = Rig(s3, server, tmp_path, SCRIPT, hyperparameters={"epochs": 3})
    rig.send()
    before = {entry.key: entry.modified for entry in rig.obs.find("trainyard/run-1/inputs/")}
    assert len(before) == 3
    for pinned in rig.request.inputs:
        rig.objects.delete([file.key for file in pinned.files])
    assert rig.send() == 0
    assert len(server.jobs.named_like(RUN)) == 1


def test_a_failing_script_is_told_as_the_runner_tells_it(s3: Any, server: ModelArtsServer, tmp_path: Path) -> None:
    rig = Rig(s3, server, tmp_path, "print('so far')\nraise ValueError('too much')")
    rig.send()
    rig.await_end()
    rig.carrier("batch-2").fetch()
    result = rig.result()
    assert (result.ending, result.exit_code, result.last_lines[-1]) == (
        Ending.SCRIPT_FAILED, 1, "ValueError: too much",
    )  # fmt: skip
    assert result.reason is not None
    assert result.reason.en.endswith("exit code 1: ValueError: too much")


def test_a_script_cannot_lead_the_carrier_astray_with_a_report_of_its_own(
    s3: Any, server: ModelArtsServer, tmp_path: Path
) -> None:
    rig = Rig(s3, server, tmp_path, "raise SystemExit(3)")
    rig.send()
    rig.await_end()
    for name, content in {"a.json": b"no JSON", "b.json": b" " * (5 << 20), "c.json": b"{}"}.items():
        rig.obs.put(f"trainyard/run-1/outputs/trainyard_report/{name}", content)
    rig.carrier("batch-2").fetch()
    assert (rig.result().ending, rig.result().exit_code) == (Ending.SCRIPT_FAILED, 3)


def test_the_time_limit_is_kept_to_the_second(s3: Any, server: ModelArtsServer, tmp_path: Path) -> None:
    rig = Rig(s3, server, tmp_path, SCRIPT, timeout="90s")
    assert plan(rig.request)["timeout"] == 90.0
    program = "import time; print('on', flush=True); time.sleep(60)"
    ended = boot.run([sys.executable, "-c", program], tmp_path, 1.0)
    assert (ended["ending"], ended["exit_code"], ended["last_lines"]) == ("timed_out", 124, ["on"])


def test_an_input_that_changed_is_the_users_business_and_no_job_is_made(
    s3: Any, server: ModelArtsServer, tmp_path: Path
) -> None:
    rig = Rig(s3, server, tmp_path, SCRIPT)
    rig.objects.put(rig.request.inputs[0].files[0].key, b"j" * 5000)
    assert rig.send() == 70
    result = rig.result()
    assert result.ending is Ending.SETUP_FAILED
    assert result.reason is not None
    assert "train/images" in result.reason.en
    assert server.jobs.named_like(RUN) == []
    assert not list(rig.obs.find("trainyard/run-1/inputs/data_url/train/"))


def test_a_stop_on_the_way_makes_no_job(s3: Any, server: ModelArtsServer, tmp_path: Path) -> None:
    rig = Rig(s3, server, tmp_path, SCRIPT)
    carrier = rig.carrier()
    carrier.stop.request()
    assert carrier.send() == 143
    assert rig.result().ending is Ending.STOPPED
    assert server.jobs.named_like(RUN) == []


def test_a_second_carrier_home_leaves(s3: Any, server: ModelArtsServer, tmp_path: Path) -> None:
    rig = Rig(s3, server, tmp_path, SCRIPT)
    rig.objects.put(layout.owner_key(RUN, 1), b'{"job": "another"}')
    assert rig.carrier("batch-3").fetch() == 0
    assert rig.objects.size(layout.result_key(RUN, 1)) is None


def test_the_engine_is_the_catalogues(s3: Any, server: ModelArtsServer, tmp_path: Path) -> None:
    rig = Rig(s3, server, tmp_path, SCRIPT)
    rig.send()
    body = next(body for name, body in server.requests if name == "create")
    assert body["algorithm"]["engine"]["engine_version"] == ENGINE
    assert body["spec"]["resource"]["flavor_id"] == "modelarts.kat1.xlarge.public"


def left(rig: Rig) -> list[str]:
    return [entry.key for entry in rig.obs.find("")]


@pytest.mark.parametrize("script", [SCRIPT, "raise ValueError('too much')"])
def test_once_all_is_at_home_nothing_is_left_in_obs(
    s3: Any, server: ModelArtsServer, tmp_path: Path, script: str
) -> None:
    rig = Rig(s3, server, tmp_path, script, hyperparameters={"epochs": 3})
    rig.obs.put("trainyard/run-12/code/train.py", b"another run's")
    rig.send()
    rig.await_end()
    rig.carrier("batch-2").fetch()
    assert left(rig) == ["trainyard/run-12/code/train.py"]
    result, log = rig.result(), rig.log()
    assert rig.carrier("batch-2").fetch() == 0, "the same again"
    assert (rig.result(), rig.log()) == (result, log)


def test_what_a_stopped_script_left_comes_home_and_goes(s3: Any, server: ModelArtsServer, tmp_path: Path) -> None:
    script = SCRIPT + "print('waiting', flush=True)\nimport time; time.sleep(60)"
    rig = Rig(s3, server, tmp_path, script, hyperparameters={"epochs": 3})
    rig.send()
    job = server.jobs.named_like(RUN)[0]
    deadline = time.monotonic() + 20
    while not job.container.log.exists() or b"waiting" not in job.container.log.read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    server.jobs.stop(job)
    rig.await_end()
    rig.carrier("batch-2").fetch()
    assert rig.result().ending is Ending.STOPPED
    assert [file.path for file in rig.result().outputs] == ["model/a.ckpt"]
    assert left(rig) == []


def test_a_clearing_that_was_interrupted_is_finished_and_changes_nothing(
    s3: Any, server: ModelArtsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(s3, server, tmp_path, SCRIPT, hyperparameters={"epochs": 3})
    rig.send()
    rig.await_end()
    delete = Objects.delete_one

    def fail_at_the_log(objects: Objects, key: str) -> None:
        if "/log/" in key:
            raise OSError("the machine goes away")
        delete(objects, key)

    monkeypatch.setattr(Objects, "delete_one", fail_at_the_log)
    with pytest.raises(OSError, match="goes away"):
        rig.carrier("batch-2").fetch()
    assert left(rig)
    result = rig.result()
    monkeypatch.setattr(Objects, "delete_one", delete)
    assert rig.carrier("batch-2").fetch() == 0
    assert rig.result() == result
    assert [file.path for file in result.outputs] == ["model/a.ckpt"]
    assert left(rig) == []


def test_nothing_is_removed_before_it_is_home(
    s3: Any, server: ModelArtsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(s3, server, tmp_path, SCRIPT, hyperparameters={"epochs": 3})
    rig.send()
    rig.await_end()
    before = left(rig)
    find = Objects.find

    def without_outputs(objects: Objects, prefix: str, *others: Any, **more: Any) -> Any:
        return iter(()) if prefix == layout.output_prefix(RUN) else find(objects, prefix, *others, **more)

    monkeypatch.setattr(Objects, "find", without_outputs)
    with pytest.raises(RuntimeError, match=r"model/a\.ckpt"):
        rig.carrier("batch-2").fetch()
    assert left(rig) == before
    assert rig.objects.size(layout.result_key(RUN, 1)) is None


def test_what_was_brought_for_a_job_that_never_came_is_removed(
    s3: Any, server: ModelArtsServer, tmp_path: Path
) -> None:
    rig = Rig(s3, server, tmp_path, SCRIPT)
    rig.objects.put(rig.request.inputs[0].files[0].key, b"j" * 5000)
    rig.send()
    upload = s3.create_multipart_upload(Bucket="obs-bucket", Key="trainyard/run-1/inputs/data_url/half")
    assert left(rig)
    assert rig.carrier("batch-2").clear() == 0
    assert left(rig) == []
    unfinished = s3.list_multipart_uploads(Bucket="obs-bucket").get("Uploads", [])
    assert upload["UploadId"] not in [one["UploadId"] for one in unfinished]
    assert rig.carrier("batch-2").clear() == 0, "the same again"
    assert rig.result().ending is Ending.SETUP_FAILED


def test_a_job_that_came_after_all_is_stopped_and_keeps_its_files(
    s3: Any, server: ModelArtsServer, tmp_path: Path
) -> None:
    rig = Rig(s3, server, tmp_path, "import time; time.sleep(60)")
    rig.send()
    with pytest.raises(RuntimeError, match="has a job run-1"):
        rig.carrier("batch-2").clear()
    rig.await_end()
    assert server.jobs.named_like(RUN)[0].phase == "Terminated"
    assert left(rig)


RANKS = """
import os
names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "RANK_ID", "RANK_SIZE")
print("epoch: 1" if os.environ["RANK"] == "0" else "also", [os.environ[name] for name in names], flush=True)
if os.environ["RANK"] == os.environ.get("FAILS"):
    raise SystemExit(7)
"""
EIGHT = {"flavor": "ascend-910x8", "processes": "auto"}


def brought_home(s3: Any, server: ModelArtsServer, tmp_path: Path, **spec: Any) -> Rig:
    rig = Rig(s3, server, tmp_path, RANKS, **spec)
    assert rig.send() == 0
    rig.await_end()
    assert rig.carrier("batch-2").fetch() == 0
    return rig


def ranks_in(log: str) -> list[str]:
    return sorted(line for line in log.splitlines() if "['" in line)


def expected(ranks: range, count: int, size: int) -> list[str]:
    def line(rank: int) -> str:
        place = [str(rank), str(rank % count), str(size), str(rank), str(size)]
        return f"[rank {rank}] also {place}" if rank else f"epoch: 1 {place}"

    return sorted(line(rank) for rank in ranks)


def test_one_process_for_each_of_eight_cards(s3: Any, server: ModelArtsServer, tmp_path: Path) -> None:
    rig = brought_home(s3, server, tmp_path, **EIGHT)
    assert ranks_in(rig.log()) == expected(range(8), 8, 8)
    assert rig.result().ending is Ending.SUCCEEDED


def test_one_process_where_the_run_wants_one(s3: Any, server: ModelArtsServer, tmp_path: Path) -> None:
    rig = brought_home(s3, server, tmp_path, flavor="ascend-910x8")
    assert ranks_in(rig.log()) == expected(range(1), 1, 1)


def test_msrun_starts_the_ranks_and_says_which_they_are(s3: Any, server: ModelArtsServer, tmp_path: Path) -> None:
    rig = brought_home(s3, server, tmp_path, flavor="ascend-910x8", env={"MA_RUN_METHOD": "msrun"})
    assert ranks_in(rig.log()) == expected(range(8), 8, 8)
    body = next(body for name, body in server.requests if name == "create")
    assert body["algorithm"]["environments"]["MA_RUN_METHOD"] == "msrun"


def test_two_machines_have_a_log_each(s3: Any, server: ModelArtsServer, tmp_path: Path) -> None:
    rig = brought_home(s3, server, tmp_path, nodes=2, **EIGHT)
    assert ranks_in(rig.log()) == expected(range(8), 8, 16)
    assert ranks_in(rig.log(layout.node_id(RUN, 1))) == expected(range(8, 16), 8, 16)
    assert rig.result().log_bytes == len(rig.log().encode())


def test_a_rank_of_another_machine_that_fails_fails_the_run(s3: Any, server: ModelArtsServer, tmp_path: Path) -> None:
    rig = brought_home(s3, server, tmp_path, nodes=2, env={"FAILS": "1"})
    assert (rig.result().ending, rig.result().exit_code) == (Ending.SCRIPT_FAILED, 7)


def test_more_processes_than_cards_are_refused(s3: Any, server: ModelArtsServer, tmp_path: Path) -> None:
    rig = Rig(s3, server, tmp_path, RANKS, flavor="ascend-910x8", processes=3)
    assert rig.send() == 70
    reason = rig.result().reason
    assert reason is not None
    assert "processes: auto" in reason.en
    assert server.jobs.named_like(RUN) == []
