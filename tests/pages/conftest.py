"""Homes with and without runs, and the dashboard on them without a browser. No runner is started: its lock is held."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from dashboard import ROOT, Open
from seed import Seeder, seed
from streamlit.testing.v1 import AppTest

from optimizer.runs.home import Home
from optimizer.runs.launch import take_lock


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one project: baseline, four finished experiments, one failed, one running, one queued."""
    home = tmp_path_factory.mktemp("seeded")
    seed(home, active=True)[0].close()
    return home


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a name made of markup for project, model and runs."""
    home = tmp_path_factory.mktemp("hostile")
    seed(home, hostile=True)[0].close()
    return home


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Open a page of the dashboard on a copy of a home (None: an empty one)."""
    locks: list[int] = []

    def open_page(home: Path | None, page: str = "start", **query: str) -> AppTest:
        copy = tmp_path / "home"
        if not locks:
            if home is None:
                copy.mkdir(exist_ok=True)
            elif home != copy:
                shutil.copytree(home, copy)
            monkeypatch.setenv("LITESMITH_HOME", str(copy))
            lock = take_lock(Home(copy))
            assert lock is not None
            locks.append(lock)
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30)
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
        if page != "start":
            app.switch_page(f"pages/{page}.py").run()
        return app

    yield open_page
    for lock in locks:
        os.close(lock)


@pytest.fixture
def seeder(tmp_path: Path) -> Seeder:
    """A store of its own with a runner's claims."""
    return Seeder(tmp_path / "store")
