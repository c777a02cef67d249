"""The last step before the script: a process that ties its life to the runner's and then becomes the script.

Run by its path with the standard library alone: `python -I -S launch.py PARENT_PID PROGRAM ARGUMENT...`
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        # A runner that is killed outright cannot end its script any more; the kernel does it then.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(143)
    os.execv(program[0], program)  # noqa: S606 - becoming the script is the point


if __name__ == "__main__":
    main()
