"""Folders of single commands: gone with the command, also where it was killed; never one that is in use."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from optimizer.runs.scratch import scratch_folder, sweep

HOLD = """
import sys, time
from optimizer.runs.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "work").mkdir()
    (folder / "work" / "file").write_text("x")
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def held() -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_a_folder_is_ours_alone_and_gone_at_the_end(temporary: Path) -> None:
    with scratch_folder() as folder:
        assert folder.parent == temporary / f"litesmith-{os.getuid()}"
        assert folder.parent.stat().st_mode & 0o077 == 0
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()


def test_what_a_killed_command_left_is_removed_and_what_a_living_one_uses_stays() -> None:
    killed, left = held()
    living, used = held()
    try:
        end(killed)
        assert (left / "work" / "file").exists()
        with scratch_folder() as mine:
            assert not left.exists()
            assert (used / "work" / "file").exists()
            sweep()
            assert mine.exists()
    finally:
        end(living)
    sweep()
    assert not used.exists()


def test_a_folder_of_that_name_that_others_may_enter_is_left_alone(temporary: Path) -> None:
    strange = temporary / f"litesmith-{os.getuid()}"
    strange.mkdir(mode=0o755)
    (strange / "kept").mkdir()
    with scratch_folder() as folder:
        assert folder.parent == temporary
    assert (strange / "kept").exists()


def test_a_link_of_that_name_is_not_followed(temporary: Path) -> None:
    target = temporary / "target"
    (target / "kept").mkdir(parents=True, mode=0o700)
    (temporary / f"litesmith-{os.getuid()}").symlink_to(target)
    with scratch_folder() as folder:
        assert folder.parent == temporary
    sweep()
    assert (target / "kept").exists()
