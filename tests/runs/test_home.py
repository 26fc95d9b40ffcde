from __future__ import annotations

import stat
import time
from pathlib import Path

import pytest

from optimizer.runs.home import Home, default_home, touch, touched_at
from optimizer.runs.launch import touch_web_alive


def test_the_home_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITESMITH_HOME", str(tmp_path / "here"))
    assert default_home() == tmp_path / "here"
    monkeypatch.delenv("LITESMITH_HOME")
    assert default_home() == Path.home() / ".litesmith"


def test_only_the_owner_may_look_into_a_home(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700
    assert stat.S_IMODE(home.work.stat().st_mode) == 0o700


def test_a_touched_file_has_the_time_of_the_touch(tmp_path: Path) -> None:
    path = tmp_path / "wake"
    assert touched_at(path) == -1
    before = time.time_ns()
    touch(path)
    first = touched_at(path)
    touch(path)
    assert before <= first < touched_at(path) <= time.time_ns()


def test_the_web_process_can_say_that_it_is_there_before_there_is_a_home(tmp_path: Path) -> None:
    touch_web_alive(tmp_path / "new")
    assert touched_at(Home(tmp_path / "new").web_alive) > 0
