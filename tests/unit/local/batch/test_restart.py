"""What a restart finds, after an orderly stop and after a kill; and the server as a process of its own."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.local.batch import statefile
from tests.unit.local.batch.conftest import IMAGES, client_of, wait_for

FOREVER = "import time; print('up', flush=True); time.sleep(600)"
ONCE = "import os,time; print('up', flush=True); time.sleep(600 * (os.environ['AWS_BATCH_JOB_ATTEMPT'] == '1'))"


def test_the_state_goes_on_after_a_restart(make_bench: Any, tmp_path: Path) -> None:
    kept = {"state_file": tmp_path / "deep" / "batch.json"}
    one = make_bench(**kept)
    done = one.submit("raise SystemExit(4)", name="done")
    one.until(done)
    lost, again = one.submit(FOREVER, name="lost"), one.submit(ONCE, name="again", retryStrategy={"attempts": 2})
    stopping = one.submit(
        "import signal,time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )
    for job_id in (lost, again, stopping):
        one.until_logged(job_id, "up")
    one.client.terminate_job(jobId=stopping, reason="by the user")
    before = one.job(done)
    one.server.stop()

    two = make_bench(prepared=False, **kept)
    assert two.server.wait_idle(30)
    assert two.job(done) == before
    job = two.job(lost)
    assert job["status"] == "FAILED"
    assert job["statusReason"].startswith("Host EC2 (instance i-")
    assert job["statusReason"].endswith(" terminated.")
    job = two.job(again)
    assert job["status"] == "SUCCEEDED"
    assert [attempt["statusReason"][:8] for attempt in job["attempts"]] == ["Host EC2", "Essentia"]
    assert two.job(stopping)["statusReason"] == "by the user"
    assert two.states(lost) == ["FAILED"]
    assert two.states(again) == ["RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"]
    assert two.until(two.submit())["status"] == "SUCCEEDED"


def test_waiting_jobs_start_after_a_restart(make_bench: Any, tmp_path: Path) -> None:
    kept = {"state_file": tmp_path / "batch.json"}
    one = make_bench(prepared=False, **kept)
    one.queue(vcpus=1)
    one.definition()
    blocker = one.submit(FOREVER)
    one.until_logged(blocker, "up")
    waiting = one.submit()
    one.until(waiting, "RUNNABLE")
    one.server.stop()
    two = make_bench(prepared=False, **kept)
    assert two.until(waiting)["status"] == "SUCCEEDED"


def test_a_file_that_is_not_a_state_is_named(tmp_path: Path) -> None:
    path = tmp_path / "batch.json"
    for text in ("", "{}", "[]", '{"version 1": {"jobs": {"x": {}}}}', '{"version 1": []}'):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"batch\.json is not a state file"):
            statefile.load(path)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class OwnProcess:
    """`python -m infra.local.batch`, and its client."""

    def __init__(self, folder: Path, *more: str) -> None:
        config = folder / "config.json"
        image = {"command_prefix": IMAGES["python"].command_prefix}
        config.write_text(json.dumps({"images": {"python": image}, "platform_env": {"P": "1"}}))
        arguments = ["--state", folder / "batch.json", "--work-dir", folder / "work", "--config", config, *more]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "infra.local.batch", *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[4],
        )
        assert self.process.stdout is not None
        self.ready = json.loads(self.process.stdout.readline())
        self.client = client_of(self.ready["address"])

    def log(self, job_id: str) -> str:
        path = Path(self.ready["logs"]) / job_id / "1.log"
        return path.read_text() if path.exists() else ""

    def prepare(self) -> None:
        resources = {"type": "EC2", "maxvCpus": 4}
        self.client.create_compute_environment(computeEnvironmentName="c", type="MANAGED", computeResources=resources)
        order = [{"order": 1, "computeEnvironment": "c"}]
        self.client.create_job_queue(jobQueueName="c", priority=1, computeEnvironmentOrder=order)
        needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "1"}]
        properties = {"image": "python", "resourceRequirements": needs}
        self.client.register_job_definition(jobDefinitionName="d", type="container", containerProperties=properties)

    def submit(self, program: str, **more: Any) -> str:
        overrides = {"command": [program]}
        submit = self.client.submit_job
        return str(submit(jobName="j", jobQueue="c", jobDefinition="d", containerOverrides=overrides, **more)["jobId"])

    def end(self) -> None:
        self.process.kill()
        self.process.wait(20)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


# What the job starts puts itself into a session of its own and shows nothing of where it comes from.
LEAVES_A_CHILD = (
    "import os,subprocess,sys,time\n"
    "c=subprocess.Popen([sys.executable,'-c','import time; time.sleep(600)'], env={})\n"
    "print('pids', os.getpid(), c.pid, flush=True); time.sleep(600)"
)


def test_killing_the_server_leaves_nothing_after_its_restart(tmp_path: Path) -> None:
    one = OwnProcess(tmp_path)
    try:
        one.prepare()
        job_id = one.submit(LEAVES_A_CHILD)
        wait_for(lambda: one.log(job_id).endswith("\n"))
        wait_for(lambda: one.client.describe_jobs(jobs=[job_id])["jobs"][0]["status"] == "RUNNING")
        job, child = map(int, one.log(job_id).split()[1:])
        # What was told to a client is in the file: this answer comes after the job's session was noted.
        one.client.tag_resource(
            resourceArn=one.client.describe_jobs(jobs=[job_id])["jobs"][0]["jobArn"], tags={"a": "b"}
        )
    finally:
        one.end()
    wait_for(lambda: not alive(job))  # with its parent
    assert alive(child)
    two = OwnProcess(tmp_path)
    try:
        wait_for(lambda: not alive(child))
        [found] = two.client.describe_jobs(jobs=[job_id])["jobs"]
        assert (found["status"], found["statusReason"][:8]) == ("FAILED", "Host EC2")
    finally:
        two.end()


@pytest.mark.parametrize("how", ["SIGTERM", "stdin"])
def test_an_orderly_end_leaves_nothing(tmp_path: Path, how: str) -> None:
    server = OwnProcess(tmp_path, "--until-stdin-closes")
    try:
        server.prepare()
        job_id = server.submit(LEAVES_A_CHILD)
        wait_for(lambda: server.log(job_id).endswith("\n"))
        pids = [int(pid) for pid in server.log(job_id).split()[1:]]
        if how == "SIGTERM":
            os.kill(server.process.pid, signal.SIGTERM)
        else:
            assert server.process.stdin is not None
            server.process.stdin.close()
        assert server.process.wait(20) == 0
        assert not any(map(alive, pids))
    finally:
        server.end()
