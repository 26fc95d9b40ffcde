"""A store of its own for each test, and the parts that most tests begin with."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, create_engine

from optimizer.recipe import Recipe
from optimizer.runs.claims import Claims
from optimizer.runs.database import sqlite_url
from optimizer.runs.processes import this_process
from optimizer.runs.run import Project, Run, RunKind
from optimizer.runs.store import Store
from tests.runs.samples import DIGITS
from tests.runs.surroundings import Surroundings

# Set to the URL of an empty PostgreSQL database, the contract runs on that too: everything in it is dropped.
SERVER_URL = os.environ.get("LITESMITH_TEST_DATABASE_URL", "")
BACKENDS = ["sqlite", "server"] if SERVER_URL else ["sqlite"]


@pytest.fixture(params=BACKENDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    home = tmp_path / "home"
    if request.param == "server":
        empty(SERVER_URL)
    made = Store(home, url=SERVER_URL if request.param == "server" else sqlite_url(home / "litesmith.db"))
    yield made
    made.close()


def empty(url: str) -> None:
    """Drop every table of a database."""
    engine = create_engine(url)
    found = MetaData()
    found.reflect(engine)
    found.drop_all(engine)
    engine.dispose()


@pytest.fixture
def project(store: Store) -> Project:
    return store.create_project("keywords v3")


@pytest.fixture
def inputs(store: Store) -> dict[str, Any]:
    file = store.add_file(io.BytesIO(b"a model"), "kws.h5")
    return {"model": {"sha256": file.sha256, "name": file.name}, "data": DIGITS}


@pytest.fixture
def claims(store: Store) -> Claims:
    return Claims(store, this_process())


@pytest.fixture
def experiment(store: Store, project: Project, inputs: dict[str, Any]) -> Run:
    return store.submit(project.id, RunKind.EXPERIMENT, name="tiny", recipe=Recipe(), inputs=inputs)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Surroundings]:
    """A home of its own with a project; its runner ends with the test, and its database must be whole then."""
    made = Surroundings(tmp_path / "home")
    yield made
    made.stop()
