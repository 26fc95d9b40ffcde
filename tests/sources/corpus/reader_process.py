"""A process that reads files for the tests, with limits on memory and time: hostile bytes can end it, and nothing else.

python reader_process.py        a request a line on stdin, an answer a line on stdout, both JSON
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
ADDRESS_SPACE = 4 * 1024**3


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of one file: `outcome` is "read", "refused", "escaped" (another exception), "crashed" or "timed out"."""

    outcome: str
    error: dict[str, str] = field(default_factory=dict)
    detail: str = ""
    growth: int = 0
    seconds: float = 0.0

    @property
    def code(self) -> str:
        return self.error.get("code", self.outcome.upper().replace(" ", "_"))


class ReaderProcess:
    """Asks a child to read files; starts another one where a file ended it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._child: subprocess.Popen[bytes] | None = None

    def read(self, path: Path, kind: str, name: str = "", timeout: float = 60.0) -> Answer:
        child = self._running()
        assert child.stdin is not None
        assert child.stdout is not None
        started = time.monotonic()
        child.stdin.write(json.dumps({"path": str(path), "kind": kind, "name": name or path.name}).encode() + b"\n")
        child.stdin.flush()
        ready, _, _ = select.select([child.stdout], [], [], timeout)
        line = child.stdout.readline() if ready else b""
        seconds = time.monotonic() - started
        if line:
            return Answer(**json.loads(line), seconds=seconds)
        self.close()
        if not ready:
            return Answer(outcome="timed out", seconds=seconds)
        return Answer(outcome="crashed", detail=f"signal {-child.returncode}" if child.returncode < 0 else "", seconds=seconds)

    def close(self) -> None:
        if self._child is not None:
            if self._child.stdin is not None and self._child.stdout is not None:
                self._child.stdout.close()
                self._child.stdin.close()
            try:
                self._child.wait(0.5)
            except subprocess.TimeoutExpired:
                self._child.send_signal(signal.SIGKILL)
                self._child.wait()
            self._child = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
            self._child = subprocess.Popen(
                [sys.executable, __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=self._folder,
                env=environment,
            )
            # Its imports are not part of anyone's time limit.
            assert self._child.stdout is not None
            assert self._child.stdout.readline() == b"ready\n"
        return self._child


def _read(request: dict[str, str]) -> dict[str, Any]:
    from optimizer.errors import InputError
    from optimizer.job import DataSource
    from optimizer.sources.fit import prepare
    from optimizer.sources.preflight import read_model_summary
    from optimizer.sources.readers import read_dataset

    path, name = Path(request["path"]), request["name"]
    try:
        if request["kind"] == "model":
            read_model_summary(path, name=name)
        elif request["kind"] == "data":
            read_dataset(DataSource(name=name, path=path, label="", test_path=None), seed=0)
        else:
            summary = read_model_summary(path / "model.h5", name="model.h5")
            data = DataSource(name="data.npz", path=path / "data.npz", label="", test_path=None)
            prepare(read_dataset(data, seed=0), summary)
    except InputError as error:
        return {"outcome": "refused", "error": error.to_json()}
    except Exception:  # noqa: BLE001 - what escapes is the finding
        return {"outcome": "escaped", "detail": traceback.format_exc()[-1500:]}
    return {"outcome": "read"}


def _resident(key: str) -> int:
    """VmRSS or VmHWM of this process in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    return 0


def _serve() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # What every reader imports is not the growth of one file.
    import h5py  # noqa: F401
    import pandas  # noqa: F401
    import sklearn.model_selection  # noqa: F401
    from PIL import Image

    Image.init()
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        Path("/proc/self/clear_refs").write_text("5")
        before = _resident("VmRSS")
        answer = _read(json.loads(line))
        answers.write(json.dumps({**answer, "growth": _resident("VmHWM") - before}) + "\n")
        answers.flush()


if __name__ == "__main__":
    _serve()
