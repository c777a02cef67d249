"""No network without a network namespace: a filter of system calls that lets no socket be made but local ones.

Any process may put it on itself, also in a container that may do nothing else. It is coarser than a namespace: there is
no loopback either, because what a socket will be connected to cannot be seen in registers.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

from trainyard.runner.jail.linux import prctl

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
_AF_UNIX = 1
_IO_URING_SETUP = 425
_X32 = 0x40000000
# Audit's word for the architecture, and the number of socket().
_MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}


def forbid_network() -> None:
    """From now on and for all descendants; needs no_new_privs. KeyError on a machine that is not known here."""
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in _program(*_MACHINES[platform.machine()]))
    kept = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(kept))
    pointed_at = ctypes.create_string_buffer(described, len(described))
    prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(pointed_at))


def _program(architecture: int, socket: int) -> list[tuple[int, int, int, int]]:
    refused, no_network = _ERRNO | errno.EPERM, _ERRNO | errno.ENETUNREACH
    return [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, refused),  # numbers of another architecture mean other calls
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 5, 0, _X32),
        (_EQUAL, 4, 0, _IO_URING_SETUP),  # a ring makes sockets without the call
        (_EQUAL, 0, 4, socket),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_EQUAL, 2, 0, _AF_UNIX),
        (_RETURN, 0, 0, no_network),
        (_RETURN, 0, 0, refused),
        (_RETURN, 0, 0, _ALLOW),
    ]
