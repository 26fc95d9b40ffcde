"""What the command line does with files that crash, hang or exhaust their reader: a technique plays the part of such a file.

It misbehaves while the job's recipe is read, inside the confined worker only: that is before TensorFlow's import, as a bad file would.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from optimizer.errors import RunError
from optimizer.runs.command import handed_over
from tests.runs.faults.hostile_techniques import HOSTILE_PACKAGE

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "assets" / "models" / "digits_cnn.keras"
Run = Callable[..., tuple[subprocess.CompletedProcess[str], float]]


@pytest.fixture
def run_hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("LITESMITH_TECHNIQUE_PACKAGES", HOSTILE_PACKAGE)

    def run(act: str, **environment: str) -> tuple[subprocess.CompletedProcess[str], float]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        recipe = tmp_path / "recipe.json"
        recipe.write_text(json.dumps({"version": 1, "steps": [{"technique": "hostile", "act": act}]}))
        began = time.monotonic()
        command = [sys.executable, "-m", "optimizer", "run", "--model", str(SAMPLE), "--data", "digits"]
        done = subprocess.run(
            [*command, "--recipe", str(recipe), "--out", str(tmp_path / "out")],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return done, time.monotonic() - began

    return run


def one_line(done: subprocess.CompletedProcess[str], status: int) -> str:
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize(
    ("act", "status", "words"),
    [
        ("crash", 2, [r"digits_cnn\.keras", r"signal 11 \(SIGSEGV\)", r"\[CRASHED\]"]),
        ("x32", 2, [r"signal 31 \(SIGSYS\)", r"\[CRASHED\]"]),
        ("native memory", 2, [r"memory limit 0\.5 GiB", r"\[OUT_OF_MEMORY\]"]),
        ("secret", 1, [r"/etc/passwd", r"hostile", r"\[SANDBOX\]"]),
        ("network", 1, [r"socket", r"\[SANDBOX\]"]),
        ("disk", 1, [r"File too large", r"\[DISK_FULL\]"]),
        ("folder", 1, [r"Limit: 0\.1 GiB", r"LITESMITH_FOLDER_LIMIT_GIB", r"\[DISK_FULL\]"]),
        ("no names", 1, [r"filled its folder", r"\[DISK_FULL\]"]),
        ("bug", 1, [r"ZeroDivisionError", r"litesmith-error-", r"\[INTERNAL [0-9a-f]{8}\]"]),
        ("wrong words", 1, [r"never says", r"\[CRASHED\]"]),
    ],
)
def test_harm_ends_as_one_line_that_says_what_happened(run_hostile: Run, act: str, status: int, words: list[str]) -> None:
    done, _ = run_hostile(
        act, LITESMITH_MEMORY_LIMIT_GIB="0.5", LITESMITH_FILE_LIMIT_GIB="0.05", LITESMITH_FOLDER_LIMIT_GIB="0.1"
    )
    line = one_line(done, status)
    assert [word for word in words if not re.search(word, line)] == [], line


def test_a_job_that_swallows_memory_ends_soon_and_names_the_limit(run_hostile: Run) -> None:
    done, seconds = run_hostile("memory", LITESMITH_MEMORY_LIMIT_GIB="0.5")
    assert "memory limit 0.5 GiB" in one_line(done, 1)
    assert seconds < 20  # 10 s are wanted; the rest is for a machine that does other things too.


def test_reading_that_never_ends_is_stopped(run_hostile: Run) -> None:
    done, seconds = run_hostile("loop", LITESMITH_READ_TIMEOUT_S="1.5")
    line = one_line(done, 2)
    assert "1.5 s" in line
    assert line.endswith("[TIMED_OUT]")
    assert seconds < 1.5 + 5 + 10  # The same here.


def test_nothing_of_the_job_stays_in_the_temporary_folder(run_hostile: Run, tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    done, _ = run_hostile("crash", TMPDIR=str(tmp_path / "tmp"))
    assert done.returncode == 2
    (ours,) = (tmp_path / "tmp").iterdir()
    assert list(ours.iterdir()) == []


def test_results_that_the_output_folder_does_not_take_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    results, out = tmp_path / "results", tmp_path / "out"
    results.mkdir()
    (results / "report.json").write_text('{"artifacts": []}')
    out.write_text("in the way")
    with pytest.raises(RunError, match="Nothing is lost") as caught:
        handed_over(results, out)
    assert caught.value.code == "BAD_OUT"
    (kept,) = tmp_path.glob("litesmith-result-*/out")
    assert str(kept) in caught.value.fix
    assert (kept / "report.json").exists()


def test_inspect_reads_in_a_worker_and_says_the_same_as_the_preflight(capsys: Any) -> None:
    from optimizer.cli import main
    from optimizer.sources.preflight import read_model_summary

    assert main(["inspect", str(SAMPLE), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    expected = json.loads(json.dumps(read_model_summary(SAMPLE, name=SAMPLE.name).to_json()))
    # The summary of a Keras file has its outputs under the layers' names; inspect gives them one name for all formats.
    assert said["output_names"] == expected["output_layers"]
    assert {name: said[name] for name in expected.keys() - {"output_names"}} == {
        name: value for name, value in expected.items() if name != "output_names"
    }
