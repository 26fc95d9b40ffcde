"""Landlock: which files a process may touch, whatever their modes say (Linux 5.13 and later; landlock(7))."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from optimizer.runs.sandbox.kernel import MissingLayerError, syscall

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_RULE_PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = (1 << bit for bit in range(6, 13))
REFER, TRUNCATE, IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
_NETWORK_TCP = 0b11
_SCOPE_ABSTRACT_SOCKET_AND_SIGNAL = 0b11
_FOR_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEVICE

READ = READ_FILE | READ_DIR
# Links and pipes are not among what a job makes, and whoever takes its results in should not meet them.
WRITE = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER | TRUNCATE


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def landlock_version() -> int:
    """The kernel's Landlock ABI, from 1. Raises MissingLayerError where it has none, or it is switched off."""
    try:
        return syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
            raise MissingLayerError(f"Landlock: {os.strerror(error.errno)}") from error
        raise


def handled_rights(version: int) -> tuple[int, int, int]:
    """Rights on files, network and scopes that a kernel of this ABI can take away."""
    files = (1 << 13) - 1
    for since, right in ((2, REFER), (3, TRUNCATE), (5, IOCTL_DEVICE)):
        files |= right if version >= since else 0
    return files, _NETWORK_TCP if version >= 4 else 0, _SCOPE_ABSTRACT_SOCKET_AND_SIGNAL if version >= 6 else 0


def restrict_files(readable: Iterable[Path], writable: Iterable[Path]) -> int:
    """Deny the calling thread, and all that it starts, every file but these and what is beneath them. Nothing may be executed.

    Paths that do not exist are left out. `no_new_privs` must be set.

    Returns:
        The ABI that was used.

    Raises:
        MissingLayerError: the kernel has no Landlock.
        OSError: the kernel refused.
    """
    version = landlock_version()
    handled, network, scoped = handled_rights(version)
    rules = _Ruleset(handled, network, scoped)
    # A kernel refuses fields that it does not know unless they are zero; handled_rights has left those at zero.
    ruleset = syscall(_CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(ctypes.sizeof(rules)), ctypes.c_uint32(0))
    try:
        for paths, rights in ((readable, READ), (writable, WRITE)):
            for path in paths:
                _allow(ruleset, path, rights & handled)
        syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)
    return version


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _FOR_FILES
        rule = _PathBeneath(rights, descriptor)
        arguments = (ctypes.c_int(ruleset), ctypes.c_int(_RULE_PATH_BENEATH), ctypes.byref(rule), ctypes.c_uint32(0))
        syscall(_ADD_RULE, *arguments)
    finally:
        os.close(descriptor)
