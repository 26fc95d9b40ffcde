"""What the sandbox does on this machine, found out by trying it in a child process."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from optimizer.runs.sandbox.confinement import LAYERS, confine
from optimizer.runs.sandbox.kernel import MissingLayerError, is_supported
from optimizer.runs.sandbox.landlock import landlock_version
from optimizer.runs.sandbox.limits import limits_from_environment

_TIMEOUT_S = 30
_PROJECT = Path(__file__).parents[3]
_START = "import sys; sys.path[:0] = {path!r}; from optimizer.runs.sandbox.probe import main; main()"


@dataclass(frozen=True, kw_only=True)
class Probed:
    """What a confined process found.

    Args:
        missing: Layers that this kernel does not offer.
        landlock_abi: 0 where there is none.
        denied: For each thing that was tried, whether it was denied as it should be.
        problem: Why nothing could be tried; empty where it could.
    """

    missing: tuple[str, ...]
    landlock_abi: int = 0
    denied: Mapping[str, bool]
    problem: str = ""


def probe() -> Probed:
    """Try every layer, once for this process (0.1 s). A trial that did not come to its end is none: the next call tries again."""
    if not is_supported():
        return Probed(missing=LAYERS, denied={}, problem="needs Linux on x86-64 or aarch64")
    try:
        return _trial()
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return Probed(missing=LAYERS, denied={}, problem=f"the trial did not work: {error}")


@functools.cache
def _trial() -> Probed:
    """What a child process found. Raises OSError, subprocess.SubprocessError or ValueError, and then it is not kept."""
    with tempfile.TemporaryDirectory(prefix="litesmith-probe-") as folder:
        command = [sys.executable, "-I", "-c", _START.format(path=[str(_PROJECT)]), folder]
        done = subprocess.run(command, cwd=folder, env={}, capture_output=True, timeout=_TIMEOUT_S, text=True, check=True)
        found = json.loads(done.stdout)
    # A layer that is there and does not hold counts as missing.
    broken = [layer for layer, tries in _TRIES.items() if not all(found["denied"][name] for name in tries)]
    missing = tuple(layer for layer in LAYERS if layer in found["missing"] or layer in broken)
    return Probed(missing=missing, landlock_abi=found["landlock_abi"], denied=found["denied"])


def missing_layers() -> tuple[str, ...]:
    """Layers without which a stranger's file is not opened, and which this machine lacks."""
    return probe().missing


def main() -> None:
    """The child: confine itself, try what must not work, print what happened."""
    folder, outside = Path(sys.argv[1]), Path(__file__).parents[3] / "optimizer"
    try:
        version = landlock_version()
    except MissingLayerError:
        version = 0
    missing = confine(folder, limits=limits_from_environment({}))
    denied = {
        "read another file": _is_denied(lambda: os.close(os.open("/etc/passwd", os.O_RDONLY))),
        "write outside": _is_denied(lambda: os.close(os.open(outside / "__init__.py", os.O_WRONLY))),
        "network": _is_denied(_open_socket),
        "start a process": _is_denied(_fork),
        "start a program": _is_denied(lambda: os.execv("/usr/bin/env", ["env", "true"])),  # noqa: S606
        "signal another process": _is_denied(lambda: os.kill(os.getppid(), 0)),
    }
    print(json.dumps({"missing": missing, "landlock_abi": version, "denied": denied}))  # noqa: T201


_TRIES = {
    "landlock": ("read another file", "write outside"),
    "seccomp": ("network", "start a process", "start a program", "signal another process"),
}


def _is_denied(act: Callable[[], object]) -> bool:
    try:
        act()
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def _open_socket() -> None:
    import socket

    socket.socket().close()


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)
    os.wait()
