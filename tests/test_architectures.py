"""The first blocks of one architecture a family, of keras.applications and tf_keras.applications, through every technique.

The slice of the matrix that CI can afford; `python benchmarks/coverage.py` runs all architectures, whole.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import architectures
import pytest
from agreement import cells

from optimizer.technique import registry


@pytest.fixture(scope="module")
def made_by_keras_3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("architectures")
    subprocess.run([sys.executable, architectures.__file__, folder], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize(("maker", "architecture"), architectures.CUT)
def test_every_technique_takes_the_family(maker: str, architecture: str, made_by_keras_3: Path, tmp_path: Path) -> None:
    folder = made_by_keras_3 / architecture
    if maker == "tf_keras":
        folder = tmp_path
        architectures.save(architectures.cut(maker, architecture), folder)
    found = {record["technique"]: record for record in cells(folder, list(registry()))}
    assert found.keys() == registry().keys()
    assert {name: cell["outcome"] for name, cell in found.items()} == dict.fromkeys(found, "agrees"), found


def test_the_lists_name_every_architecture() -> None:
    import tf_keras

    made = {name for name, item in vars(tf_keras.applications).items() if inspect.isfunction(item)}
    assert set(architectures.names("tf_keras")) == made
    code = "import inspect, keras; print(*(name for name, item in vars(keras.applications).items() if inspect.isfunction(item)))"
    listed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert set(architectures.names("keras")) == set(listed)
