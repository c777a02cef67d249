"""Scripts that fill the machine's disk to its last byte: a small file system in memory stands for it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from unit.runner.rig import RUN_ID, Rig, failure

from trainyard.model.result import Ending
from trainyard.model.text import Text
from trainyard.runner import shipping
from trainyard.runner.limits import DISK_RESERVE_BYTES
from trainyard.runner.shipping import LogShipper

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root on Linux can mount a file system"
)
FILL = """
import os, time
print("loss is 0.5", flush=True)
file = open("checkpoint", "wb")
disk = os.statvfs(".")
os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize)
"""
ENDS = {"it goes on": "time.sleep(60)", "it gives up": "while True: file.write(bytes(1 << 20))"}


@contextmanager
def disk(folder: Path, size: int) -> Iterator[Path]:
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"cannot mount: {mounted.stderr.decode()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with disk(tmp_path_factory.mktemp("disk"), DISK_RESERVE_BYTES + (200 << 20)) as folder:
        yield folder


@pytest.mark.parametrize("end", ENDS)
def test_a_script_that_fills_the_disk(rig: Rig, small_disk: Path, end: str) -> None:
    rig.cache = small_disk
    other = small_disk / "another-jobs-file"
    other.write_bytes(b"kept")
    rig.request(FILL + ENDS[end], output=True)
    assert rig.start().wait(60) != 0
    result, log = rig.result(), rig.log()
    assert (result.ending, result.log_bytes) == (Ending.SCRIPT_FAILED, len(log))
    assert "loss is 0.5" in rig.printed()
    reason = failure(rig, result)
    assert reason.kind == "no_space"
    assert "disk" in reason.message.en
    assert "磁盘" in reason.message.zh
    assert str(result.reason) in log.decode().splitlines()[-1]
    assert (other.read_bytes(), list((small_disk / "work").iterdir())) == (b"kept", [])
    if end != "it goes on":
        return
    # The next run finds the disk as it was.
    rig.objects.delete_prefix("runs/")
    rig.request("print('trained')", output=False)
    assert rig.start().wait(60) == 0
    assert "trained" in rig.printed()


LINES = [f"step {number}, loss is {1 / (number + 1)}\n".encode() for number in range(2000)]


def test_a_logs_end_on_a_full_disk_is_not_lost(rig: Rig, tmp_path: Path) -> None:
    with disk(tmp_path, 64 << 10) as folder:
        shipper = LogShipper(rig.objects, RUN_ID, 1, folder / "log")
        (folder / "full").write_bytes(bytes(40 << 10))
        for line in LINES:
            shipper.write(line)
        shipper.say(Text(en="the disk is full", zh="磁盘已满"))
        assert shipper.close(20)
    assert rig.log() == b"".join(LINES) + "[trainyard] the disk is full / 磁盘已满\n".encode()


def test_where_it_can_be_held_no_longer_it_ends_with_a_word(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipping, "MAX_HELD_BYTES", 10_000)
    monkeypatch.setattr(shipping, "INTERVAL_SECONDS", 60.0)
    with disk(tmp_path, 64 << 10) as folder:
        shipper = LogShipper(rig.objects, RUN_ID, 1, folder / "log")
        for line in LINES:
            shipper.write(line)
        assert shipper.close(20)
    log = rig.log()
    printed, _, said = log.partition(b"[trainyard] ")
    assert b"".join(LINES).startswith(printed)
    assert (64 << 10) + 10_000 < len(printed) < (64 << 10) + 11_000
    assert said.decode() == "the disk is full; the rest of the log is not kept / 磁盘已满，其余日志不再保存\n"
