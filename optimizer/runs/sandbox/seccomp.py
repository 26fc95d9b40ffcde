"""seccomp: which system calls a process may make (seccomp(2)). The filter is a program of classic BPF, assembled here.

A denied call fails with EPERM, so that a library that can do without it does. Where the filter cannot tell which call was meant
(another architecture's, x32), the process is killed by SIGSYS.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Sequence

from optimizer.runs.sandbox.kernel import MACHINE, PR_SET_PDEATHSIG, PR_SET_SECCOMP, MissingLayerError, prctl
from optimizer.runs.sandbox.system_calls import AUDIT_ARCHITECTURE, checked_calls, denied_calls

_SECCOMP_MODE_FILTER = 2
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_X32_BIT = 0x40000000
_CLONE_THREAD = 0x00010000
# F_SETOWN, F_SETSIG, F_SETOWN_EX; FIOSETOWN, SIOCSPGRP, TIOCSTI, TIOCLINUX: they make the kernel signal, or type into, other processes.
_FCNTL_COMMANDS = (8, 10, 15)
_IOCTL_COMMANDS = (0x8901, 0x8902, 0x5412, 0x541C)

Instruction = tuple[int, int, int, int]


def argument(position: int) -> int:
    """Offset of an argument's low 32 bits within seccomp_data on a little-endian machine."""
    return _ARGUMENTS + 8 * position


def load(offset: int) -> Instruction:
    """Read 32 bits of seccomp_data."""
    return (_LOAD, 0, 0, offset)


def allow() -> Instruction:
    """End; the call is made."""
    return give(_ALLOW)


def give(action: int) -> Instruction:
    """End with an action."""
    return (_RETURN, 0, 0, action)


def refuse(number: int = errno.EPERM) -> Instruction:
    """End; the call fails with that error number."""
    return give(_ERRNO | number)


def only_if(call: int, body: Sequence[Instruction]) -> list[Instruction]:
    """Run `body`, which must end by itself, for one call; others jump over it. The call's number is in the accumulator."""
    return [(_EQUAL, 0, len(body), call), *body]


def allow_values(position: int, values: Sequence[int]) -> list[Instruction]:
    """Allow the call where an argument is one of `values`."""
    return _by_value(position, values, allow(), refuse())


def refuse_values(position: int, values: Sequence[int]) -> list[Instruction]:
    """Refuse the call where an argument is one of `values`."""
    return _by_value(position, values, refuse(), allow())


def _by_value(position: int, values: Sequence[int], hit: Instruction, miss: Instruction) -> list[Instruction]:
    count = len(values)
    tests: list[Instruction] = [(_EQUAL, count - number, 0, value & 0xFFFFFFFF) for number, value in enumerate(values)]
    return [load(argument(position)), *tests, miss, hit]


def job_filter(pid: int, machine: str = MACHINE) -> list[Instruction]:
    """The filter of a worker with that pid: no network, no other process, no program, no change of what is not its own."""
    ours = (pid,)
    checked: dict[str, list[Instruction]] = {
        # glibc falls back to clone, whose flags a filter can read; those of clone3 are behind a pointer.
        "clone3": [refuse(errno.ENOSYS)],
        "clone": [load(argument(0)), (_ANY_BIT, 1, 0, _CLONE_THREAD), refuse(), allow()],
        "kill": allow_values(0, (pid, -pid, 0)),
        "tgkill": allow_values(0, ours),
        "rt_sigqueueinfo": allow_values(0, ours),
        "rt_tgsigqueueinfo": allow_values(0, ours),
        "prlimit64": allow_values(0, (pid, 0)),
        "prctl": refuse_values(0, (PR_SET_PDEATHSIG,)),
        "fcntl": refuse_values(1, _FCNTL_COMMANDS),
        "ioctl": refuse_values(1, _IOCTL_COMMANDS),
    }
    program = preamble(machine)
    for name, number in checked_calls(machine).items():
        program += only_if(number, checked[name])
    for number in denied_calls(machine).values():
        program += only_if(number, [refuse()])
    return [*program, allow()]


def preamble(machine: str = MACHINE) -> list[Instruction]:
    """Kill what uses another table of calls; then the call's number is in the accumulator."""
    program = [load(_ARCHITECTURE), (_EQUAL, 1, 0, AUDIT_ARCHITECTURE[machine]), give(_KILL), load(_NUMBER)]
    if machine == "x86_64":
        program += [(_AT_LEAST, 0, 1, _X32_BIT), give(_KILL)]
    return program


class _Filter(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filters", ctypes.POINTER(_Filter)))


def install(program: Sequence[Instruction]) -> None:
    """Put a filter on the calling thread and all that it starts, for good. `no_new_privs` must be set.

    Raises:
        MissingLayerError: the kernel has no seccomp filters.
        OSError: the kernel refused.
    """
    filters = (_Filter * len(program))(*(_Filter(*instruction) for instruction in program))
    compiled = _Program(len(program), filters)
    try:
        prctl(PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.cast(ctypes.pointer(compiled), ctypes.c_void_p))
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOSYS):
            raise MissingLayerError(f"seccomp: {os.strerror(error.errno)}") from error
        raise
