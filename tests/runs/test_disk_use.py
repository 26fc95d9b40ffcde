from __future__ import annotations

import os
from pathlib import Path

import pytest

from optimizer.runs import disk_use
from optimizer.runs.disk_use import deleted_bytes, over_folder_limit, used_bytes


def test_what_lies_deep_counts_and_what_a_link_leads_to_does_not(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    (folder / "a" / "b").mkdir(parents=True)
    outside.write_bytes(bytes(2**22))
    (folder / "a" / "b" / "part").write_bytes(bytes(2**20))
    (folder / "link").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    size, count = used_bytes(folder)
    assert 2**20 <= size < 2**21
    assert count == 5


def test_holes_take_no_room(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**40)
    assert used_bytes(tmp_path)[0] < 2**20


def test_a_deleted_file_counts_as_long_as_it_is_open(tmp_path: Path) -> None:
    before = deleted_bytes(os.getpid())
    with (tmp_path / "part").open("wb") as file:
        file.write(bytes(2**20))
        file.flush()
        (tmp_path / "part").unlink()
        assert deleted_bytes(os.getpid()) - before >= 2**20
    assert deleted_bytes(os.getpid()) == before


def test_files_without_number_are_an_excess(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_use, "MAX_ENTRIES", 20)
    for number in range(20):
        (tmp_path / str(number)).touch()
    assert over_folder_limit(tmp_path, os.getpid()) is None
    (tmp_path / "one more").touch()
    error = over_folder_limit(tmp_path, os.getpid())
    assert error is not None
    assert (error.code, error.received) == ("DISK_FULL", "over 20 files")


def test_a_folder_that_is_gone_is_no_excess(tmp_path: Path) -> None:
    assert over_folder_limit(tmp_path / "gone", 2**22 + 1) is None


def test_folders_too_deep_to_be_followed_are_an_excess(tmp_path: Path) -> None:
    here, name = os.open(tmp_path, os.O_RDONLY), "x" * 250
    for _ in range(20):
        os.mkdir(name, dir_fd=here)
        inner = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    assert over_folder_limit(tmp_path, os.getpid()) is not None
