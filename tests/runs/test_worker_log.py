from __future__ import annotations

from pathlib import Path

import pytest

from optimizer.runs import worker_log
from optimizer.runs.worker_log import WorkerLog


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_log, "HEAD_BYTES", 100)
    monkeypatch.setattr(worker_log, "TAIL_BYTES", 50)


def test_what_was_printed_before_the_job_stands_at_its_beginning(tmp_path: Path) -> None:
    log = WorkerLog()
    log.write(b"imports\n")
    assert log.early_text == "imports\n"
    log.begin(tmp_path / "log.txt")
    assert (tmp_path / "log.txt").read_bytes() == b"imports\n"
    log.write(b"epoch 1\n")
    assert (tmp_path / "log.txt").read_bytes() == b"imports\nepoch 1\n"
    assert log.close() == tmp_path / "log.txt"


def test_an_endless_log_keeps_its_beginning_and_its_end(tmp_path: Path) -> None:
    log = WorkerLog()
    log.begin(tmp_path / "log.txt")
    for number in range(1000):
        log.write(f"line {number}\n".encode())
    log.close()

    content = (tmp_path / "log.txt").read_text()
    assert content.startswith("line 0\nline 1\n")
    assert content.endswith("line 998\nline 999\n")
    assert "bytes left out" in content
    assert len(content) < 250


def test_a_log_that_cannot_be_written_does_not_stop_the_job(tmp_path: Path) -> None:
    log = WorkerLog()
    log.begin(tmp_path / "missing" / "log.txt")
    log.write(b"x")
    assert log.close() is None
