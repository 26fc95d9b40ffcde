"""What this machine offers: versions, sandbox layers, cores, how the store is journalled, whether a runner is alive."""

from __future__ import annotations

import ctypes
import fcntl
import importlib.metadata
import os
import platform
import sqlite3
from pathlib import Path
from typing import Any

from optimizer import __version__
from optimizer.environment import PACKAGES, environment
from optimizer.runs.database import journal_mode
from optimizer.runs.home import Home, default_home

LANDLOCK_CREATE_RULESET = 444
LANDLOCK_VERSION_FLAG = 1
PR_GET_NO_NEW_PRIVS = 39


def examine() -> dict[str, dict[str, Any]]:
    """Findings by section, in plain JSON types. Starts nothing and changes nothing."""
    home = Home(default_home())
    machine = environment()
    return {
        "versions": {
            "litesmith": __version__,
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            **{name: _version(name) for name in (*PACKAGES, "streamlit", "SQLAlchemy", "alembic")},
        },
        "machine": {
            "processor": machine["processor"],
            "cores": machine["cores"],
            "usable cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else machine["cores"],
            "integer dot product": ", ".join(machine["integer_dot_product"]) or "none: int8 may be slower than float32 here",
            "memory": _memory(),
        },
        "sandbox": {
            "no_new_privs": "yes" if _prctl_answers() else "no",
            "landlock": _landlock(),
            "seccomp": _seccomp(),
        },
        "store": {
            "home": str(home.root),
            "journal mode": journal_mode(),
            "free bytes": _free_bytes(home.root),
            "runner": "alive" if _locked(home.runner_lock) else "not running (the dashboard starts it)",
        },
    }


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _memory() -> str:
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return f"{pages * size / 2**30:.1f} GiB"


def _prctl_answers() -> bool:
    return platform.system() == "Linux" and ctypes.CDLL(None, use_errno=True).prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) >= 0


def _landlock() -> str:
    if platform.system() != "Linux":
        return "no (Linux only)"
    version = ctypes.CDLL(None, use_errno=True).syscall(LANDLOCK_CREATE_RULESET, None, 0, LANDLOCK_VERSION_FLAG)
    return f"yes (ABI {version})" if version > 0 else "no"


def _seccomp() -> str:
    try:
        return "yes" if "Seccomp:" in Path("/proc/self/status").read_text() else "no"
    except OSError:
        return "no (Linux only)"


def _free_bytes(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def _locked(path: Path) -> bool:
    """Whether some process holds the runner's lock."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(file, fcntl.LOCK_UN)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
