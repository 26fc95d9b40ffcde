"""A real Chromium, a real web server and a real runner, on a home of their own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Playwright, sync_playwright

from optimizer.runs.store import Store

ROOT = Path(__file__).resolve().parents[2]
SYSTEM_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HOW_TO_GET_ONE = "No Chromium was found, so the dashboard was not tried in a browser. `make browser` brings one."
START_LIMIT_S = 60


class Server:
    """The dashboard on a free port. It can be killed and started again on the same home."""

    def __init__(self, home: Path) -> None:
        self.home = home
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
        while not self._answers():
            assert time.monotonic() < deadline, (self.home / "web.log").read_text()
            time.sleep(0.1)

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "LITESMITH_HOME": str(self.home)}

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.url + "_stcore/health", timeout=5) as answer:  # noqa: S310 - our own server
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError):
            return False

    def kill(self) -> None:
        """End the web server as a crash would. The runner lives on."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty LITESMITH_HOME."""
    return tmp_path_factory.mktemp("litesmith")


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    """A running dashboard; at the end it and the runner that it started are stopped."""
    running = Server(home)
    running.start()
    yield running
    running.kill()
    status = Store(home).runner_status()
    if status.alive and status.pid is not None:
        os.kill(status.pid, signal.SIGTERM)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """The system's Chromium or Playwright's own. Without one the tests are skipped, but in CI they fail."""
    found = next((path for name in SYSTEM_BROWSERS if (path := shutil.which(name))), None)
    try:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
    except Error:
        if os.environ.get("CI", "").lower() in ("true", "1"):
            pytest.fail(HOW_TO_GET_ONE)
        pytest.skip(HOW_TO_GET_ONE)
    yield browser
    browser.close()
