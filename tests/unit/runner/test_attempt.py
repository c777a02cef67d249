"""Whole attempts with small scripts, from the stored request to the stored result."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from datetime import timedelta

import pytest
from unit.runner.rig import RUN_ID, Rig, processes_with

from trainyard.model.result import Ending
from trainyard.runner.stop import Stop


def test_success_leaves_log_outputs_and_result(rig: Rig) -> None:
    script = """
import argparse, os, pathlib
p = argparse.ArgumentParser()
for name in ("--data_url", "--pretrain_url", "--output_path", "--epochs", "--flag"):
    p.add_argument(name)
a = p.parse_args()
print("epochs", a.epochs, a.flag, os.getcwd().endswith("/code/train"))
print(sorted(os.listdir(a.data_url)), open(a.data_url + "/train/x").read(), open(a.pretrain_url).read())
pathlib.Path(a.output_path, "sub").mkdir()
pathlib.Path(a.output_path, "sub", "model.ckpt").write_text("weights")
os.chmod(a.output_path + "/sub/model.ckpt", 0o400)
"""
    rig.request(
        script,
        inputs=[
            rig.put_input("data_url", {"train/x": b"X", "test/y": b"Y"}),
            rig.put_input("pretrain_url", {"lenet.ckpt": b"CKPT"}, is_file=True),
        ],
        hyperparameters={"epochs": 10, "flag": True},
    )

    assert rig.run() == 0

    result = rig.result()
    assert result.ending is Ending.SUCCEEDED
    assert (result.exit_code, result.reason, result.last_lines) == (0, None, [])
    assert rig.printed() == "epochs 10 true True\n['test', 'train'] X CKPT\n"
    assert [(file.path, file.size) for file in result.outputs] == [("sub/model.ckpt", 7)]
    assert rig.output("sub/model.ckpt") == b"weights"
    assert result.log_bytes == len(rig.log())
    assert {stage.name for stage in result.stages} == {"code", "inputs", "environment", "script", "upload"}
    assert list((rig.cache / "work").iterdir()) == []


def test_undeclared_arguments_are_not_passed(rig: Rig) -> None:
    rig.request("import sys; print(sys.argv[1:])", output=False)
    assert rig.run() == 0
    assert rig.printed() == "[]\n"
    assert rig.result().outputs == []


def test_failing_script_gives_its_last_line_as_reason_and_keeps_its_output(rig: Rig) -> None:
    rig.request("import sys\nopen(sys.argv[2] + '/half.ckpt', 'w').write('half')\nraise ValueError('bad batch size')")
    assert rig.run() == 1
    result = rig.result()
    assert (result.ending, result.exit_code) == (Ending.SCRIPT_FAILED, 1)
    assert result.reason is not None
    assert result.reason.en == "The script ended with exit code 1: ValueError: bad batch size"
    assert "ValueError: bad batch size" in result.reason.zh
    assert result.last_lines[-1] == "ValueError: bad batch size"
    assert rig.output("half.ckpt") == b"half"


def test_script_killed_by_a_signal(rig: Rig) -> None:
    rig.request("import os; os.kill(os.getpid(), 9)")
    assert rig.run() == 137
    result = rig.result()
    assert (result.ending, result.signal) == (Ending.SCRIPT_FAILED, 9)
    assert result.reason is not None
    assert "memory" in result.reason.en


def test_stop_ends_a_script_that_ignores_sigterm_and_keeps_its_output(rig: Rig) -> None:
    rig.request(
        """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[2], "epoch1.ckpt").write_text("1")
print("started", flush=True)
time.sleep(600)
"""
    )
    stop = Stop()
    threading.Thread(target=lambda: (rig.await_printed("started"), stop.request()), daemon=True).start()
    assert rig.run(stop) == 143
    result = rig.result()
    assert (result.ending, result.exit_code) == (Ending.STOPPED, 143)
    assert rig.output("epoch1.ckpt") == b"1"


def test_stop_before_the_script_starts(rig: Rig) -> None:
    rig.request("print('never')")
    stop = Stop()
    stop.request()
    assert rig.run(stop) == 143
    assert rig.result().ending is Ending.STOPPED
    assert "never" not in rig.printed()


def test_timeout_ends_the_script_and_says_so(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    # A run's own limit is a minute at least; this one is written past the model that holds users to it.
    monkeypatch.setattr("trainyard.model.spec.MIN_TIMEOUT", timedelta(0))
    rig.request("import time; print('hello', flush=True); time.sleep(600)", timeout="1s")
    assert rig.run() == 124
    result = rig.result()
    assert (result.ending, result.exit_code, result.last_lines) == (Ending.TIMED_OUT, 124, ["hello"])
    assert result.reason is not None
    assert "1s" in result.reason.en


def test_missing_boot_file_names_it(rig: Rig) -> None:
    rig.request("print()", boot_file="absent.py")
    assert rig.run() == 70
    result = rig.result()
    assert result.ending is Ending.SETUP_FAILED
    assert result.reason is not None
    assert "train/absent.py" in result.reason.en
    assert "train/absent.py" in result.reason.zh


def test_missing_input_object(rig: Rig) -> None:
    pinned = rig.put_input("data_url", {"x": os.urandom(8)})
    rig.objects.delete_prefix("lfs/")
    rig.request("print()", inputs=[pinned])
    assert rig.run() == 70
    assert "x is no longer stored" in str(rig.result().reason)


def test_input_that_is_not_what_was_pinned(rig: Rig) -> None:
    pinned = rig.put_input("data_url", {"x": os.urandom(8)})
    rig.objects.put(pinned.files[0].key, b"tampered")
    rig.request("print()", inputs=[pinned])
    assert rig.run() == 70
    assert "not what was pinned" in str(rig.result().reason)


def test_absent_request_becomes_a_result(rig: Rig) -> None:
    assert rig.run() == 70
    assert rig.result().ending is Ending.SETUP_FAILED


def test_second_job_of_the_same_attempt_touches_nothing(rig: Rig) -> None:
    rig.request("print('once')")
    assert rig.run(job_id="first") == 0
    before = [(entry.key, entry.modified) for entry in rig.objects.find("runs/")]
    assert rig.run(job_id="second") == 0
    assert [(entry.key, entry.modified) for entry in rig.objects.find("runs/")] == before


def test_same_job_may_start_over(rig: Rig) -> None:
    rig.request("print('again')")
    assert rig.run(job_id="first") == 0
    assert rig.run(job_id="first") == 0
    assert rig.result().ending is Ending.SUCCEEDED


def test_script_sees_no_credentials(rig: Rig) -> None:
    rig.request("import json, os; print(json.dumps(dict(os.environ)))", env={"OMP_NUM_THREADS": "1"})
    process = rig.start()
    assert process.wait(60) == 0
    seen = json.loads(rig.printed())
    assert seen["OMP_NUM_THREADS"] == "1"
    assert seen["TRAINYARD_ATTEMPT"] == "1"
    assert seen["TRAINYARD_RUN_ID"] == RUN_ID
    assert [name for name in seen if name.startswith("AWS_")] == []
    assert "secret-of-the-runner" not in json.dumps(seen)


def test_entry_point_stops_on_sigterm_and_leaves_no_process(rig: Rig) -> None:
    rig.request(
        """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import os, time; os.setsid(); time.sleep(600)", sys.argv[2]])
print("working", flush=True)
time.sleep(600)
""",
        hyperparameters={"mark": "stopped-by-sigterm"},
        output=False,
    )
    process = rig.start()
    rig.await_printed("working")
    assert len(processes_with("stopped-by-sigterm")) >= 2
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert rig.result().ending is Ending.STOPPED
    assert processes_with("stopped-by-sigterm") == []


def test_daemon_does_not_outlive_a_good_ending(rig: Rig) -> None:
    rig.request(
        """
import os, sys, time
hears, tells = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(tells, b"here")
        time.sleep(600)
    os._exit(0)
os.wait()
print(os.read(hears, 4).decode())
""",
        hyperparameters={"mark": "daemon-of-a-script"},
        output=False,
    )
    process = rig.start()
    assert process.wait(60) == 0
    assert rig.result().ending is Ending.SUCCEEDED
    assert rig.printed() == "here\n"
    assert processes_with("daemon-of-a-script") == []


def test_killed_runner_takes_its_script_along(rig: Rig) -> None:
    rig.request(
        "import time\nprint('working', flush=True)\ntime.sleep(600)",
        hyperparameters={"mark": "script-of-a-killed-runner"},
    )
    process = rig.start()
    rig.await_printed("working")
    assert processes_with("script-of-a-killed-runner")
    process.kill()
    process.wait(60)
    deadline = time.monotonic() + 30
    while processes_with("script-of-a-killed-runner"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
