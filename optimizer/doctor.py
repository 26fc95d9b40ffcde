"""What this machine offers: versions, sandbox layers, cores, how the store is journalled, whether a runner is alive."""

from __future__ import annotations

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
from optimizer.runs.sandbox.confinement import LANDLOCK, LAYERS
from optimizer.runs.sandbox.limits import limits_from_environment, memory_in_words
from optimizer.runs.sandbox.policy import TRUST_VARIABLE, uploads_are_trusted
from optimizer.runs.sandbox.probe import Probed, probe


def examine() -> dict[str, dict[str, Any]]:
    """Findings by section, in plain JSON types. Changes nothing; the sandbox is tried in a child process."""
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
        "sandbox": sandbox(),
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


def sandbox() -> dict[str, str]:
    """What a confined child process was really denied here, its limits, and what that means for uploads."""
    found = probe()
    limits = limits_from_environment(os.environ)
    held = {layer: _held(layer, found) for layer in LAYERS}
    denied = {name: "denied" if was_denied else "NOT denied" for name, was_denied in found.denied.items()}
    return {
        **held,
        **denied,
        "memory for one job": memory_in_words(limits.memory_bytes),
        "largest file of one job": memory_in_words(limits.file_bytes),
        "uploads": _uploads(found),
    }


def _held(layer: str, found: Probed) -> str:
    if layer in found.missing:
        return f"no: {found.problem}" if found.problem else "no"
    return f"yes (ABI {found.landlock_abi})" if layer == LANDLOCK else "yes"


def _uploads(found: Probed) -> str:
    if not found.missing:
        return "accepted, in the sandbox"
    if uploads_are_trusted():
        return f"ACCEPTED WITHOUT A FULL SANDBOX, because {TRUST_VARIABLE}=1 is set"
    return f"refused, because layers are missing ({TRUST_VARIABLE}=1 accepts them all the same)"


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
