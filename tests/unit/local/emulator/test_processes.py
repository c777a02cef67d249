"""Child processes end with whoever started them."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from infra.local.processes import Child, ProcessFailed, free_port, started_at

ROOT = Path(__file__).resolve().parents[4]
READY = "import json, time; print(json.dumps({'address': 'here'}), flush=True); time.sleep(60)"


def child(tmp_path, program):
    return Child(
        "child", [sys.executable, "-c", program], log=tmp_path / "log", environment=dict(os.environ), cwd=tmp_path
    )


def gone(pid, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False


def test_it_is_ready_at_its_first_json_line(tmp_path):
    process = child(tmp_path, "print('noise'); print('{broken');" + READY)
    process.start()
    try:
        assert process.wait_ready(10) == {"address": "here"}
        assert process.alive()
    finally:
        process.stop()
    assert not process.alive()


def test_one_that_ends_early_shows_its_last_words(tmp_path):
    process = child(tmp_path, "raise SystemExit('no such table')")
    process.start()
    with pytest.raises(ProcessFailed, match="no such table"):
        process.wait_ready(10)


def test_one_that_never_gets_ready_is_ended(tmp_path):
    process = child(tmp_path, "import time; time.sleep(60)")
    process.start()
    pid = process.pid
    with pytest.raises(ProcessFailed):
        process.wait_ready(0.3)
    assert gone(pid)


def test_one_that_will_not_end_is_killed_with_its_children(tmp_path):
    stubborn = textwrap.dedent("""
        import json, signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        print(json.dumps({"grandchild": grandchild.pid}), flush=True)
        time.sleep(60)
    """)
    process = child(tmp_path, stubborn)
    process.start()
    grandchild = process.wait_ready(10)["grandchild"]
    process.stop(timeout_seconds=0.2)
    assert gone(grandchild)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
def test_it_dies_with_a_parent_that_is_killed(tmp_path):
    parent = textwrap.dedent(f"""
        import os, sys, time
        from pathlib import Path
        from infra.local.processes import Child
        child = Child("c", [sys.executable, "-c", {READY!r}], log=Path({str(tmp_path)!r}) / "log",
                      environment=dict(os.environ), cwd=Path("."))
        child.start()
        child.wait_ready(10)
        print(child.pid, flush=True)
        time.sleep(60)
    """)
    paths = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'layers/core/python'}"}
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True, env=paths) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    assert gone(pid)


def test_a_wished_port_is_given_only_when_it_is_free():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) != port
    assert free_port(port) == port


def test_a_process_is_told_from_a_later_one_with_its_number():
    assert started_at(os.getpid()) == started_at(os.getpid()) != ""
    assert started_at(2**22 + 1) == ""
