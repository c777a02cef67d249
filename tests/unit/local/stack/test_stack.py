"""The whole embedded stack as one object, with the real template."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.local.stack import ROOT, Stack, down, running
from trainyard.model.errors import Conflict, NotFound

pytestmark = pytest.mark.e2e

HOLD = """
import signal, sys, time
from pathlib import Path
from infra.local.stack import Stack
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with Stack("held", home=Path(sys.argv[1])):
    print("up", flush=True)
    time.sleep(300)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home of its own; the packages, which take a while to install, are shared."""
    home = tmp_path_factory.mktemp("home")
    (ROOT / ".trainyard" / "cache").mkdir(parents=True, exist_ok=True)
    (home / "cache").symlink_to(ROOT / ".trainyard" / "cache")
    return home


@pytest.fixture
def holder(home):
    paths = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'layers/core/python'}"}
    argv = [sys.executable, "-c", HOLD, str(home)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=paths, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n"
            yield process
        finally:
            process.kill()


def living(home):
    """Processes of the stacks under this folder."""
    found = []
    for arguments in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = arguments.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(str(home).encode() in word for word in words) and HOLD.encode() not in words:
            found.append(words)
    return found


def nothing_left(home, seconds=30):
    deadline = time.monotonic() + seconds
    while living(home) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not living(home)


def test_it_starts_whole_and_leaves_nothing(home):
    with Stack("one", home=home) as stack:
        assert stack.healthy() == {"emulator": True, "batch": True, "githost": True}
        assert running("one", home=home) == stack.addresses
        assert stack.addresses.outputs["ApiUrl"] == stack.addresses.api
        assert set(stack.warm()) == set(stack.addresses.functions)
        with pytest.raises(Conflict):
            Stack("one", home=home).start()
        assert all(stack.healthy().values())
        first = stack.addresses
    assert nothing_left(home, seconds=0)
    with pytest.raises(NotFound):
        running("one", home=home)
    with Stack("one", home=home) as stack:
        assert stack.addresses == first


def test_down_ends_what_another_process_holds(home, holder):
    assert down("held", home=home)
    assert nothing_left(home)
    assert not down("held", home=home)


def test_a_holder_that_is_killed_takes_everything_along(home, holder):
    assert living(home)
    holder.send_signal(signal.SIGKILL)
    holder.wait(10)
    assert nothing_left(home)
    with Stack("held", home=home) as stack:
        assert all(stack.healthy().values())
