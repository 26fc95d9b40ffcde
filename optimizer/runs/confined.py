"""Where a worker's process begins: it is confined first, and only then imports what could parse a file or start a thread.

`python -m optimizer.runs.confined --kind training --control-fd N --event-fd N [--read PATH]`
"""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import os
import signal
from pathlib import Path

from optimizer.runs.sandbox.confinement import confine
from optimizer.runs.sandbox.kernel import PR_SET_PDEATHSIG
from optimizer.runs.sandbox.limits import limits_from_environment


def main() -> None:
    """Confine this process to its current folder, then do one job. Never returns."""
    parser = argparse.ArgumentParser(prog="python -m optimizer.runs.confined")
    parser.add_argument("--kind", required=True)
    parser.add_argument("--control-fd", type=int, required=True)
    parser.add_argument("--event-fd", type=int, required=True)
    parser.add_argument("--parent-pid", type=int, default=0)
    parser.add_argument("--read", type=Path, action="append", default=[], metavar="PATH")
    arguments = parser.parse_args()
    faulthandler.enable()
    die_with_runner(arguments.parent_pid)
    missing = confine(Path.cwd(), readable=arguments.read, limits=limits_from_environment(os.environ))
    # numpy's import starts threads, and the worker's modules import numpy.
    from optimizer.runs.worker import serve

    serve(arguments.kind, control_fd=arguments.control_fd, event_fd=arguments.event_fd, missing_layers=missing)


def die_with_runner(parent_pid: int) -> None:
    """Ask the kernel for SIGKILL when the runner ends.

    The signal comes when the runner's *thread* that started this process ends, so the runner starts workers from its main thread
    only. A runner that died before this call is found by the changed parent.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if parent_pid and os.getppid() != parent_pid:
        os._exit(1)


if __name__ == "__main__":
    main()
