"""A real Chromium, a real web server and a real runner, on a home of their own."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Playwright, sync_playwright
from web_server import Server

from optimizer.runs.store import Store
from tests.runs.surroundings import assert_sound

SYSTEM_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HOW_TO_GET_ONE = "No Chromium was found, so the dashboard was not tried in a browser. `make browser` brings one."


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty LITESMITH_HOME."""
    return tmp_path_factory.mktemp("litesmith")


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    """A running dashboard; at the end it and the runner that it started are stopped, and the database must be whole."""
    running = Server(home)
    running.start()
    yield running
    running.kill()
    store = Store(home)
    status = store.runner_status()
    if status.alive and status.pid is not None:
        os.kill(status.pid, signal.SIGTERM)
    assert_sound(store)
    store.close()


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
