"""What a script asks of the kernel that no container without rights may: nothing of it is given, wherever it runs.

A privileged container, as an image of one's own needs, has no filter of Docker's; a user namespace of the script's own
would give it all capabilities again, and with them most of the kernel.
"""

from __future__ import annotations

import json
import sys

import pytest
from unit.runner.rig import Rig
from unit.runner.test_isolation import attempt, open_cache, place, pytestmark  # noqa: F401 - fixtures

from trainyard.model.result import Ending

TRIED = """
import ctypes, errno, json, os, platform, socket, subprocess, threading
libc = ctypes.CDLL(None, use_errno=True)
x86 = platform.machine() == "x86_64"
def call(name, numbers, *arguments):
    ctypes.set_errno(0)
    if os.fork() == 0:
        answer = libc.syscall(ctypes.c_long(numbers[0 if x86 else 1]), *map(ctypes.c_long, arguments))
        os._exit(255 if answer >= 0 else ctypes.get_errno())
    return errno.errorcode.get(os.waitstatus_to_exitcode(os.wait()[1]), "done")
NEW_USER, NEW_NET = 0x10000000, 0x40000000
print(json.dumps({
    "unshare": call("unshare", (272, 97), NEW_USER),
    "clone": call("clone", (56, 220), NEW_USER | NEW_NET | 17, 0, 0, 0, 0),
    "clone3": call("clone3", (435, 435), 0, 0),
    "setns": call("setns", (308, 268), 0, 0),
    "mount": call("mount", (165, 40), 0, 0, 0, 0, 0),
    "fsopen": call("fsopen", (430, 430), 0, 0),
    "bpf": call("bpf", (321, 280), 0, 0, 0),
    "perf": call("perf", (298, 241), 0, 0, 0, 0, 0),
    "keyctl": call("keyctl", (250, 219), 0, -3, 0),
    "io_uring": call("io_uring", (425, 425), 1, 0),
    "module": call("module", (313, 273), -1, 0, 0),
    "by_handle": call("by_handle", (304, 265), -1, 0, 0),
}))
try:
    socket.socket(40, socket.SOCK_STREAM)
    print("a way to the hypervisor")
except OSError as error:
    print(errno.errorcode[error.errno])
# And all that a training does goes on.
thread = threading.Thread(target=print, args=("thread",)); thread.start(); thread.join()
print(subprocess.run(["/bin/sh", "-c", "echo child"], capture_output=True, text=True).stdout.strip())
import multiprocessing
print(multiprocessing.get_context("fork").Pool(2).map(abs, [-1, -2]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's calls")
def test_nothing_that_administers_a_machine_is_given(place: Rig) -> None:  # noqa: F811 - the fixture
    result = attempt(place, TRIED)
    assert result.ending is Ending.SUCCEEDED, place.log().decode()
    asked, hypervisor, *goes_on = place.printed().splitlines()
    answers = json.loads(asked)
    # The C library then uses clone, whose flags a filter sees.
    assert answers.pop("clone3") == "ENOSYS"
    assert set(answers.values()) == {"EPERM"}, answers
    assert hypervisor in ("EPERM", "ENETUNREACH")
    assert goes_on == ["thread", "child", "[1, 2]"]
    assert result.isolation["kernel"] == "system call filter"
