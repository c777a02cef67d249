"""Scripts that try what they must not. Each is a real script under the real runner; each fails, and the run says why.

Once as where the runner may do all that root can, and has namespaces; once as in a container where it is root but has
no right to namespaces, which is how AWS Batch runs it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from unit.runner.rig import LIBRARY, RUN_ID, Rig, failure, processes_with

from trainyard.model.result import AttemptResult, Ending
from trainyard.runner import process, reasons
from trainyard.runner.isolation import PROTECTIONS
from trainyard.runner.limits import Limit
from trainyard.runner.script import Ended
from trainyard.runner.users import INSTALLER

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root on Linux can give a script another user"
)
LIMIT_SECONDS = 60
# Root without the one capability that makes namespaces, and processes of its own: what Docker gives a container.
WITHOUT_NAMESPACES = ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"]
CONTAINER = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *WITHOUT_NAMESPACES]


@pytest.fixture(scope="module")
def open_cache() -> Iterator[Path]:
    """Where there are no namespaces, the script's user must be able to reach the cache."""
    folder = Path(tempfile.mkdtemp(prefix="trainyard-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(params=["namespaces", "container"])
def place(request: pytest.FixtureRequest, rig: Rig, open_cache: Path) -> Rig:
    """A rig whose runner has namespaces, or has none."""
    if request.param == "container":
        rig.cache, rig.prefix = open_cache, CONTAINER
        # The interpreter that runs the tests may lie in root's own home.
        rig.outer["PATH"] = os.pathsep.join(["/usr/local/bin", "/usr/bin", rig.outer["PATH"]])
        if not _container_is_possible():
            pytest.skip("needs setpriv and unshare, and a Python 3.11 in /usr")
    return rig


def _container_is_possible() -> bool:
    asked = [*CONTAINER, "setpriv", "--reuid", str(INSTALLER), "--clear-groups", "python3.11", "-c", ""]
    return _works(asked, {"PATH": "/usr/local/bin:/usr/bin:/bin"})


def _works(command: list[str], environment: dict[str, str]) -> bool:
    try:
        return subprocess.run(command, env=environment, check=False, timeout=LIMIT_SECONDS).returncode == 0
    except FileNotFoundError:
        return False


def attempt(rig: Rig, script: str, **environment: str) -> AttemptResult:
    """Run it where isolation is required."""
    rig.request(script, output=False)
    rig.start(TRAINYARD_ISOLATION="required", **environment).wait(LIMIT_SECONDS)
    return rig.result()


def test_every_protection_is_given_and_named(place: Rig) -> None:
    result = attempt(place, "print('ran')")
    assert result.ending is Ending.SUCCEEDED, result
    assert set(result.isolation) == set(PROTECTIONS)
    assert None not in result.isolation.values()
    assert "not isolated" not in place.log().decode()


def test_script_is_nobody_with_no_way_to_become_more(place: Rig) -> None:
    result = attempt(
        place,
        """
import os
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
print(os.getuid() >= 10001, os.getgroups(), status["NoNewPrivs"], {status[c] for c in status if c.startswith("Cap")})
os.setuid(0)
""",
    )
    nothing = "0" * 16
    assert place.printed().splitlines()[0].startswith("True [")
    assert f"1 {{'{nothing}'}}" in place.printed()
    assert "PermissionError: [Errno 1]" in failure(place, result).message.en


def test_reading_the_environment_of_the_runner(place: Rig) -> None:
    script = """
import glob
for file in glob.glob("/proc/[0-9]*/environ"):
    try:
        text = open(file, "rb").read()
    except OSError:
        continue
    assert b"secret-of-the-runner" not in text, file
open("/proc/%d/environ" % RUNNER).read()
"""
    # The test knows the number that a script could only guess.
    result = attempt(place, script.replace("RUNNER", str(os.getpid())))
    reason = failure(place, result)
    assert reason.kind == "script"
    assert "/environ" in reason.message.en
    assert "secret-of-the-runner" not in place.log().decode()


def test_reading_files_of_the_runner_and_of_other_runs(place: Rig) -> None:
    other = place.cache / "work" / "other"
    other.mkdir(parents=True, exist_ok=True)
    other.chmod(0o710)
    (other / "secret").write_text("of another run")
    script = """
import os, sys
work = os.path.dirname(os.path.dirname(os.path.dirname(os.getcwd())))
own = os.path.dirname(os.path.dirname(os.getcwd()))
def refused(act, *what):
    try:
        act(*what)
    except OSError as error:
        return True
    return False
print(refused(open, work + "/other/secret"), refused(open, own + "/log"), refused(os.listdir, work + "/../content"))
print(refused(os.mkdir, work + "/mine"), refused(open, "/etc/shadow"), refused(open, "/usr/x", "w"))
print(os.listdir(work))
"""
    attempt(place, script)
    shutil.rmtree(other)
    assert place.printed().splitlines()[:2] == ["True True True", "True True True"]


def test_the_metadata_service(place: Rig) -> None:
    script = """
import urllib.request
urllib.request.urlopen("http://169.254.169.254/latest/meta-data/iam/security-credentials/", timeout=5)
"""
    reason = failure(place, attempt(place, script))
    assert reason.kind == "no_network"
    assert "operator" in reason.message.en


def test_the_network_and_the_bucket_of_all_runs(place: Rig) -> None:
    """The bucket's server of this test listens on this very machine, where every other process reaches it."""
    script = f"import urllib.request; urllib.request.urlopen({place.endpoint + '/runs/runs/'!r}, timeout=5)"
    reason = failure(place, attempt(place, script))
    assert reason.kind in ("no_network", "script")
    assert "Connection refused" in reason.message.en or "Network is unreachable" in reason.message.en


def test_the_operator_may_open_the_network(place: Rig) -> None:
    script = f"import urllib.request; print(urllib.request.urlopen({place.endpoint + '/runs?list-type=2'!r}).status)"
    result = attempt(place, script, TRAINYARD_NETWORK="open")
    assert place.printed() == "200\n"
    assert result.isolation["network"] == "opened by the operator"


def test_a_fork_bomb(place: Rig) -> None:
    script = """
import os, time
while True:
    if os.fork() == 0:
        time.sleep(600)
"""
    result = attempt(place, script, TRAINYARD_MAX_PROCESSES="200")
    assert failure(place, result).kind == "too_many_processes"


def test_one_large_file(place: Rig) -> None:
    script = """
with open("large", "wb") as file:
    while True:
        file.write(bytes(1 << 20))
"""
    result = attempt(place, script, TRAINYARD_MAX_DISK_BYTES=str(20 << 20))
    assert failure(place, result).kind == "no_space"


def test_many_files_that_fill_the_disk(place: Rig) -> None:
    script = """
import itertools, time
for number in itertools.count():
    with open(f"/tmp/{number}", "wb") as file:
        file.write(bytes(4 << 20))
    time.sleep(0.02)
"""
    if place.prefix:
        script = script.replace('f"/tmp/', 'os.environ["TMPDIR"] + f"/').replace("import ", "import os, ")
    result = attempt(place, script, TRAINYARD_MAX_DISK_BYTES=str(20 << 20))
    assert (result.ending, result.kind) == (Ending.SCRIPT_FAILED, "no_space")


def test_more_memory_than_the_flavor_has(place: Rig) -> None:
    script = """
import time
kept = []
while True:
    kept.append(b"x" * (16 << 20))
    time.sleep(0.01)
"""
    result = attempt(place, script, TRAINYARD_MAX_MEMORY_BYTES=str(600 << 20))
    assert (result.ending, result.kind) == (Ending.SCRIPT_FAILED, "out_of_memory")


HOG = """
import time
kept = [b"x" * (16 << 20) for _ in range({pieces})]
time.sleep(600)
"""


@pytest.mark.parametrize("place", ["container"], indirect=True)
def test_several_processes_that_together_use_more_memory_than_the_flavor_has(place: Rig) -> None:
    """None of them does by itself, and one has left its parent and its session."""
    script = f"""
import os, time
for number in range(3):
    if os.fork() == 0:
        if number == 2:
            os.setsid()
            if os.fork():
                os._exit(0)
        exec({HOG.format(pieces=14)!r})
time.sleep(600)
"""
    result = attempt(place, script, TRAINYARD_MAX_MEMORY_BYTES=str(800 << 20))
    assert (result.ending, result.kind) == (Ending.SCRIPT_FAILED, "out_of_memory")


@pytest.mark.parametrize("place", ["namespaces"], indirect=True)
def test_memory_that_processes_share_counts_once(place: Rig) -> None:
    script = """
import os, time
kept = [b"x" * (16 << 20) for _ in range(20)]
workers = [os.fork() for _ in range(3) if os.getpid() == int(os.environ.setdefault("FIRST", str(os.getpid())))]
time.sleep(1.2)
if all(workers):
    for _ in workers: os.wait()
    print("all worked")
"""
    result = attempt(place, script, TRAINYARD_MAX_MEMORY_BYTES=str(800 << 20))
    assert (result.ending, place.printed()) == (Ending.SUCCEEDED, "all worked\n")


@pytest.fixture
def small_group() -> Iterator[list[str]]:
    """What starts a program in a control group with 450 MB of memory, as a container of AWS Batch is one."""
    older = Path("/sys/fs/cgroup/memory")
    base, limit = (older, "memory.limit_in_bytes") if older.is_dir() else (older.parent, "memory.max")
    own = base / f"trainyard-{os.getpid()}"
    try:
        own.mkdir()
        (own / limit).write_text(str(450 << 20))
    except OSError:
        pytest.skip("needs a control group of memory that may be made")
    yield ["sh", "-c", f'echo $$ > {own}/cgroup.procs; exec "$@"', "sh"]
    own.rmdir()


@pytest.mark.parametrize("place", ["container"], indirect=True)
def test_the_runner_outlives_a_script_whose_processes_use_up_the_container_s_memory(
    place: Rig, small_group: list[str]
) -> None:
    """They take it faster than the runner looks, so the kernel may be the first; it ends one of many."""
    place.prefix = [*small_group, *place.prefix]
    script = """
import os, sys, time
for number in range(4):
    if os.fork() == 0:
        kept = b"x" * (300 << 20)
        time.sleep(600)
_, status = os.wait()
sys.exit(f"worker ended: {status}")
"""
    result = attempt(place, script)
    assert (result.ending, result.kind) == (Ending.SCRIPT_FAILED, "out_of_memory")
    assert result.reason is not None
    assert "memory" in result.reason.en
    assert "内存" in result.reason.zh


def test_a_process_that_the_kernel_ended_for_memory_is_told_from_one_that_failed(small_group: list[str]) -> None:
    program = """
import os, sys, time
from pathlib import Path
from trainyard.runner.limits import Watch
watch = Watch(set(), [], 0, 0)
for amount in (1, 600 << 20):
    if os.fork() == 0:
        Path("/proc/self/oom_score_adj").write_text("600")
        kept = b"x" * amount
        os._exit(1)
    _, status = os.wait()
    print(status, watch.kernel_ended_some())
"""
    said = subprocess.run(
        [*small_group, sys.executable, "-c", program],
        env={"PYTHONPATH": str(LIBRARY), "PATH": os.defpath},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=True,
    ).stdout
    assert said == "256 False\n9 True\n"
    ended = Ended(process.Outcome.ENDED, 1, None, ["worker died"], Limit.MEMORY)
    ending, code, reason = reasons.judge(ended, timedelta(hours=1))
    assert (ending, code) == (Ending.SCRIPT_FAILED, 1)
    assert reason is not None
    assert "memory was used up" in reason.en
    assert "内存已耗尽" in reason.zh


def test_surviving_its_own_end(place: Rig) -> None:
    script = """
import os, signal, sys, time
for turn in range(5):
    if os.fork() == 0:
        os.setsid()
        for number in range(1, 65):
            try: signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError): pass
        if os.fork() == 0:
            os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)", "survivor-of-isolation"])
        os._exit(0)
time.sleep(0.3)
"""
    assert attempt(place, script).ending is Ending.SUCCEEDED
    assert processes_with("survivor-of-isolation") == []


def test_a_link_in_the_output_does_not_lead_the_runner_out(place: Rig) -> None:
    script = """
import os, sys
os.symlink("/etc/shadow", sys.argv[2] + "/stolen")
os.symlink("/proc/self/environ", sys.argv[2] + "/environ")
os.mkfifo(sys.argv[2] + "/pipe")
"""
    place.request(script)
    place.start(TRAINYARD_ISOLATION="required").wait(LIMIT_SECONDS)
    assert place.result().outputs == []
    assert [entry.key for entry in place.objects.find(f"runs/{RUN_ID}/output/")] == []


def test_where_a_required_protection_is_missing_nothing_is_started(rig: Rig) -> None:
    """Somebody who is not root, and may not make namespaces."""
    if shutil.which("setpriv") is None or shutil.which("unshare") is None:
        pytest.skip("needs setpriv and unshare, of util-linux")
    rig.prefix = [*WITHOUT_NAMESPACES, "unshare", "--user", "--map-user=1234"]
    rig.request("print('ran')", output=False)
    rig.start(TRAINYARD_ISOLATION="required").wait(LIMIT_SECONDS)
    result = rig.result()
    assert result.ending is Ending.SETUP_FAILED
    assert "cannot isolate" in str(result.reason)
    assert rig.printed() == ""


def test_somebody_who_is_not_root_has_user_namespaces(open_cache: Path) -> None:
    """As on a laptop: the script is the same user as its runner, and sees nothing of him all the same."""
    somebody = ["setpriv", "--reuid", "1234", "--regid", "1234", "--clear-groups"]
    packages = os.pathsep.join([str(LIBRARY), sysconfig.get_path("platlib")])
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": packages}
    if not _works([*somebody, "unshare", "-Urn", "python3.11", "-c", "import trainyard.runner.isolation"], environment):
        pytest.skip("needs user namespaces for everybody, and a Python 3.11 in /usr that can import this library")
    home = open_cache / "somebody"
    home.mkdir()
    os.chown(home, 1234, 1234)
    said = subprocess.run(
        [*somebody, "python3.11", "-c", LAPTOP, str(home)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=True,
    ).stdout
    assert said == "1234 True True 0000000000000000\n[] True\n"


LAPTOP = """
import os, pathlib, sys
from trainyard.runner.isolation import Access, Jail, Policy
home = pathlib.Path(sys.argv[1])
for name in ("view", "own", "private"):
    (home / name).mkdir()
script = f'''
import os
capabilities = [line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")]
print(os.getuid(), not os.path.exists("{home}/private"), not os.path.exists("/proc/{os.getpid()}"), *capabilities)
'''
jail = Jail(Policy(required=True), home / "view", None)
python = os.path.realpath("/usr/bin/python3.11")
started = jail.start([python, "-c", script], home / "own", {}, Access([], [home / "own"]), output=None)
code = started.process.wait(30)
print(started.missing, code == 0, flush=True)
"""


def test_a_misspelt_setting_takes_no_protection_off(rig: Rig) -> None:
    rig.request("print('ran')", output=False)
    assert rig.start(TRAINYARD_NETWORK="opened").wait(LIMIT_SECONDS) != 0
    assert list(rig.objects.find(f"runs/{RUN_ID}/attempts/")) == []
