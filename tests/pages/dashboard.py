"""What the tests of the pages share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from streamlit.testing.v1 import AppTest

from optimizer.runs.store import Store

ROOT = Path(__file__).resolve().parents[2]
Open = Callable[..., AppTest]


def store_of_test() -> Store:
    """The store that the page under test works on."""
    return Store(Path(os.environ["LITESMITH_HOME"]))
