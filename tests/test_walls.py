"""The three walls, the rule that a technique is one file, and the dependencies' own rules."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TENSORFLOW = {"tensorflow", "tf_keras", "keras", "tensorflow_model_optimization"}
OPTIMIZER_MODULES = sorted(p.relative_to(ROOT) for p in (ROOT / "optimizer").rglob("*.py"))
WEB_FILES = [ROOT / "app.py", *sorted((ROOT / "pages").rglob("*.py"))]


def imported(path: Path, *, module_level_only: bool = False) -> set[str]:
    """First parts of every module that a file imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if module_level_only else ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("module", OPTIMIZER_MODULES, ids=str)
def test_optimizer_never_imports_streamlit(module: Path) -> None:
    assert "streamlit" not in imported(ROOT / module)


@pytest.mark.parametrize("module", OPTIMIZER_MODULES, ids=str)
def test_optimizer_imports_tensorflow_inside_functions_only(module: Path) -> None:
    assert not imported(ROOT / module, module_level_only=True) & TENSORFLOW


@pytest.mark.parametrize("path", WEB_FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_pages_never_name_tensorflow(path: Path) -> None:
    assert not imported(path) & (TENSORFLOW | {"h5py", "ai_edge_litert", "litert_quantizer"})


def test_importing_all_of_optimizer_loads_neither_tensorflow_nor_streamlit() -> None:
    modules = [
        ".".join(m.with_suffix("").parts) for m in OPTIMIZER_MODULES if m.name != "__main__.py" and "migrations" not in m.parts
    ]
    forbidden = {"tensorflow", "tf_keras", "keras", "streamlit"}
    code = f"import importlib, sys\nfor m in {modules!r}: importlib.import_module(m)\nprint({forbidden!r} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "set()"


def test_every_dependency_is_imported_somewhere() -> None:
    names = re.findall(r"^([A-Za-z0-9_.-]+)", (ROOT / "requirements.in").read_text(), re.MULTILINE)
    modules = {"scikit-learn": "sklearn", "Pillow": "PIL", "tensorflow-model-optimization": "tensorflow_model_optimization"}
    # Figures are plain dictionaries that st.plotly_chart hands to plotly; only their test imports it by name.
    sources = [*WEB_FILES, *(ROOT / m for m in OPTIMIZER_MODULES), ROOT / "tests" / "pages" / "test_charts.py"]
    used = set().union(*(imported(path) for path in sources))
    missing = [name for name in names if modules.get(name, name.replace("-", "_").lower()) not in used]
    assert missing == []


def test_the_lock_names_no_registry_and_no_path() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        assert "--index" not in text
        assert "--find-links" not in text


def test_no_module_is_called_after_a_drawer() -> None:
    words = re.compile(r"(^|_)(utils?|helpers?|common|misc|manager)(_|\.|$)")
    assert [str(m) for m in OPTIMIZER_MODULES if words.search(m.stem)] == []


def test_the_dashboard_is_served_headless_or_a_page_could_install_agent_skills() -> None:
    assert "headless = true" in (ROOT / ".streamlit" / "config.toml").read_text()
    for name in ("Makefile", "Dockerfile"):
        assert not re.search(r"headless[= ]+false", (ROOT / name).read_text()), name
