"""A store of its own for each test, and the parts that most tests begin with."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from optimizer.recipe import Recipe
from optimizer.runs.claims import Claims
from optimizer.runs.database import sqlite_url
from optimizer.runs.processes import this_process
from optimizer.runs.run import Project, Run, RunKind
from optimizer.runs.store import Store
from tests.runs.samples import DIGITS


@dataclass(frozen=True)
class Backend:
    """A place to keep a store in. Another database is one more entry of BACKENDS."""

    name: str

    def url(self, home: Path) -> str:
        return sqlite_url(home / "litesmith.db")


BACKENDS = [Backend("sqlite")]


@pytest.fixture(params=BACKENDS, ids=lambda backend: backend.name)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    home = tmp_path / "home"
    made = Store(home, url=request.param.url(home))
    yield made
    made.close()


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
