"""Every page on every kind of home: it draws, it leads on, it shows no failure of ours, and it never needs TensorFlow."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from dashboard import ROOT, Open
from streamlit.testing.v1 import AppTest

PAGES = ["start", "model_and_data", "experiment", "runs", "compare"]


def texts(app: AppTest) -> list[str]:
    """Every Markdown body on the page, the sidebar's too."""
    kinds = (app.markdown, app.caption, app.title, app.subheader, app.info, app.error, app.success, app.warning)
    return [element.value for kind in kinds for element in kind]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_of_an_empty_store_says_what_to_do_next(opened: Open, page: str) -> None:
    app = opened(None, page)
    assert not app.exception
    assert not app.error
    assert app.title
    labels = [button.label for button in app.button]
    assert {"start": "Try the sample", "model_and_data": "digits"}.get(page, "Go to Start") in labels


@pytest.mark.parametrize("page", PAGES)
def test_a_page_of_a_full_store_draws_without_errors(opened: Open, seeded: Path, page: str) -> None:
    app = opened(seeded, page)
    assert not app.exception
    assert [error.value for error in app.error] == []
    assert app.title


@pytest.mark.parametrize("page", PAGES)
def test_names_made_of_markup_reach_no_page_unescaped(opened: Open, hostile: Path, page: str) -> None:
    app = opened(hostile, page)
    assert not app.exception
    for text in (re.sub(r"\\[!-/:-@\[-`{-~]", "", text) for text in texts(app)):
        for dangerous in ("<img", "[l](", " **b** ", ":smile:", "$x$", "\u202e"):
            assert dangerous not in text, text
    for block in app.get("html"):
        assert "<img src=x" not in block.proto.body
    if page in ("compare", "runs", "model_and_data"):
        assert any("onerror" in text for text in texts(app)), "the name itself must be shown"


@pytest.mark.parametrize("page", PAGES)
def test_the_sidebar_shows_baseline_budget_jobs_and_heartbeat_on_every_page(opened: Open, seeded: Path, page: str) -> None:
    app = opened(seeded, page)
    metrics = {metric.label: metric.value for metric in app.sidebar.metric}
    assert metrics == {"Size": "88.0 KB", "Latency, p50": "41.2 µs", "Accuracy": "98.1 %", "MACs": "320,832"}
    captions = [caption.value for caption in app.sidebar.caption]
    assert "Jobs" in captions
    assert any("Runner" in caption for caption in captions)
    assert any(button.key and button.key.startswith("cancel.") for button in app.sidebar.button)


def test_an_unknown_project_in_the_url_is_said_and_the_latest_is_shown(opened: Open, seeded: Path) -> None:
    app = opened(seeded, project="nothing-like-it")
    assert "not known here" in app.warning[0].value
    assert not app.exception


def test_a_failure_of_ours_shows_an_id_and_logs_the_traceback(
    opened: Open, seeded: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = opened(seeded)
    app.session_state["colours"] = 3
    app.switch_page("pages/compare.py").run()
    assert not app.exception
    shown = app.error[0].value
    assert "int" not in shown.split()
    error_id = shown.split("error id ")[1].split(",")[0]
    assert any(error_id in record.getMessage() and record.exc_info for record in caplog.records)
    assert app.sidebar.metric, "the rest of the page stands"


def test_all_pages_run_without_tensorflow_h5py_and_sklearn(seeded: Path, tmp_path: Path) -> None:
    """In a process of its own: the tests around this one import TensorFlow."""
    code = f"""
import os, shutil, sys
shutil.copytree({str(seeded)!r}, {str(tmp_path / "home")!r})
os.environ["LITESMITH_HOME"] = {str(tmp_path / "home")!r}
from pathlib import Path
from optimizer.runs.home import Home
from optimizer.runs.launch import take_lock
lock = take_lock(Home(Path(os.environ["LITESMITH_HOME"])))
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("app.py", default_timeout=60).run()
for page in {PAGES!r}:
    app.switch_page(f"pages/{{page}}.py").run()
    assert not app.exception and not app.error, page
heavy = {{"tensorflow", "tf_keras", "keras", "h5py", "sklearn", "ai_edge_litert", "tensorflow_model_optimization"}}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip().splitlines()[-1:] == ["[]"], done.stderr[-2000:]
