"""The dashboard's web server as a process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 60


class Server:
    """The dashboard on a free port. It can be killed and started again on the same home.

    `environment` is what it (and the runner that it starts) finds besides that of this process.
    """

    def __init__(self, home: Path, environment: Mapping[str, str] | None = None) -> None:
        self.home = home
        self._further = dict(environment or {})
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Address of the dashboard, with a slash at its end."""
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(self.port)]
        with (self.home / "web.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=self._environment(), stdout=log, stderr=log)
        deadline = time.monotonic() + START_LIMIT_S
        while not self.answers():
            assert time.monotonic() < deadline, (self.home / "web.log").read_text()
            time.sleep(0.1)

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **self._further, "LITESMITH_HOME": str(self.home)}

    def answers(self) -> bool:
        """Whether it answers now."""
        try:
            with urllib.request.urlopen(self.url + "_stcore/health", timeout=5) as answer:  # noqa: S310 - our own server
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def resident_mb(self) -> float:
        """Memory that the web process holds, in MiB."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def kill(self) -> None:
        """End the web server as a crash would. The runner lives on."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
