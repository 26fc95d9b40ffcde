"""Discovery: a technique is one file, wherever its package lies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from optimizer.technique import Technique, param, technique

ROOT = Path(__file__).resolve().parents[1]
SOURCE = '''
"""A technique that rounds weights, dropped in as one file."""
from optimizer.model import Model, copy_of
from optimizer.promises import SameInterface
from optimizer.sources.summary import Finding, Verdict
from optimizer.technique import Technique, layer_findings, param, technique


@technique("weight_rounding", family="dropped_in")
class WeightRounding(Technique):
    """Round every weight to a number of decimals, to see a technique arrive as one file. After nobody, arXiv 0000.00000."""

    decimals: int = param(2, low=0, high=7, primary=True, help="Decimals that a weight keeps.")

    def check(self, model):
        return list(layer_findings(model, lambda layer: Finding(layer=layer.name, verdict=Verdict.WORKS)))

    def apply(self, model, context):
        rounded = copy_of(model.keras)
        rounded.set_weights([weight.round(self.decimals) for weight in rounded.get_weights()])
        promise = SameInterface(technique=self.name, input_shape=context.data.input_shape, output_shape=context.data.output_shape)
        return model.changed(keras=rounded, promises=(promise,))
'''


@pytest.fixture
def dropped_in(tmp_path: Path) -> dict[str, str]:
    """Environment in which a package with one more technique file can be found."""
    package = tmp_path / "dropped_in_techniques"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "weight_rounding.py").write_text(SOURCE)
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    return {**os.environ, "PYTHONPATH": path, "LITESMITH_TECHNIQUE_PACKAGES": "dropped_in_techniques"}


def python(arguments: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_dropped_in_file_appears_on_the_command_line(dropped_in: dict[str, str]) -> None:
    listing = json.loads(python(["-m", "optimizer", "techniques", "--json"], dropped_in))
    entry = next(entry for entry in listing if entry["technique"] == "weight_rounding")
    assert entry["family"] == "dropped_in"
    assert entry["settings"][0]["name"] == "decimals"
    assert "weight_rounding" not in python(["-m", "optimizer", "techniques"], {**dropped_in, "LITESMITH_TECHNIQUE_PACKAGES": ""})


def test_a_dropped_in_file_gets_its_contract_tests(dropped_in: dict[str, str]) -> None:
    command = ["-m", "pytest", "tests/test_technique_contract.py", "-k", "weight_rounding", "-p", "no:cacheprovider"]
    output = python([*command, "-rA"], dropped_in)
    assert "failed" not in output
    assert output.count("PASSED") >= 16


def test_an_author_who_forgets_help_bounds_or_docstring_is_told() -> None:
    with pytest.raises(TypeError, match="needs a docstring"):
        technique("nameless", family="x")(type("Nameless", (Technique,), {}))

    class Boundless(Technique):
        """Has a number without bounds."""

        number: int = param(1, help="A number.")

    with pytest.raises(TypeError, match="needs low and high"):
        technique("boundless", family="x")(Boundless)
