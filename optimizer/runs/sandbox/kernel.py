"""The kernel's calls that Python has no function for."""

from __future__ import annotations

import ctypes
import os
import platform

PR_SET_PDEATHSIG = 1
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63
_CAP_DAC_READ_SEARCH = 1 << 2
_CAPGET = {"x86_64": 125, "aarch64": 90}
_CAPSET = {"x86_64": 126, "aarch64": 91}

MACHINE = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
"""Name of the processor family as Linux says it."""

_libc = ctypes.CDLL(None, use_errno=True)


class MissingLayerError(Exception):
    """This kernel does not offer a layer of the sandbox."""


def is_supported() -> bool:
    """Whether the numbers of this machine's system calls are known here."""
    return platform.system() == "Linux" and MACHINE in _CAPSET


def prctl(option: int, *arguments: int | ctypes.c_void_p) -> int:
    """prctl(2). Raises OSError."""
    padded = [*arguments, *([0] * (4 - len(arguments)))]
    result: int = _libc.prctl(option, *(item if isinstance(item, ctypes.c_void_p) else ctypes.c_ulong(item) for item in padded))
    if result < 0:
        raise _last_error("prctl")
    return result


def syscall(number: int, *arguments: object) -> int:
    """A system call by its number; arguments are ctypes values, or None for a null pointer. Raises OSError."""
    result: int = _libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        raise _last_error(f"system call {number}")
    return result


def _last_error(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")


def refuse_new_privileges() -> None:
    """Neither a setuid program nor a file capability gives this process more than it has. Raises OSError."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


def drop_capabilities() -> None:
    """Give up what root may do beyond a user: raise limits, write past file modes, load modules. Others have nothing to give up.

    Reading past file modes is kept (CAP_DAC_READ_SEARCH): where root hands over another user's file, Landlock decides what is read.

    Raises:
        OSError: the kernel refused.
    """
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    # Two sets of (effective, permitted, inheritable), each 32 bits.
    sets = (ctypes.c_uint32 * 6)()
    syscall(_CAPGET[MACHINE], ctypes.byref(header), ctypes.byref(sets))
    kept = sets[1] & _CAP_DAC_READ_SEARCH
    if os.geteuid() == 0:
        for capability in range(_LAST_CAPABILITY + 1):
            try:
                prctl(PR_CAPBSET_DROP, capability)
            except (
                OSError
            ):  # The first number that this kernel does not know, or root without the right to drop: capset does the rest.
                break
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    remaining = (ctypes.c_uint32 * 6)(kept, kept)
    syscall(_CAPSET[MACHINE], ctypes.byref(header), ctypes.byref(remaining))
