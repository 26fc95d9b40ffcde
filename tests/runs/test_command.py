"""What the command line does with files that crash, hang or exhaust their reader: a technique plays the part of such a file.

It misbehaves while the job's recipe is read, inside the confined worker only: that is before TensorFlow's import, as a bad file would.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "assets" / "models" / "digits_cnn.keras"
PACKAGE = '''
import ctypes, mmap, os, re, threading
from optimizer.technique import Stage, Technique, param, technique

def native_loop():
    """C code that holds the interpreter's lock for longer than anybody waits."""
    re.match(r"(a+)+$", "a" * 60 + "b")

def eat_memory():
    kept = [mmap.mmap(-1, 2**32)]  # What is left for TensorFlow's libraries, which are not imported here.
    while True:
        kept.append(bytearray(2**26))

def eat_memory_in_c():
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\\n")
    os.abort()

def fill_the_disk():
    with open("big", "wb") as file:
        while True:
            file.write(bytes(2**20))

def fill_the_folder():
    for number in range(100_000):
        with open(f"part{number}", "wb") as file:
            file.write(bytes(2**20))

def fill_the_disk_without_names():
    kept = []
    for number in range(200):
        kept.append(open("part", "wb"))
        os.unlink("part")
        kept[-1].write(bytes(2**20))
    threading.Event().wait()

ACTS = {
    "folder": fill_the_folder, "no names": fill_the_disk_without_names,
    "crash": lambda: ctypes.string_at(0), "loop": native_loop, "memory": eat_memory, "native memory": eat_memory_in_c,
    "disk": fill_the_disk, "secret": lambda: open("/etc/passwd"), "network": lambda: __import__("socket").socket(),
    "x32": lambda: ctypes.CDLL(None).syscall(ctypes.c_long(0x40000000 | 39)), "bug": lambda: 1 / 0,
    "wrong words": lambda: os.write(int(__import__("sys").argv[6]), b"nonsense\\n") and threading.Event().wait(),
}

@technique("hostile", family="pruning")
class Hostile(Technique):
    """Does harm."""

    consumes = produces = Stage.KERAS
    act: str = param("crash", choices=tuple(ACTS), help="What it does.")

    def validate(self):
        if "NoNewPrivs:\\t1" in open("/proc/self/status").read():
            ACTS[self.act]()

    def check(self, model): return []
    def apply(self, model, context): return model
'''
Run = Callable[..., tuple[subprocess.CompletedProcess[str], float]]


@pytest.fixture
def run_hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    folder = tmp_path / "hostile_techniques"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "hostile.py").write_text(PACKAGE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("LITESMITH_TECHNIQUE_PACKAGES", "hostile_techniques")

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
    assert list((tmp_path / "tmp").iterdir()) == []


def test_inspect_reads_in_a_worker_and_says_the_same_as_the_preflight(capsys: Any) -> None:
    from optimizer.cli import main
    from optimizer.sources.preflight import read_model_summary

    assert main(["inspect", str(SAMPLE), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    expected = json.loads(json.dumps(read_model_summary(SAMPLE, name=SAMPLE.name).to_json()))
    assert {name: said[name] for name in expected} == expected
