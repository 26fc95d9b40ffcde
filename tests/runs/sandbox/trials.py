"""Code that runs in a real confined process, and a kernel that lacks a layer (a filter that an outer process puts on itself)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
_BEGIN = """
import os, sys
sys.path.insert(0, {root!r})
from pathlib import Path
"""
_CONFINE = """
from optimizer.runs.sandbox.confinement import confine
from optimizer.runs.sandbox.limits import Limits
assert confine(Path.cwd(), limits=Limits(memory_bytes={memory_bytes}, file_bytes={file_bytes})) == ()
"""
# x86-64 and aarch64 have the same number for Landlock; prctl's first argument 22 is PR_SET_SECCOMP.
_POOR_KERNEL = """
import errno
from optimizer.runs.sandbox import kernel, seccomp
from optimizer.runs.sandbox.system_calls import checked_calls
bodies = {{
    "landlock": seccomp.only_if(444, [seccomp.refuse(errno.ENOSYS)]),
    "seccomp": seccomp.only_if(
        checked_calls()["prctl"],
        [seccomp.load(seccomp.argument(0)), (0x15, 0, 1, kernel.PR_SET_SECCOMP), seccomp.refuse(errno.EINVAL), seccomp.allow()],
    ),
}}
kernel.refuse_new_privileges()
seccomp.install([*seccomp.preamble(), *bodies[{layer!r}], seccomp.allow()])
"""


def confined(
    code: str, folder: Path, *, memory_bytes: int = 2**31, file_bytes: int = 2**20, timeout_s: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run Python code in a fresh process that has confined itself to `folder`."""
    whole = _BEGIN.format(root=str(ROOT)) + _CONFINE.format(memory_bytes=memory_bytes, file_bytes=file_bytes) + code
    command = [sys.executable, "-I", "-c", whole]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=timeout_s, check=False, start_new_session=True
    )


def with_poor_kernel(layer: str, command: list[str]) -> list[str]:
    """A command line that runs another one on a kernel without that layer."""
    code = _BEGIN.format(root=str(ROOT)) + _POOR_KERNEL.format(layer=layer) + f"os.execv({command[0]!r}, {command!r})"
    return [sys.executable, "-I", "-c", code]
