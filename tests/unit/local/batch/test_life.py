"""A job's life, seen through the real client: it runs, ends, is retried, stopped, timed out."""

import signal
from typing import Any

import pytest

FOREVER = "import time; print('up', flush=True); time.sleep(600)"
DEAF = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
ENDED = "Essential container in task exited"


def test_a_job_runs_and_succeeds(bench: Any) -> None:
    job_id = bench.submit("import sys; print('hello', sys.argv[1])", "world", tags={"run": "1"})
    job = bench.until(job_id)
    assert job["status"] == "SUCCEEDED"
    assert job["statusReason"] == ENDED
    assert job["container"]["exitCode"] == 0
    assert bench.log(job_id) == "hello world\n"
    assert job["createdAt"] <= job["startedAt"] <= job["stoppedAt"]
    [attempt] = job["attempts"]
    assert attempt["container"]["exitCode"] == 0
    assert attempt["container"]["logStreamName"].startswith("run/default/")
    assert (attempt["startedAt"], attempt["stoppedAt"]) == (job["startedAt"], job["stoppedAt"])
    assert bench.states(job_id) == ["RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"]


def test_the_environment_is_clean_and_layered(make_bench: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "x")
    bench = make_bench(platform_env={"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "PLATFORM": "wins"})
    bench.definition("layered", properties={"environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]})
    show = "import os; print(sorted(os.environ.items())); print(os.getcwd(), os.listdir('.'))"
    overrides = {"environment": [{"name": "B", "value": "二"}, {"name": "PLATFORM", "value": "loses"}]}
    job_id = bench.submit(show, jobDefinition="layered", overrides=overrides)
    assert bench.until(job_id)["status"] == "SUCCEEDED"
    environment_line, folder_line, *_ = bench.log(job_id).splitlines()
    seen = dict(eval(environment_line))
    assert seen.pop("PATH")
    home = seen.pop("HOME")
    seen.pop("LC_CTYPE", None)  # Python's own
    assert seen == {
        "LANG": "C.UTF-8",
        "FROM_IMAGE": "yes",
        "A": "1",
        "B": "二",
        "PLATFORM": "wins",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_BATCH_JOB_ID": job_id,
        "AWS_BATCH_JQ_NAME": "cpu",
        "AWS_BATCH_CE_NAME": "cpu",
        "AWS_BATCH_JOB_ATTEMPT": "1",
    }
    folder = bench.server.logs_dir.parent / "scratch" / f"{job_id}-1"
    assert folder_line == f"{folder}/work []"
    assert home == f"{folder}/home"
    assert not folder.exists()


def test_parameters_fill_the_command(bench: Any) -> None:
    bench.definition(
        "filled",
        command=["import sys; print(sys.argv[1:])", "Ref::a", "x=Ref::b", "Ref::c"],
        parameters={"a": "1", "b": "1"},
    )
    job_id = bench.client.submit_job(jobName="j", jobQueue="cpu", jobDefinition="filled", parameters={"b": "2"})[
        "jobId"
    ]
    job = bench.until(job_id)
    assert job["parameters"] == {"a": "1", "b": "2"}
    assert bench.log(job_id) == "['1', 'x=2', 'Ref::c']\n"


def test_a_failing_job_is_tried_as_often_as_it_says(bench: Any) -> None:
    job_id = bench.submit(
        "import os,sys; print(os.environ['AWS_BATCH_JOB_ATTEMPT']); sys.exit(7)", retryStrategy={"attempts": 3}
    )
    job = bench.until(job_id)
    assert job["status"] == "FAILED"
    assert job["statusReason"] == ENDED
    assert [attempt["container"]["exitCode"] for attempt in job["attempts"]] == [7, 7, 7]
    assert [bench.log(job_id, n) for n in (1, 2, 3)] == ["1\n", "2\n", "3\n"]
    assert bench.states(job_id) == ["RUNNABLE", "STARTING", "RUNNING"] * 3 + ["FAILED"]


def test_a_second_attempt_may_succeed(bench: Any) -> None:
    job_id = bench.submit(
        "import os,sys; sys.exit(os.environ['AWS_BATCH_JOB_ATTEMPT'] == '1')", retryStrategy={"attempts": 5}
    )
    job = bench.until(job_id)
    assert job["status"] == "SUCCEEDED"
    assert [attempt["container"]["exitCode"] for attempt in job["attempts"]] == [1, 0]


def test_the_definitions_retry_strategy_holds_unless_overridden(bench: Any) -> None:
    bench.definition("twice", retryStrategy={"attempts": 2})
    twice = bench.submit("raise SystemExit(1)", jobDefinition="twice")
    once = bench.submit("raise SystemExit(1)", jobDefinition="twice", retryStrategy={"attempts": 1})
    assert len(bench.until(twice)["attempts"]) == 2
    assert len(bench.until(once)["attempts"]) == 1


@pytest.mark.parametrize(
    ("rules", "attempts"),
    [
        ([{"onExitCode": "3", "action": "EXIT"}], 1),
        ([{"onExitCode": "3", "action": "exit"}], 1),
        ([{"onExitCode": "30*", "action": "EXIT"}], 3),  # nothing fits: tried again
        ([{"onExitCode": "4", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}], 1),
        (
            [
                {"onStatusReason": "Essential*", "onExitCode": "3", "action": "RETRY"},
                {"onReason": "*", "action": "EXIT"},
            ],
            3,
        ),
        ([{"onStatusReason": "Host EC2*", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}], 1),
    ],
)
def test_evaluate_on_exit_decides(bench: Any, rules: list[dict[str, str]], attempts: int) -> None:
    job_id = bench.submit("raise SystemExit(3)", retryStrategy={"attempts": 3, "evaluateOnExit": rules})
    assert len(bench.until(job_id)["attempts"]) == attempts


def test_a_spot_reclaim_is_retried_where_the_rules_say_so(bench: Any) -> None:
    rules = [{"onStatusReason": "Host EC2*", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}]
    program = "import os,time; print('up', flush=True); time.sleep(600 * (os.environ['AWS_BATCH_JOB_ATTEMPT'] == '1'))"
    job_id = bench.submit(program, retryStrategy={"attempts": 3, "evaluateOnExit": rules})
    bench.until_logged(job_id, "up")
    bench.server.reclaim(job_id)
    job = bench.until(job_id)
    assert job["status"] == "SUCCEEDED"
    first, _second = job["attempts"]
    assert first["statusReason"].startswith("Host EC2 (instance i-")
    assert "exitCode" not in first["container"]


def test_an_unknown_image_fails_as_a_pull_does(bench: Any) -> None:
    bench.definition("lost", properties={"image": "nowhere/none:1"})
    job = bench.until(bench.submit(jobDefinition="lost"))
    assert job["status"] == "FAILED"
    assert job["statusReason"] == "Task failed to start"
    assert job["container"]["reason"].startswith("CannotPullContainerError")
    assert "exitCode" not in job["container"]


def test_secrets_are_not_resolved_and_that_is_said(bench: Any) -> None:
    secret = {"name": "TOKEN", "valueFrom": "arn:aws:ssm:us-east-1:000000000000:parameter/x"}
    bench.definition("secretive", properties={"secrets": [secret]})
    assert "secrets" in bench.until(bench.submit(jobDefinition="secretive"))["container"]["reason"]


def test_a_program_that_is_not_there_cannot_start(make_bench: Any) -> None:
    from infra.local.batch.launch import Image

    bench = make_bench(images={"python": Image(["/nowhere/at-all"])})
    job = bench.until(bench.submit())
    assert job["container"]["reason"].startswith("CannotStartContainerError")
    assert bench.states(job["jobId"]) == ["RUNNABLE", "STARTING", "FAILED"]


def test_a_launcher_that_raises_fails_the_job(make_bench: Any) -> None:
    def launcher(_spec: Any) -> Any:
        raise KeyError("bug")

    bench = make_bench(launcher=launcher)
    assert "KeyError" in bench.until(bench.submit())["container"]["reason"]


def test_a_timeout_ends_the_attempt_and_is_not_retried(make_bench: Any) -> None:
    bench = make_bench(second=0.01)
    job_id = bench.submit(FOREVER, timeout={"attemptDurationSeconds": 60}, retryStrategy={"attempts": 3})
    job = bench.until(job_id)
    assert job["status"] == "FAILED"
    assert job["statusReason"] == "Job attempt duration exceeded timeout"
    assert [attempt["statusReason"] for attempt in job["attempts"]] == ["Job attempt duration exceeded timeout"]
    assert job["container"]["exitCode"] == 128 + signal.SIGTERM


def test_terminate_a_running_job(bench: Any) -> None:
    program = (
        "import signal,sys,time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('saved', flush=True), sys.exit(0)))\n"
        "print('up', flush=True); time.sleep(600)"
    )
    job_id = bench.submit(program, retryStrategy={"attempts": 3})
    bench.until_logged(job_id, "up")
    bench.client.terminate_job(jobId=job_id, reason="stopped by the user")
    job = bench.until(job_id)
    assert (job["status"], job["statusReason"]) == ("FAILED", "stopped by the user")
    assert len(job["attempts"]) == 1
    assert job["isTerminated"] is True
    assert "saved" in bench.log(job_id)
    bench.client.terminate_job(jobId=job_id, reason="again")
    assert bench.job(job_id)["statusReason"] == "stopped by the user"


def test_a_job_deaf_to_sigterm_is_killed_after_the_grace(make_bench: Any) -> None:
    bench = make_bench(grace=0.2)
    job_id = bench.submit(DEAF)
    bench.until_logged(job_id, "up")
    bench.client.terminate_job(jobId=job_id, reason="enough")
    job = bench.until(job_id)
    assert (job["statusReason"], job["container"]["exitCode"]) == ("enough", 128 + signal.SIGKILL)


@pytest.mark.parametrize(("how", "mark"), [("terminate_job", "isTerminated"), ("cancel_job", "isCancelled")])
def test_a_waiting_job_ends_at_once(make_bench: Any, how: str, mark: str) -> None:
    bench = make_bench(prepared=False, grace=0.1)
    bench.queue(vcpus=1)
    bench.definition()
    running = bench.submit(FOREVER)
    bench.until(running, "RUNNING")
    waiting = bench.submit()
    assert bench.until(waiting, "RUNNABLE")["attempts"] == []
    getattr(bench.client, how)(jobId=waiting, reason="not needed")
    job = bench.job(waiting)
    assert (job["status"], job["statusReason"], job["attempts"]) == ("FAILED", "not needed", [])
    assert job[mark] is True
    bench.client.terminate_job(jobId=running, reason="done")
    assert bench.states(waiting) == ["RUNNABLE", "FAILED"]


def test_cancel_leaves_a_running_job_alone(bench: Any) -> None:
    job_id = bench.submit("import time; time.sleep(0.5)")
    bench.until(job_id, "RUNNING")
    bench.client.cancel_job(jobId=job_id, reason="too late")
    assert bench.until(job_id)["status"] == "SUCCEEDED"


def test_what_a_job_started_ends_with_it(bench: Any) -> None:
    """Like a container: also what left the process group and the session."""
    import os

    program = (
        "import subprocess,sys\n"
        "c=[sys.executable,'-c','import time; time.sleep(600)']\n"
        "print(subprocess.Popen(c).pid, subprocess.Popen(c, start_new_session=True).pid, flush=True)"
    )
    job_id = bench.submit(program)
    assert bench.until(job_id)["status"] == "SUCCEEDED"
    for pid in map(int, bench.log(job_id).split()):
        assert not _alive(pid)
    assert _alive(os.getpid())


def _alive(pid: int) -> bool:
    from pathlib import Path

    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_no_more_jobs_run_than_the_environment_has_room_for(make_bench: Any, tmp_path: Any) -> None:
    bench = make_bench(prepared=False)
    bench.queue(vcpus=3)
    bench.definition()
    # Each job notes how many run with it: one file per job that is up.
    here = tmp_path / "up"
    here.mkdir()
    program = (
        "import os,sys,time\n"
        "f=os.path.join(sys.argv[1], os.environ['AWS_BATCH_JOB_ID']); open(f,'w').close(); time.sleep(0.05)\n"
        "print(len(os.listdir(sys.argv[1]))); os.remove(f)"
    )
    jobs = [bench.submit(program, str(here), name=f"job-{n}") for n in range(20)]
    assert bench.server.wait_idle(60)
    assert {bench.job(job_id)["status"] for job_id in jobs} == {"SUCCEEDED"}
    together = [int(bench.log(job_id)) for job_id in jobs]
    assert max(together) <= 3
    started = [event["detail"]["jobId"] for event in bench.events if event["detail"]["status"] == "STARTING"]
    assert started == jobs  # first come, first served


def test_twenty_jobs_in_parallel(make_bench: Any) -> None:
    bench = make_bench(prepared=False)
    bench.queue(vcpus=20)
    bench.definition()
    jobs = [bench.submit(FOREVER, name=f"job-{n}") for n in range(20)]
    for job_id in jobs:
        bench.until(job_id, "RUNNING")
        bench.until_logged(job_id, "up")
    for job_id in jobs:
        bench.client.terminate_job(jobId=job_id, reason="all")
    assert bench.server.wait_idle(60)
    assert all(bench.states(job_id)[-2:] == ["RUNNING", "FAILED"] for job_id in jobs)


def test_a_job_too_large_waits_with_its_reason_and_holds_up_nobody(bench: Any) -> None:
    large = bench.submit(overrides={"resourceRequirements": [{"type": "VCPU", "value": "64"}]})
    small = bench.submit()
    assert bench.until(small)["status"] == "SUCCEEDED"
    job = bench.job(large)
    assert job["status"] == "RUNNABLE"
    assert job["statusReason"].startswith("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE")
    bench.client.cancel_job(jobId=large, reason="too large")
    assert bench.job(large)["statusReason"] == "too large"


def test_a_fair_queue_alternates_between_shares(make_bench: Any) -> None:
    bench = make_bench(prepared=False)
    bench.queue(vcpus=2, schedulingPolicyArn=bench.client.create_scheduling_policy(name="fair")["arn"])
    bench.definition()
    blockers = [bench.submit(FOREVER, shareIdentifier="z") for _ in range(2)]
    for job_id in blockers:
        bench.until(job_id, "RUNNING")
    many = [bench.submit("import time; time.sleep(600)", shareIdentifier="a") for _ in range(3)]
    other = bench.submit("import time; time.sleep(600)", shareIdentifier="b")
    urgent = bench.submit("import time; time.sleep(600)", shareIdentifier="a", schedulingPriorityOverride=9)
    bench.until(urgent, "RUNNABLE")
    for job_id in blockers:
        bench.client.terminate_job(jobId=job_id, reason="room")
    bench.until(urgent, "RUNNING")
    bench.until(other, "RUNNING")
    assert {bench.job(job_id)["status"] for job_id in many} == {"RUNNABLE"}
