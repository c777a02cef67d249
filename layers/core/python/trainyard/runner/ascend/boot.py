"""Starts the run's boot file in a container of ModelArts: its packages before it, its time limit around it.

It is uploaded beside the code under the name of `place.BOOT_FILE` and runs on the image's own Python, 3.7 for one, with
nothing but the standard library. ModelArts starts it once per card, or lets msrun or torchrun do so (`MA_RUN_METHOD`):
packages are installed by whoever comes first in each container, and where the run wants one process on each machine,
the cards but the first start none. What it leaves in the report's folder tells how the script ended.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path

EXIT_SETUP_FAILED, EXIT_TIMED_OUT = 70, 124
REPORT_ARGUMENT = "--trainyard_report"
PLAN_FILE = "trainyard_boot.json"
REQUIREMENTS_FILE = "pip-requirements.txt"
INSTALL_SECONDS = 3600.0
GRACE_SECONDS = 30.0
MASTER_PORT = 29500
_LINES = 20


def main(words):
    """`words`: what ModelArts calls the boot file with. The exit code is the script's."""
    here = Path(__file__).resolve().parent
    plan = json.loads((here / PLAN_FILE).read_text(encoding="utf-8"))
    place = ranks(plan, os.environ)
    if place is None:
        return 0
    os.environ.update(place)
    report_folder, arguments = take_report_folder(words)
    arguments = [as_the_script_expects(word, plan["files"]) for word in arguments]
    folder = here / plan["code_dir"]
    began = time.time()
    failure = install(folder / plan["boot_file"])
    stages = [{"name": "environment", "started_at": began, "seconds": round(time.time() - began, 3)}]
    if failure is not None:
        report = {"ending": "setup_failed", "exit_code": EXIT_SETUP_FAILED, "last_lines": failure}
    else:
        began = time.time()
        report = run([sys.executable, "-u", plan["boot_file"], *arguments], folder, plan["timeout"])
        stages.append({"name": "script", "started_at": began, "seconds": round(time.time() - began, 3)})
    report.update(stages=stages, packages=packages())
    write_report(report_folder, report)
    return report["exit_code"]


def ranks(plan, told):
    """The variables by which a process finds its place among the others, the same as on every backend.

    None for one that is not wanted: ModelArts starts as many as there are cards. Where msrun or torchrun starts them,
    what it has set stays.
    """
    card = number(told, "LOCAL_RANK", "ASCEND_DEVICE_ID", "DEVICE_ID")
    count = plan["processes"]
    if card >= count:
        return None
    node = number(told, "VC_TASK_INDEX")
    rank = node * count + card
    known = {
        "RANK": str(rank),
        "LOCAL_RANK": str(card),
        "WORLD_SIZE": str(count * plan["nodes"]),
        "MASTER_ADDR": told.get("VC_WORKER_HOSTS", "").split(",")[0] or "127.0.0.1",
        "MASTER_PORT": str(MASTER_PORT),
        "RANK_ID": str(rank),
        "RANK_SIZE": str(count * plan["nodes"]),
        "DEVICE_ID": str(card),
    }
    if told.get("MA_RUN_METHOD"):
        return {name: told.get(name, value) for name, value in known.items()}
    return known


def number(told, *names):
    """The first of these variables that is a number; 0 if none is."""
    return next((int(told[name]) for name in names if told.get(name, "").isdigit()), 0)


def take_report_folder(words):
    """The folder that ModelArts gave the report, and the other words."""
    rest, folder = [], ""
    words = iter(words)
    for word in words:
        name, _, value = word.partition("=")
        if name == REPORT_ARGUMENT:
            folder = value or next(words, "")
        else:
            rest.append(word)
    return folder, rest


def as_the_script_expects(word, files):
    """ModelArts hands over folders only: where the run has a single file, the script is given that file."""
    name, sign, folder = word.partition("=")
    file = files.get(name[2:]) if name.startswith("--") else None
    return name + sign + os.path.join(folder, file) if file and sign else word


def install(boot_file):
    """Install what the requirements file says, once per container; its last lines if that failed."""
    requirements = boot_file.with_name(REQUIREMENTS_FILE)
    if not requirements.exists():
        return None
    done = Path(str(requirements) + ".installed")
    with open(str(requirements) + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists():
            return None
        command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "-r", str(requirements)]
        ended = run(command, requirements.parent, INSTALL_SECONDS)
        if ended["exit_code"]:
            return ended["last_lines"]
        done.touch()
    return None


def run(command, folder, timeout):
    """Run it with its output passed on: {ending, exit_code, signal, last_lines}. Nothing of it is left afterwards."""
    process = subprocess.Popen(
        command, cwd=str(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    signal.signal(signal.SIGTERM, lambda *_: end(process.pid, signal.SIGTERM))
    last = deque(maxlen=_LINES)
    reader = threading.Thread(target=pass_on, args=(process.stdout, last), daemon=True)
    reader.start()
    timed_out = False
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        timed_out = True
        end(process.pid, signal.SIGTERM)
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            pass
    end(process.pid, signal.SIGKILL)
    process.wait()
    reader.join(GRACE_SECONDS)
    code = process.returncode
    report = {"exit_code": 128 - code if code < 0 else code, "signal": -code if code < 0 else None}
    report["last_lines"] = list(last) if code or timed_out else []
    if timed_out:
        report.update(ending="timed_out", exit_code=EXIT_TIMED_OUT)
    else:
        report["ending"] = "script_failed" if code else "succeeded"
    return report


def pass_on(printed, last):
    """Line by line, so that no two ranks mix in one. The first rank's as they are: from them metrics are read."""
    rank = number(os.environ, "RANK")
    mark = b"[rank %d] " % rank if rank else b""
    for line in iter(printed.readline, b""):
        sys.stdout.buffer.write(mark + line)
        sys.stdout.buffer.flush()
        text = line.decode("utf-8", "replace").rstrip()
        if text:
            last.append(text.rsplit("\r", 1)[-1][:500])


def end(group, number):
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        pass


def packages():
    """`name==version` of what is installed."""
    try:
        command = [sys.executable, "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"]
        listed = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
        return listed.stdout.decode("utf-8", "replace").split()
    except (OSError, subprocess.SubprocessError):
        return []


def write_report(folder, report):
    """Each card's script leaves one; ModelArts uploads the folder."""
    if not folder:
        return
    Path(folder).mkdir(parents=True, exist_ok=True)
    rank = number(os.environ, "RANK")
    Path(folder, f"report-{rank}.json").write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
