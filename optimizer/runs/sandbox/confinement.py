"""All layers together: what a worker does to itself before it imports anything that parses a stranger's file."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from optimizer.runs.sandbox.kernel import MissingLayerError, drop_capabilities, is_supported, refuse_new_privileges
from optimizer.runs.sandbox.landlock import restrict_files
from optimizer.runs.sandbox.limits import Limits, apply_limits
from optimizer.runs.sandbox.seccomp import install, job_filter

LANDLOCK, SECCOMP = "landlock", "seccomp"
LAYERS = (LANDLOCK, SECCOMP)
"""Layers without which a stranger's file is not opened. The others (limits, no_new_privs, no capabilities) any Linux has."""

_PACKAGE = Path(__file__).parents[2]
_PACKAGES_VARIABLE = "LITESMITH_TECHNIQUE_PACKAGES"
_SYSTEM = (
    "/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/timezone",
    "/etc/ssl/openssl.cnf", "/sys/devices/system", "/dev/zero", "/dev/random", "/dev/urandom",
)  # fmt: skip
# Not all of /proc: the command lines of other processes are none of a worker's business. /proc/self is resolved to this process.
_PROC = ("self", "cpuinfo", "meminfo", "stat", "version", "filesystems", "sys/vm", "sys/kernel/osrelease")


def confine(folder: Path, *, readable: Iterable[Path] = (), limits: Limits) -> tuple[str, ...]:
    """Limit for good what this process may do. Call it before any thread starts: layers hold for the calling thread and those it starts.

    Args:
        folder: The only place that the process may write to.
        readable: Files and folders that it may read besides Python, the system's libraries and `folder`.
        limits: What it may use of the machine.

    Returns:
        The layers of LAYERS that this kernel does not offer.

    Raises:
        RuntimeError: a thread has been started already.
        OSError: a layer that this kernel offers could not be applied.
    """
    if not is_supported():
        return LAYERS
    if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208 (a listing by pathlib imports more)
        raise RuntimeError("A process that has started threads cannot be confined any more.")
    apply_limits(limits)
    paths = [*_python_paths(), *readable]
    refuse_new_privileges()
    missing = []
    try:
        restrict_files(paths, [folder, Path("/dev/null")])
    except MissingLayerError:
        missing.append(LANDLOCK)
    drop_capabilities()
    try:
        install(job_filter(os.getpid()))
    except MissingLayerError:
        missing.append(SECCOMP)
    return tuple(missing)


def _python_paths() -> list[Path]:
    """Interpreter, libraries, this package, and the packages of further techniques; not whatever else is on sys.path."""
    installed = [entry for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")]
    named = [
        sys.prefix,
        sys.base_prefix,
        sys.exec_prefix,
        sys.base_exec_prefix,
        *installed,
        *_SYSTEM,
        *(f"/proc/{name}" for name in _PROC),
    ]
    names = [name for name in os.environ.get(_PACKAGES_VARIABLE, "").split(os.pathsep) if name]
    return [*map(Path, named), _PACKAGE, *_folders_of(names)]


def _folders_of(packages: Sequence[str]) -> list[Path]:
    """Where packages are. One that is not found is told by whoever imports it."""
    found: list[Path] = []
    for name in packages:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            continue
        if spec is not None:
            found += [Path(folder) for folder in spec.submodule_search_locations or [spec.origin or ""] if folder]
    return found
