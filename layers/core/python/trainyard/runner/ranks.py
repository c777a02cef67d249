"""Several processes of one script on one machine: a rank for each card.

A program of its own with the standard library alone, because it runs shut in, as the script's user, who cannot read the
runner's files: it is handed over as text. `python -I -c THIS COUNT FIRST WORLD HOST PORT PYTHON BOOT_FILE ARGUMENT...`
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

_GRACE_SECONDS = 10.0
_TICK_SECONDS = 0.1
_ONE_WRITE = threading.Lock()


def main() -> int:
    count, first, world, host, port = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5]
    # A stop reaches the ranks too, which are in the same group; what becomes of them is seen here.
    signal.signal(signal.SIGTERM, lambda *_: None)
    ranks = [_start(local, first + local, world, host, port) for local in range(count)]
    threads = [threading.Thread(target=_print, args=(each, first + n)) for n, each in enumerate(ranks)]
    for thread in threads:
        thread.start()
    code = _first_failure(ranks)
    for thread in threads:
        thread.join(_GRACE_SECONDS)
    return code


def _start(local: int, rank: int, world: str, host: str, port: str) -> subprocess.Popen[bytes]:
    told = {
        "RANK": str(rank), "LOCAL_RANK": str(local), "WORLD_SIZE": world, "MASTER_ADDR": host, "MASTER_PORT": port,
        # The same in MindSpore's words.
        "RANK_ID": str(rank), "RANK_SIZE": world, "DEVICE_ID": str(local),
    }  # fmt: skip
    return subprocess.Popen(sys.argv[6:], env={**os.environ, **told}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def _print(process: subprocess.Popen[bytes], rank: int) -> None:
    """Line by line, so that no two ranks mix in one. The first rank's as they are: from them metrics are read."""
    assert process.stdout is not None
    mark = f"[rank {rank}] ".encode() if rank else b""
    for line in process.stdout:
        with _ONE_WRITE:
            sys.stdout.buffer.write(mark + line)
            sys.stdout.buffer.flush()


def _first_failure(ranks: list[subprocess.Popen[bytes]]) -> int:
    """Wait for all; when one fails the others are ended, who would wait for it for ever. Its exit code, or 0."""
    while any(each.poll() is None for each in ranks):
        failed = next((each for each in ranks if each.poll()), None)
        if failed is not None:
            _end(ranks)
            return _shown(failed.returncode)
        time.sleep(_TICK_SECONDS)
    return next((_shown(each.returncode) for each in ranks if each.returncode), 0)


def _end(ranks: list[subprocess.Popen[bytes]]) -> None:
    for each in ranks:
        each.terminate()
    deadline = time.monotonic() + _GRACE_SECONDS
    for each in ranks:
        with contextlib.suppress(subprocess.TimeoutExpired):
            each.wait(max(0.0, deadline - time.monotonic()))
        each.kill()
        each.wait()


def _shown(code: int) -> int:
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(main())
