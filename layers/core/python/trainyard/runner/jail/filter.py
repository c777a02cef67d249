"""Filters of system calls. Any process may put them on itself, also in a container that may do nothing else.

One leaves no way to more of the kernel than a container without rights gets from Docker's own profile, which a
privileged container, as one that mounts has to be, does not have, and a laptop neither. The other is for want of a
network namespace. It is coarser than one: there is no loopback either, because what a socket will be connected to
cannot be seen in registers.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

from trainyard.runner.jail.linux import prctl

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_REFUSED, _NO_NETWORK, _NOT_THERE = (_ERRNO | code for code in (errno.EPERM, errno.ENETUNREACH, errno.ENOSYS))
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
_AF_UNIX, _AF_VSOCK = 1, 40
_X32 = 0x40000000
# Audit's words for the architectures.
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# What only whoever administers a machine needs, in which most ways into kernels were found. A new user namespace would
# give all capabilities again, if only within itself. The second number is aarch64's.
_ADMINISTRATION = {
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "open_by_handle_at": (304, 265), "add_key": (248, 217), "request_key": (249, 218),
    "keyctl": (250, 219), "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "syslog": (103, 116),
    "acct": (163, 89), "quotactl": (179, 60),
}  # fmt: skip
# Younger calls have the same number everywhere: rings (io_uring) of 425 to 427, the new mounts of 428 to 433 and 442.
_IO_URING = range(425, 428)
_MOUNTS = (*range(428, 434), 442)
_CLONE = (56, 220)
_NEW_NAMESPACES = 0x7E020000
# Its flags lie in memory, which a filter cannot see; the C library falls back to clone.
_CLONE3 = 435
_SOCKET = (41, 198)

_Program = list[tuple[int, int, int, int]]


def forbid_administration() -> None:
    """No namespaces, mounts, modules, keys and the like, from now on and for all descendants.

    Needs no_new_privs. KeyError on a machine that is not known here.
    """
    which = _machine()
    refused = [*(numbers[which] for numbers in _ADMINISTRATION.values()), *_IO_URING, *_MOUNTS]
    _put_on(
        [
            *_of_this_architecture(),
            *(step for number in refused for step in ((_EQUAL, 0, 1, number), (_RETURN, 0, 0, _REFUSED))),
            (_EQUAL, 0, 1, _CLONE3),
            (_RETURN, 0, 0, _NOT_THERE),
            (_EQUAL, 0, 3, _CLONE[which]),
            (_LOAD, 0, 0, _FIRST_ARGUMENT),
            (_ANY_BIT, 4, 0, _NEW_NAMESPACES),
            (_RETURN, 0, 0, _ALLOW),
            # Sockets to the hypervisor know no namespaces.
            (_EQUAL, 0, 3, _SOCKET[which]),
            (_LOAD, 0, 0, _FIRST_ARGUMENT),
            (_EQUAL, 0, 1, _AF_VSOCK),
            (_RETURN, 0, 0, _REFUSED),
            (_RETURN, 0, 0, _ALLOW),
        ]
    )


def forbid_network() -> None:
    """No sockets but local ones; otherwise as `forbid_administration`."""
    _put_on(
        [
            *_of_this_architecture(),
            (_EQUAL, 4, 0, _IO_URING[0]),  # a ring makes sockets without the call
            (_EQUAL, 0, 4, _SOCKET[_machine()]),
            (_LOAD, 0, 0, _FIRST_ARGUMENT),
            (_EQUAL, 2, 0, _AF_UNIX),
            (_RETURN, 0, 0, _NO_NETWORK),
            (_RETURN, 0, 0, _REFUSED),
            (_RETURN, 0, 0, _ALLOW),
        ]
    )


def _machine() -> int:
    """Which of a pair of numbers is this machine's."""
    return {"x86_64": 0, "aarch64": 1}[platform.machine()]


def _of_this_architecture() -> _Program:
    """Refuses numbers of another one, where they mean other calls; leaves the call's number to be looked at."""
    return [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, _ARCHITECTURES[platform.machine()]),
        (_RETURN, 0, 0, _REFUSED),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _REFUSED),
    ]


def _put_on(steps: _Program) -> None:
    program = b"".join(struct.pack("HBBI", *step) for step in steps)
    kept = ctypes.create_string_buffer(program, len(program))
    described = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(kept))
    pointed_at = ctypes.create_string_buffer(described, len(described))
    prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(pointed_at))
